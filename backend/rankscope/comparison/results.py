"""The metrics of a comparison: the value of each run, and the verdict over the groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rankscope.comparison.groups import RunGroup
from rankscope.comparison.verdicts import Spread, Verdict, spread, verdict
from rankscope.contract.config import RunConfig
from rankscope.contract.metrics import EVALUATION, TRAIN_LOSS, Metric
from rankscope.contract.stored import MetricSummary
from rankscope.contract.tables import Run

ValueOf = Literal["best", "last"]
_MOST_METRICS = 60


@dataclass(frozen=True)
class MetricResult:
    name: str
    spreads: list[Spread]
    """Of each group."""
    verdict: Verdict


def metric_verdicts(
    runs: Sequence[Run], configs: Sequence[RunConfig], groups: Sequence[RunGroup], of: ValueOf
) -> list[MetricResult]:
    """Train loss and the metrics of evaluations that any run has, the headline metrics first."""
    headlines = [config.task.headline_of(run.headline_metric).name for run, config in zip(runs, configs, strict=True)]
    every = sorted({name for run in runs for name in run.metrics if name.startswith(EVALUATION)})
    names = [
        name for name in dict.fromkeys([*headlines, TRAIN_LOSS, *every]) if any(name in run.metrics for run in runs)
    ]
    results = []
    for name in names[:_MOST_METRICS]:
        metric = next(
            config.task.describe(name) for run, config in zip(runs, configs, strict=True) if name in run.metrics
        )
        values = [[_value(runs[place].metrics.get(name), metric, of) for place in group.members] for group in groups]
        results.append(
            MetricResult(
                name,
                [spread(one) for one in values],
                verdict(groups, values, lower_is_better=metric.lower_is_better),
            )
        )
    return results


def _value(summary: MetricSummary | None, metric: Metric, of: ValueOf) -> float | None:
    """None without a value, or if it isn't finite."""
    if summary is None:
        return None
    value: float | str = summary["last"] if of == "last" else summary["min" if metric.lower_is_better else "max"]
    return None if isinstance(value, str) else float(value)
