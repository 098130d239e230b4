"""The verdict about a difference, and how its size relates to what matters."""

from rankscope.contract.experiments.answer import Difference, Size, Verdict
from rankscope.contract.experiments.design import ExperimentMetric
from rankscope.experiments.differences import LEVEL


def verdict(difference: Difference, margin: float, metric: ExperimentMetric) -> Verdict:
    """Better or worse after the correction; else equivalent if the interval is within the margin; else cannot tell."""
    if difference.p_corrected is None or difference.mean is None:
        return Verdict.cannot_tell
    if difference.p_corrected < LEVEL:
        return Verdict.better if (difference.mean < 0) == metric.lower_is_better else Verdict.worse
    return Verdict.equivalent if size(difference, margin) == Size.less_than_matters else Verdict.cannot_tell


def size(difference: Difference, margin: float) -> Size:
    """Whether the whole interval is within the margin, or beyond it."""
    interval = difference.interval
    if interval is None:
        return Size.unclear
    if -margin < interval.low and interval.high < margin:
        return Size.less_than_matters
    if interval.low > margin or interval.high < -margin:
        return Size.more_than_matters
    return Size.unclear
