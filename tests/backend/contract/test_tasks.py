"""The task in a configuration: its current form, that of earlier versions, and each task's description of itself."""

from typing import Any

import pytest
from pydantic import ValidationError

from rankscope.contract.config import RunConfig
from rankscope.contract.problems import bad_input
from rankscope.contract.tasks import DEFAULT_TASK, TASKS, Task, TextClassification, in_todays_form, likely_task

PLAIN: dict[str, Any] = {
    "model": {"id": "m"},
    "data": {"id": "d"},
    "method": {"name": "lora"},
    "training": {"max_steps": 1},
}


def config_with(**parts: Any) -> dict[str, Any]:
    return PLAIN | {name: PLAIN.get(name, {}) | part for name, part in parts.items()}


def test_a_configuration_of_an_earlier_version_opens_and_is_written_in_todays_form() -> None:
    earlier = config_with(data={"text_columns": ["a", "b"], "label_column": None})
    config = RunConfig.model_validate(earlier)
    assert config.task == TextClassification(text_columns=["a", "b"])
    written = config.model_dump(mode="json")
    assert written["task"] == {
        "name": "text_classification",
        "headline_metric": None,
        "text_columns": ["a", "b"],
        "label_column": None,
    }
    assert written["data"].keys() & {"text_columns", "label_column"} == set()
    assert RunConfig.model_validate(written) == RunConfig.stored(earlier) == config
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_a_configuration_without_a_task_has_the_default_one() -> None:
    assert RunConfig.model_validate(PLAIN).task == DEFAULT_TASK
    named = RunConfig.model_validate(config_with(task={"label_column": "mood"}))
    assert named.task == TextClassification(label_column="mood")


def test_old_changes_to_a_new_configuration_are_changes_of_the_task() -> None:
    changes = in_todays_form({"data": {"label_column": "mood"}})
    assert changes == {"data": {}, "task": {"label_column": "mood"}}


@pytest.mark.parametrize(
    ("config", "field", "words"),
    [
        (config_with(task={"name": "poetry"}), "config.task", "text_classification"),
        (config_with(task={"label_column": 3}), "config.task.label_column", "text"),
        (config_with(data={"label_column": 3}), "config.task.label_column", "text"),
        (config_with(task={"summary_column": "x"}), "config.task.summary_column", "name"),
        (PLAIN | {"task": 3}, "config.task", "object"),
        (config_with(data={"label_column": "a"}, task={"label_column": "b"}), "config.data.label_column", "task"),
    ],
)
def test_problems_of_a_task_name_its_field(config: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as error:
        RunConfig.model_validate(config)
    (problem,) = bad_input(error.value, "config").problems
    assert problem.field == field
    assert words in problem.next_step


def test_the_task_determines_the_metric_for_the_best_checkpoint() -> None:
    for training in ({}, {"best_metric": None}):
        config = RunConfig.model_validate(config_with(training=training))
        assert config.training.best_metric == config.best_metric.name == DEFAULT_TASK.headline().name
    chosen = RunConfig.model_validate(config_with(training={"best_metric": "eval_loss"}))
    assert chosen.best_metric.lower_is_better
    with pytest.raises(ValidationError):
        RunConfig.model_validate(config_with(training={"best_metric": "eval_rouge"}))
    assert RunConfig.stored(config_with(training={"best_metric": "eval_rouge"})).best_metric.name == "eval_rouge"


def test_a_configuration_chooses_its_headline_metric_among_those_of_its_task() -> None:
    config = RunConfig.model_validate(config_with(task={"headline_metric": "eval_mcc"}))
    assert config.task.headline().short_title == "MCC"
    assert config.training.best_metric == config.best_metric.name == "eval_mcc"
    other = RunConfig.model_validate(
        config_with(task={"headline_metric": "eval_mcc"}, training={"best_metric": "eval_f1"})
    )
    assert (other.task.headline().name, other.best_metric.name) == ("eval_mcc", "eval_f1")
    unknown = config_with(task={"name": "regression", "headline_metric": "eval_mcc"})
    with pytest.raises(ValidationError) as error:
        RunConfig.model_validate(unknown)
    problem = bad_input(error.value, "config").problems[0]
    assert (problem.field, problem.value) == ("config.task.headline_metric", "eval_mcc")
    assert "eval_pearson" in problem.next_step
    assert RunConfig.stored(unknown).task.headline().title == "Evaluation mcc"
    definitions = RunConfig.model_json_schema()["$defs"]
    for kind in TASKS.values():
        choices = definitions[kind.__name__]["properties"]["headline_metric"]["anyOf"][0]["enum"]
        assert choices == kind.best_by()


@pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS)
def test_every_task_describes_its_metrics_once(kind: type[Task]) -> None:
    names = [metric.name for metric in kind.described()]
    assert len(names) == len(set(names))
    assert {metric.name for metric in kind.metrics} < set(names)
    assert kind.describe(kind.usual_headline().name) == kind.usual_headline()
    assert all(name.startswith("eval_") for name in kind.best_by())


def test_a_likely_task_comes_with_the_options_that_fit_the_columns() -> None:
    assert likely_task(["messages"], []) == {"name": "causal_language_model", "form": "messages"}
    assert likely_task(["prompt", "answer"], []) == {"name": "causal_language_model"}
