"""Which evaluation is the best one: the rule that the worker keeps a checkpoint by."""

import math

METRICS = ("eval_accuracy", "eval_mcc", "eval_loss")
"""What an evaluation of the task, one class for each text, computes."""

_LOWER_IS_BETTER = ("loss", "perplexity", "error", "mae", "mse", "rmse")


def is_lower_better(metric: str) -> bool:
    """Whether less of this metric is better: losses, perplexities and errors."""
    return metric.rsplit("_", 1)[-1] in _LOWER_IS_BETTER


def is_better(metric: str, value: float, than: float | None) -> bool:
    """Whether `value` beats `than`; of equal ones the earlier stays, and what is no finite number never wins."""
    if not math.isfinite(value):
        return False
    return than is None or (value < than if is_lower_better(metric) else value > than)
