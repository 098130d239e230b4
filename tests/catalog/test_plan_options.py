"""The plan reports options that don't work with a model, or that have an unexpected effect."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.problems import bad_input
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.settings import Settings
from tests.tiny import make_reviews, make_tiny_bert


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("data")
    make_tiny_bert(folder / "models" / "tiny-bert")  # 32 x 32, 64 x 32 and 32 x 64
    make_reviews(folder / "datasets" / "reviews.csv")
    return Catalog(Settings(data_dir=folder))


def draft(method: dict[str, Any], **training: Any) -> dict[str, Any]:
    return {
        "model": {"id": "local:tiny-bert"},
        "data": {"id": "local:reviews"},
        "method": method,
        "training": {"max_steps": 20, "batch_size": 8, "max_length": 16, "learning_rate": 1e-2} | training,
    }


def planned(catalog: Catalog, method: dict[str, Any], **training: Any) -> RunPlan:
    return make_plan(RunConfig.model_validate(draft(method, **training)), catalog)


def refusal(catalog: Catalog, method: dict[str, Any], **training: Any) -> FieldProblem:
    with pytest.raises(BadInput) as found:
        planned(catalog, method, **training)
    return found.value.problems[0]


LORA = {"name": "lora", "rank": 2}


def test_a_rank_that_lora_shrink_cannot_use_is_refused_with_module_and_limit(catalog: Catalog) -> None:
    problem = refusal(catalog, {"name": "lora_shrink", "target_rank": 9})
    assert (problem.field, problem.value) == ("config.method.initial_rank", 36)
    assert problem.message == (
        "is 36, above the 32 that bert.encoder.layer.0.attention.output.dense (32 x 32) can have"
    )
    assert problem.next_step == "Use 32 or less."
    assert planned(catalog, {"name": "lora_shrink", "target_rank": 8}).n_modules == 12


def test_eva_is_refused_where_it_could_not_find_its_directions(catalog: Catalog) -> None:
    problem = refusal(catalog, {"name": "eva", "rank": 20})
    assert (problem.field, problem.value) == ("config.method.rank", 20)
    assert "up to 40 components per module" in problem.message
    assert "only 32 inputs" in problem.message
    few = refusal(catalog, {"name": "eva", "rank": 10}, batch_size=1)
    assert "a batch has at most 16 tokens (batch_size 1 x max_length 16)" in few.message
    planned(catalog, {"name": "eva", "rank": 10})


@pytest.mark.parametrize(
    "method",
    [
        {"name": "lora", "rank": 40},
        {"name": "sora", "rank": 40},
        {"name": "adalora", "target_rank": 40, "prune_interval": 2},
        {"name": "dynamic_rank", "target_rank": 30, "prune_interval": 2},
        {"name": "control", "rank_pattern": {"bert.encoder.layer.0.attention.self.query": 40}},
    ],
    ids=lambda method: method["name"],
)
def test_a_rank_above_a_matrix_is_a_warning_if_the_method_tolerates_it(
    catalog: Catalog, method: dict[str, Any]
) -> None:
    warnings = planned(catalog, method).warnings
    assert any(
        "is above the 32 that bert.encoder.layer.0.attention." in one and "(32 x 32) can use" in one for one in warnings
    )
    small = method | ({"rank": 4} if "rank" in method else {"target_rank": 4})
    if method["name"] != "control":
        assert not any("can use" in one for one in planned(catalog, small).warnings)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"training": {"checkpoint_every": 21}}, "checkpoint_every 21 is above the 20 steps"),
        ({"training": {"raw_scores": True}}, "raw_scores has no effect: method lora has no raw scores"),
        ({"hardware": {"device": "cpu", "precision": "bf16"}}, "precision bf16 on a CPU is slower"),
        (
            {"training": {"best_metric": "eval_loss", "keep_best": False}},
            "best_metric eval_loss has no effect: keep_best is off",
        ),
        (
            {"method": {"name": "adalora", "target_rank": 4, "initial_rank": 4, "prune_interval": 2}},
            "initial_rank equals target_rank 4, so nothing is pruned",
        ),
        (
            {"method": {"name": "dynamic_rank", "target_rank": 4, "prune_interval": 2, "prune_end_ratio": 1.0}},
            "Pruning ends with the last step (20), so the final ranks are never trained",
        ),
        (
            {"method": {"name": "lora_shrink", "target_rank": 4, "initial_rank": 4}},
            "initial_rank equals target_rank 4, so nothing is cut",
        ),
    ],
)
def test_options_without_effect_are_reported(catalog: Catalog, change: dict[str, Any], sentence: str) -> None:
    config = draft(LORA)
    config = {**config, **change, "training": config["training"] | change.get("training", {})}
    assert any(one.startswith(sentence) for one in make_plan(RunConfig.model_validate(config), catalog).warnings)
    assert not any(one.startswith(sentence) for one in planned(catalog, LORA, checkpoint_every=20).warnings)


def problems_of(config: dict[str, Any]) -> list[FieldProblem]:
    with pytest.raises(ValidationError) as found:
        RunConfig.model_validate(config)
    return list(bad_input(found.value, "config").problems)


@pytest.mark.parametrize("metric", ["eval_auc", "eval_accurac", "train_loss", "accuracy", ""])
def test_a_metric_that_is_never_computed_is_refused_with_those_that_are(metric: str) -> None:
    (problem,) = problems_of(draft(LORA, best_metric=metric))
    assert (problem.field, problem.value) == ("config.training.best_metric", metric)
    assert problem.next_step == f"Use one of {', '.join(DEFAULT_TASK.best_by())}."
    assert RunConfig.stored(draft(LORA, best_metric=metric)).training.best_metric == metric


def test_keeping_the_best_of_none_is_refused_and_old_runs_still_open() -> None:
    (problem,) = problems_of(draft(LORA, keep_best=False, after_done="best"))
    assert problem.field == "config.training.after_done"
    assert "Turn on keep_best" in problem.next_step
    assert RunConfig.stored(draft(LORA, keep_best=False, after_done="best")).training.after_done == "best"
    RunConfig.model_validate(draft(LORA, keep_best=False, after_done="keep"))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("training", "batch_size", True),
        ("training", "batch_size", "8"),
        ("training", "batch_size", 8.0),
        ("training", "learning_rate", True),
        ("training", "learning_rate", "1e-4"),
        ("training", "keep_best", 1),
        ("training", "keep_best", "true"),
        ("training", "seed", False),
        ("training", "max_steps", "20"),
        ("training", "checkpoint_minutes", "5"),
        ("training", "best_metric", 3),
        ("method", "rank", True),
        ("method", "rank", "2"),
        ("method", "lora_alpha", "8"),
        ("method", "use_rslora", "yes"),
        ("data", "split_seed", True),
        ("data", "eval_fraction", "0.1"),
        ("task", "text_columns", "text"),
        ("data", "max_train_rows", 8.0),
        ("model", "id", 7),
        ("hardware", "device", True),
    ],
)
def test_a_value_of_another_type_is_refused_by_field(part: str, name: str, value: object) -> None:
    config = draft(LORA) | {"hardware": {}, "task": {}}
    config[part] = config[part] | {name: value}
    (problem,) = problems_of(config)
    assert (problem.field, problem.value) == (f"config.{part}.{name}", value)
    assert problem.next_step


def test_an_integer_is_accepted_for_a_float() -> None:
    config = RunConfig.model_validate(draft(LORA, learning_rate=1, weight_decay=0))
    assert config.training.learning_rate == 1.0


def test_a_rank_pattern_may_have_the_form_of_peft(catalog: Catalog) -> None:
    name = "bert.encoder.layer.0.attention.self.query"
    for written in (f"^{re.escape(name)}", f"base_model.model.{name}", f"^{re.escape(name)}$"):
        plan = planned(catalog, {"name": "control", "rank_pattern": {written: 3}})
        assert plan.config.method.model_dump()["rank_pattern"] == {name: 3}


def test_limits_of_assigned_ranks_that_leave_no_choice_are_refused_or_reported(catalog: Catalog) -> None:
    for method, words in (
        ({"rank": 2, "least_rank": 3}, "above rank 2"),
        ({"rank": 4, "largest_rank": 3}, "below rank 4"),
    ):
        with pytest.raises(ValueError, match=words):
            planned(catalog, {"name": "spectrum", **method})
    equal = planned(catalog, {"name": "gradient", "rank": 2, "least_rank": 2})
    assert any("Every module gets rank 2" in one for one in equal.warnings)
    one = {"name": "gradient", "rank": 2, "target_modules": ["layer.0.attention.self.query"]}
    assert "nothing to assign" in refusal(catalog, one).message
