"""Descriptions of metrics: known ones, those with a number in the name, and those without a description."""

import math

import pytest

from rankscope.contract.metrics import REPORTED, Metric, describe, gpu_memory, gpu_utilization, is_machine_metric


def test_every_reported_metric_is_described_once() -> None:
    names = [metric.name for metric in REPORTED]
    assert len(names) == len(set(names))
    assert [describe(name) for name in names if "*" not in name] == [m for m in REPORTED if "*" not in m.name]


def test_a_number_in_the_name_appears_in_the_title() -> None:
    assert describe(gpu_memory(12)).title == "GPU 12: memory"
    assert describe(gpu_utilization(0)).unit == "percent"


@pytest.mark.parametrize(
    ("name", "title", "group", "lower_is_better"),
    [
        ("eval_f1_macro", "Evaluation f1 macro", "evaluation", False),
        ("eval_perplexity", "Evaluation perplexity", "evaluation", True),
        ("tokens_seen", "Tokens seen", "other", False),
        ("eval_", "Evaluation eval_", "evaluation", False),
        ("gpu0_temperature", "Gpu0 temperature", "other", False),
    ],
)
def test_an_unknown_metric_is_described_by_its_name(name: str, title: str, group: str, lower_is_better: bool) -> None:
    found = describe(name)
    assert (found.name, found.title, found.group, found.lower_is_better) == (name, title, group, lower_is_better)


def test_only_speed_and_hardware_depend_on_the_machine() -> None:
    machine = ["cpu_percent", "steps_per_second", "gpu3_memory_bytes", "gpu3_utilization_percent"]
    assert [is_machine_metric(name) for name in machine] == [True] * 4
    assert not any(is_machine_metric(name) for name in ("train_loss", "eval_loss", "dem", "gpu_memory_bytes", "eval_x"))


@pytest.mark.parametrize("lower_is_better", [True, False])
def test_better_is_strictly_better_and_finite(lower_is_better: bool) -> None:
    metric = Metric(name="x", title="X", group="evaluation", lower_is_better=lower_is_better)
    assert metric.is_better(0.5, None)
    assert not metric.is_better(0.5, 0.5)
    assert metric.is_better(0.4, 0.5) is lower_is_better
    assert metric.is_better(0.6, 0.5) is not lower_is_better
    assert not any(metric.is_better(value, None) for value in (math.nan, math.inf, -math.inf))
