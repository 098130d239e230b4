"""The plan of a run says what training will do, without training."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.presets import presets
from rankscope.launch.plan import make_plan
from rankscope.settings import Settings
from tests.kinds import make_folder
from tests.tiny import make_reviews, make_tiny_bert


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    settings = Settings(data_dir=tmp_path)
    make_tiny_bert(settings.models_dir / "tiny-bert")
    make_reviews(settings.datasets_dir / "reviews.csv", rows=200)
    return Catalog(settings)


def config(method: dict[str, Any], **training: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "model": {"id": "local:tiny-bert"},
            "data": {"id": "local:reviews"},
            "method": method,
            "training": {"batch_size": 8} | (training or {"max_steps": 40}),
        }
    )


def test_plan_counts_what_the_method_trains_and_keeps(catalog: Catalog, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    from dynamic_rank import create_method

    methods: dict[str, dict[str, Any]] = {
        "dynamic_rank": {"target_rank": 2, "initial_rank": 4, "prune_interval": 4},
        "lora": {"rank": 3},
        "adalora": {"target_rank": 2, "prune_interval": 4},
        "eva": {"rank": 2},
        "lora_shrink": {"target_rank": 2},
        "sora": {"rank": 3},
        "gradient": {"rank": 2, "largest_rank": 2},
        "control": {"rank_pattern": {"bert.encoder.layer.0.attention.self.query": 3}},
        "full": {},
    }
    for name, options in methods.items():
        plan = make_plan(config({"name": name, **options}), catalog)
        method = create_method(name, options)
        entry = catalog.model("local:tiny-bert")
        method.prepare(AutoModelForSequenceClassification.from_pretrained(entry.folder, num_labels=2), "SEQ_CLS")
        assert plan.n_modules == len(method.modules()), name
        assert plan.trained_parameters == method.trained_parameters().total, name
        if name in ("lora", "eva", "gradient", "control", "full"):  # the others begin with more than they keep
            assert plan.kept_parameters == method.kept_parameters().adapter, name


def test_epochs_become_steps_and_every_default_is_filled_in(catalog: Catalog) -> None:
    plan = make_plan(config({"name": "dynamic_rank", "target_rank": 3, "prune_interval": 4}, epochs=2), catalog)
    assert plan.total_steps == 2 * -(-plan.train_rows // 8)
    resolved = plan.config
    assert (resolved.training.max_steps, resolved.training.epochs) == (plan.total_steps, None)
    assert (resolved.task.texts, resolved.task.target) == (["text"], "label")
    assert resolved.method.name == "dynamic_rank"
    assert resolved.method.initial_rank == 5


def test_planned_budget_goes_from_all_components_to_the_target(catalog: Catalog) -> None:
    plan = make_plan(config({"name": "dynamic_rank", "target_rank": 2, "prune_interval": 4}), catalog)
    assert plan.curve.points[0] == (0, 12 * 3)
    assert plan.curve.points[-1] == (40, 12 * 2)
    assert [step for step, _ in plan.curve.points[1:-1]] == plan.curve.prunings == [6, 10, 14, 18, 20]


def test_a_rank_pattern_fits_a_model_whose_files_lack_the_prefix(tmp_path: Path) -> None:
    """As in the demo: names in the files begin with `encoder`, the wrapped classifier's with `bert.encoder`."""
    method = {"name": "control", "rank_pattern": {"bert.encoder.layer.5.output.dense": 3}}
    demo = next(one for one in presets() if one.key == "demo").config.model_dump()
    plan = make_plan(RunConfig.model_validate(demo | {"method": method}), Catalog(Settings(data_dir=tmp_path)))
    assert plan.kept_parameters == 3 * (384 + 1536)


def test_planned_budget_of_lora_shrink_falls_in_one_step(catalog: Catalog) -> None:
    method = {"name": "lora_shrink", "target_rank": 2, "shrink_at_ratio": 0.29}
    plan = make_plan(config(method, max_steps=100), catalog)
    assert plan.curve.points == [(0, 12 * 8), (29, 12 * 2), (100, 12 * 2)]
    assert plan.curve.prunings == [29]
    assert plan.config.method.name == "lora_shrink"
    assert plan.config.method.initial_rank == 8


@pytest.mark.parametrize(
    ("method", "training", "field"),
    [
        ({"name": "adalora", "prune_interval": 100}, {"epochs": 1}, "config.method.prune_interval"),
        ({"name": "control", "rank_pattern": {"nothing": 2}}, {"max_steps": 5}, "config.method.rank_pattern"),
        ({"name": "dynamic_rank", "prune_interval": 100}, {"epochs": 1}, "config.method.prune_interval"),
        ({"name": "lora", "target_modules": ["query", "q_proj"]}, {"max_steps": 5}, "config.method.target_modules.1"),
    ],
)
def test_options_that_do_not_fit_model_or_data_are_refused(
    catalog: Catalog, method: dict[str, Any], training: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInput) as error:
        make_plan(config(method, **training), catalog)
    assert error.value.problems[0].field == field
    assert error.value.problems[0].next_step


@pytest.mark.parametrize("key", [preset.key for preset in presets() if preset.group is None])
def test_every_preset_can_be_planned(key: str, tmp_path: Path) -> None:
    preset = next(one for one in presets() if one.key == key)
    plan = make_plan(preset.config, Catalog(Settings(data_dir=tmp_path)))
    assert plan.warnings == [] or key == "paper"
    assert plan.n_modules == (0 if key == "full" else 36)


GROUPED = [preset for preset in presets() if preset.key.startswith("glue-")]
ROWS = {
    "glue-cola": {"sentence": "a film", "label": 1, "idx": 3},
    "glue-mnli": {"premise": "a film", "hypothesis": "the film", "label": 2, "idx": 3},
    "glue-mrpc": {"sentence1": "a film", "sentence2": "the film", "label": 1, "idx": 3},
    "glue-qnli": {"question": "a film", "sentence": "the film", "label": 1, "idx": 3},
    "glue-qqp": {"question1": "a film", "question2": "the film", "label": 1, "idx": 3},
    "glue-rte": {"sentence1": "a film", "sentence2": "the film", "label": 1, "idx": 3},
    "glue-sst2": {"sentence": "a film", "label": 1, "idx": 3},
    "glue-stsb": {"sentence1": "a film", "sentence2": "the film", "label": 3.75, "idx": 3},
}
HEADLINES = dict.fromkeys(ROWS, "eval_accuracy") | {
    "glue-cola": "eval_mcc",
    "glue-mrpc": "eval_f1",
    "glue-qqp": "eval_f1",
    "glue-stsb": "eval_pearson",
}
OTHER_TASKS: dict[str, dict[str, Any]] = {
    "conll2003": {"tokens": ["a", "film"], "pos_tags": [1, 2], "ner_tags": [0, 3]},
    "go-emotions": {"text": "a film", "labels": [2, 27]},
}


def test_a_preset_of_the_paper_says_what_to_install_and_is_planned_with_the_columns_of_the_hub(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.datasets_dir.mkdir(parents=True)
    assert {preset.key for preset in GROUPED} == ROWS.keys()
    with pytest.raises(BadInput) as missing:
        make_plan(GROUPED[0].config, Catalog(settings))
    (problem,) = missing.value.problems
    assert (problem.field, problem.value) == ("config.model.id", "local:roberta-base")
    assert "models/ in the data folder" in problem.next_step
    make_tiny_bert(settings.models_dir / "roberta-base")
    with pytest.raises(BadInput) as missing:
        make_plan(GROUPED[0].config, Catalog(settings))
    assert "datasets/ in the data folder" in missing.value.problems[0].next_step
    for preset in GROUPED:
        rows = [ROWS[preset.key] | {"idx": n} for n in range(4000)]
        ends = ("_matched", "_mismatched") if preset.key == "glue-mnli" else ("",)
        parts = [*["train"] * 12, *(f"{part}{end}" for end in ends for part in ("validation", "test"))]
        texts = [name for name, value in ROWS[preset.key].items() if isinstance(value, str)]
        for n, row in enumerate(rows):
            row |= {texts[0]: f"a film {n}", "label": n % 4 / 3 if preset.key == "glue-stsb" else n % 2}
            row |= {"split": parts[n % len(parts)]} | (
                {"label": -1} if parts[n % len(parts)].startswith("test") else {}
            )
        file = settings.datasets_dir / f"{preset.key}.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        plan = make_plan(preset.config, Catalog(settings))
        assert (list(plan.split.text_columns), plan.split.target_column) == (texts, "label")
        assert plan.config.data.eval_parts == [f"validation{end}" for end in ends]
        assert plan.config.training.best_metric == plan.config.task.headline().name == HEADLINES[preset.key]


def test_the_presets_of_the_paper_have_its_hyperparameters() -> None:
    """Mao et al. 2024: those of its method, and of training."""
    paper = [preset for preset in presets() if preset.group and preset.group.endswith("as in the paper")]
    assert len(paper) == len(ROWS) + 4
    for preset in paper:
        model = "bart-base" if preset.key in ("xsum", "cnn-dailymail") else "roberta-base"
        assert (preset.config.model.id, preset.config.data.split) == (f"local:{model}", "parts")
        method = preset.config.method.resolved().model_dump()
        expected = {
            "name": "dynamic_rank",
            "target_rank": 8,
            "initial_rank": 12,
            "lora_alpha": 8,
            "lora_dropout": 0.1,
            "beta": 0.9,
            "warmup_ratio": 0.15,
            "prune_end_ratio": 0.5,
            "prune_interval": 100,
            "eta": 0.1,
            "target_modules": None,
        }
        assert {name: method[name] for name in expected} == expected
        training = preset.config.training.model_dump()
        expected = {
            "batch_size": 16,
            "gradient_accumulation": 1,
            "learning_rate": 1e-4,
            "lr_warmup_ratio": 0.06,
            "weight_decay": 0.01,
            "max_grad_norm": 1.0,
        }
        assert {name: training[name] for name in expected} == expected


@pytest.mark.parametrize("key", OTHER_TASKS)
def test_a_preset_of_another_task_is_planned_with_the_columns_of_the_hub(tmp_path: Path, key: str) -> None:
    preset = next(one for one in presets() if one.key == key)
    settings = Settings(data_dir=tmp_path)
    settings.datasets_dir.mkdir(parents=True)
    row = OTHER_TASKS[key]
    (text, *_, target), first = row, next(iter(row.values()))
    rows = [row | {text: f"{first} {n}" if isinstance(first, str) else [*first[:-1], f"film{n}"]} for n in range(2000)]
    file = settings.datasets_dir / f"{preset.key}.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    plan = make_plan(preset.config, Catalog(settings))
    assert (plan.split.text_columns, plan.split.target_column, plan.split.left_out) == ((text,), target, ())
    assert plan.config.training.best_metric == plan.config.task.headline().name


def test_epochs_that_make_more_steps_than_a_run_may_have_are_refused(catalog: Catalog, tmp_path: Path) -> None:
    make_reviews(tmp_path / "datasets" / "many.csv", rows=1300)
    long = config({"name": "full"}, epochs=10_000, batch_size=1).model_copy(
        update={"data": config({"name": "full"}).data.model_copy(update={"id": "local:many"})}
    )
    with pytest.raises(BadInput, match="a run has at most 10,000,000"):
        make_plan(long, catalog)


def test_a_model_that_cannot_do_the_task_is_refused_before_the_start(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "datasets" / "chats.jsonl").write_text(
        "".join(f'{{"prompt": "{n} good", "answer": "film", "text": "a"}}\n' for n in range(40))
    )
    make_folder(tmp_path / "models" / "tiny-gpt2", "gpt2")
    make_folder(tmp_path / "models" / "tiny-llama", "llama")

    def refusal(model: str, task: dict[str, Any]) -> tuple[str, str, str]:
        planned = {
            "model": {"id": model},
            "data": {"id": "local:chats"},
            "task": task,
            "method": {"name": "lora", "rank": 2},
            "training": {"batch_size": 8, "max_steps": 40},
        }
        with pytest.raises(BadInput) as refused:
            make_plan(RunConfig.model_validate(planned), catalog)
        (problem,) = refused.value.problems
        return problem.field, problem.message, problem.next_step

    field, message, step = refusal("local:tiny-bert", {"name": "text_to_text"})
    assert field == "config.model.id"
    assert message == "is local:tiny-bert, of type bert, which can't do the task 'Summarisation and text to text'"
    assert step == "Choose a model of another type, such as bart, t5, or another task."
    assert refusal("local:tiny-bert", {"name": "causal_language_model"})[0] == "config.model.id"
    field, message, step = refusal("local:tiny-gpt2", {"name": "causal_language_model"})
    assert field == "config.task.template"
    assert message.startswith("is chat, which needs a chat template, and the tokenizer of local:tiny-gpt2 has none")
    assert "plain" in step
    field, _, _ = refusal("local:tiny-gpt2", {"name": "causal_language_model", "form": "messages"})
    assert field == "config.task.form"
    # transformers' class has another name for the body than the weight files, so none of its weights would be loaded.
    field, message, _ = refusal("local:tiny-llama", {"name": "question_answering"})
    assert field == "config.model.id"
    assert message.startswith("is local:tiny-llama, of type llama, which can't do the task")


def test_kinds_of_models_of_each_task_equal_the_output_of_their_script() -> None:
    """After an update of transformers, or with a new task: run scripts/task_models.py."""
    from scripts.task_models import TARGET, as_text, everything

    assert TARGET.read_text(encoding="utf-8") == as_text(everything())
