"""Imports: what is read from lines, and that every bad line is rejected by its number."""

import json
from typing import Any

import pytest

from rankscope.contract.errors import BadInput
from rankscope.contract.experiments.design import Collapse, ControlKind, Role, TrialPurpose
from rankscope.experiments.importing.header import ImportHeader
from rankscope.experiments.importing.read import Imported, read_import

GOOD: dict[str, Any] = {"variant": "plain", "rank": 2, "seed": 0, "accuracy": 0.8}


def lines(*changes: dict[str, Any]) -> str:
    return "\n".join(
        json.dumps({name: value for name, value in (GOOD | each).items() if value != ...}) for each in changes
    )


def read(text: str, **options: Any) -> Imported:
    return read_import(text, ImportHeader.model_validate({"baseline": "plain", **options}))


def test_study_is_read_with_its_controls_tuning_and_modules(study: Imported) -> None:
    assert len(study.trials) == 612
    assert sum(trial.purpose == TrialPurpose.control for trial in study.trials) == 38
    design = study.design
    assert [task.name for task in design.tasks] == ["rt", "r8"]
    assert (design.budgets, design.seeds, design.margin) == ([1.0, 2.0, 4.0], [0, 1, 2, 3, 4], 0.005)
    assert (design.tuning.trials, design.tuning.seeds) == (5, [100])
    assert design.baseline is not None
    assert design.baseline.name == "lora"
    random = next(each for each in design.variants if each.name == "dynamic_rank zero_b random")
    assert (random.role, random.control) == (Role.control, ControlKind.random_score)
    assert random.options == {"init": "zero_b", "score": "random"}
    ranks = study.trials[0].ranks
    assert ranks is not None
    assert next(iter(ranks)) == "encoder.layer.0.attention.self.query"


def test_names_of_fields_are_found_in_several_forms() -> None:
    first = {"name": "new", "variant": ..., "dataset": "a", "part": "tune", "lr": 0.1, "kept": 5, "note": "x"}
    found = read(lines({"dataset": "a"}, first), metric="accuracy")
    line = found.trials[1].line
    assert (line.variant, line.task, line.purpose, line.learning_rate) == ("new", "a", TrialPurpose.tune, 0.1)
    assert (line.kept_parameters, found.ignored) == (5, ["note"])


@pytest.mark.parametrize(
    ("bad", "field", "message"),
    [
        ("{", "line 2", "is not valid JSON at character 2"),
        ("[1]", "line 2", "is not a JSON object"),
        (lines({"seed": ...}), "line 2: seed", "is missing"),
        (lines({"seed": 1.5}), "line 2: seed", "is 1.5"),
        (lines({"seed": True}), "line 2: seed", "is True"),
        (lines({"variant": 7}), "line 2: variant", "is not a text"),
        (lines({"variant": "x" * 101}), "line 2: variant", "has 101 characters"),
        (lines({"rank": -1}), "line 2: rank", "is -1"),
        (lines({"rank": ...}), "line 2: budget", "is missing"),
        (lines({"purpose": "train"}), "line 2: purpose", "is 'train'"),
        (lines({"ranks": [1, -2]}), "line 2: ranks", "is not a list of integers from 0"),
        (lines({"scores": [1, "a"]}), "line 2: scores", "is not a list of finite numbers"),
        (lines({"metrics": {"f1": "high"}}), "line 2: metrics.f1", "is 'high', which is not a number"),
        (lines({"options": []}), "line 2: options", "is not a JSON object"),
        (lines({"kept": -1}), "line 2: kept", "is -1"),
        (lines({}), "line 2", "repeats line 1: plain at budget 2, seed 0"),
        (lines({"accuracy": ..., "seed": 1}), "metric", "which line 2 does not have as a number"),
    ],
)
def test_bad_line_is_refused_with_number_field_and_what_to_do(bad: str, field: str, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(f"{lines({})}\n{bad}", metric="accuracy")
    problem = refused.value.problems[0]
    assert problem.field == field
    assert message in problem.message
    assert problem.next_step


def test_every_bad_line_is_named_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        read("{\n" + lines({}, {"seed": "0", "rank": "two"}) + "\n7")
    assert [each.field for each in refused.value.problems] == ["line 1", "line 3: rank", "line 3: seed", "line 4"]


@pytest.mark.parametrize(
    ("text", "options", "field", "next_step"),
    [
        ("\n\n", {}, "body", "one JSON object per line"),
        (lines({"f1": 0.5}), {}, "metric", "accuracy, f1"),
        (lines({}), {"baseline": "other"}, "baseline", "Use one of plain."),
        (lines({}), {"baseline": None}, "baseline", "one of plain"),
        (lines({"purpose": "tune"}), {}, "purpose", "Add results"),
    ],
)
def test_what_is_missing_in_all_lines_is_asked_for(
    text: str, options: dict[str, Any], field: str, next_step: str
) -> None:
    with pytest.raises(BadInput) as refused:
        read(text, **options)
    assert refused.value.problems[0].field == field
    assert next_step in refused.value.problems[0].next_step


def test_first_line_may_describe_the_others_and_options_override_it() -> None:
    header = {"design": {"metric": "f1", "margin": 0.01, "baseline": "new", "majority": {"results": 0.5}}}
    text = f"{json.dumps(header)}\n" + lines({"f1": 0.5}, {"variant": "new", "f1": float("nan")})
    found = read(text)
    assert (found.design.metric.name, found.design.margin) == ("f1", 0.01)
    assert [trial.collapse for trial in found.trials] == [Collapse.majority, Collapse.diverged]
    assert [variant.name for variant in found.design.variants] == ["plain", "new"]
    with pytest.raises(BadInput, match=r"line 1: design\.metrics"):
        read('{"design": {"metrics": 1}}\n' + lines({}))


def test_metric_that_is_not_a_share_has_its_own_unit_and_margin() -> None:
    read_lines = read(
        lines({"eval_loss": 3.2}, {"seed": 1, "eval_loss": 3.4}, {"seed": 2, "eval_loss": 1e200}), metric="eval_loss"
    )
    assert [(trial.value, trial.collapse) for trial in read_lines.trials][1:] == [
        (3.4, None),
        (None, Collapse.diverged),
    ]
    found = read_lines.design
    assert (found.metric.title, found.metric.lower_is_better, found.metric.in_points) == ("loss", True, False)
    assert found.margin == pytest.approx(0.02)
