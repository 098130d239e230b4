"""Which evaluation is the best one: the rule that the worker keeps a checkpoint by, and the page shows."""

import math
from collections.abc import Mapping
from typing import Any

_LOWER_IS_BETTER = ("loss", "perplexity", "error", "mae", "mse", "rmse")


def is_lower_better(metric: str) -> bool:
    """Whether less of this metric is better: losses, perplexities and errors."""
    return metric.rsplit("_", 1)[-1] in _LOWER_IS_BETTER


def is_better(metric: str, value: float, than: float | None) -> bool:
    """Whether `value` beats `than`; of equal ones the earlier stays, and what is no finite number never wins."""
    if not math.isfinite(value):
        return False
    return than is None or (value < than if is_lower_better(metric) else value > than)


def best_step(metrics: Mapping[str, Any], metric: str) -> int | None:
    """The step of the best evaluation, of a run's summaries {name: {min, min_step, max, max_step}}; None before the first."""
    summary = metrics.get(metric)
    if summary is None or isinstance(summary["min"], str):
        return None
    step: int = summary["min_step" if is_lower_better(metric) else "max_step"]
    return step
