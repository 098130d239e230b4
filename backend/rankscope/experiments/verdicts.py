"""The verdict about a difference, and how its size relates to what matters."""

from typing import NamedTuple

from rankscope.contract.experiments.answer import Difference, Size, Verdict
from rankscope.contract.experiments.design import ExperimentMetric
from rankscope.experiments.differences import LEVEL


class Decision(NamedTuple):
    verdict: Verdict
    withheld: str | None
    """Why the numbers reach a verdict that they can't support, as a clause; then it is that these seeds cannot tell."""


def decide(
    difference: Difference, margin: float, metric: ExperimentMetric, *, variant: str, reference: str
) -> Decision:
    """Better or worse after the correction; else equivalent if the interval is within the margin; else undecided."""
    reached = _reached(difference, margin, metric)
    withheld = _withheld(difference, reached, variant, reference)
    return Decision(reached if withheld is None else Verdict.cannot_tell, withheld)


def _reached(difference: Difference, margin: float, metric: ExperimentMetric) -> Verdict:
    if difference.p_corrected is None or difference.mean is None:
        return Verdict.cannot_tell
    if difference.p_corrected < LEVEL:
        return Verdict.better if (difference.mean < 0) == metric.lower_is_better else Verdict.worse
    return Verdict.equivalent if size(difference, margin) == Size.less_than_matters else Verdict.cannot_tell


def _withheld(difference: Difference, reached: Verdict, variant: str, reference: str) -> str | None:
    """Without its diverged trials, a variant's mean is that of its best seeds, so it is not representative."""
    if reached in (Verdict.better, Verdict.equivalent) and difference.without_result:
        return f"{variant} diverged at {_seeds(difference.without_result)}, and only the others can be compared"
    if reached in (Verdict.worse, Verdict.equivalent) and difference.reference_without_result:
        return f"{reference} diverged at {_seeds(difference.reference_without_result)}, and only the others can be compared"
    if reached == Verdict.equivalent and difference.both_collapsed:
        return f"both collapsed at {_seeds(difference.both_collapsed)}, which makes them equal without a trained model"
    return None


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"


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
