"""The trend of a noisy curve: medians of intervals, so that no single step decides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_FEWEST = 30
_STRETCHES = 20
_SHORTEST = 5
_LOST_SHARE = 0.25
"""Share of the decrease of the loss since the start."""
_ABOVE_BEST = 0.5
"""Share of the best value; used if the loss has never fallen."""
_ERRORS_LOST, _ERRORS_FALLEN = 6.0, 4.0
"""Standard errors of an interval's median that noise does not reach."""
_MAD_TO_SD = 1.4826
_MEDIAN_ERROR = 1.2533
"""Standard error of a median over that of a mean, for normal noise."""


@dataclass(frozen=True)
class LossTrend:
    """Medians of intervals of equal length: the first, the best and the newest."""

    best: float
    best_step: int
    recent: float
    step: int
    is_diverging: bool


def loss_trend(points: Sequence[tuple[int, float]], cut_step: int | None = None) -> LossTrend | None:
    """The trend of (step, loss), sorted by step; None if there are too few finite points.

    Diverging: the newest interval is above the best one by more than noise can explain, by half of the best, and by a
    quarter of the total decrease, and it does not fall. A pruning raises the loss of a healthy run too: if the best
    interval is before `cut_step`, the entire decrease must be lost again.
    """
    finite = [(step, loss) for step, loss in points if math.isfinite(loss)]
    if len(finite) < _FEWEST:
        return None
    size = max(_SHORTEST, len(finite) // _STRETCHES)
    # From the end, so that the newest interval is complete.
    ends = range(len(finite), size - 1, -size)
    stretches = [finite[end - size : end] for end in reversed(ends)]
    middles = [median(loss for _, loss in stretch) for stretch in stretches]
    best = min(middles)
    at = middles.index(best)
    recent, previous = middles[-1], middles[-2]
    spreads = [_spread(stretch) for stretch in stretches]
    # At least the noise since the best: a curve may be smooth while nothing is learned, and noisy afterwards.
    spread = max(median(spreads), median(spreads[at:]))
    error = _MEDIAN_ERROR * _MAD_TO_SD * spread / math.sqrt(size)
    lost = recent - best
    must_lose = _LOST_SHARE * (middles[0] - best)
    if cut_step is not None and stretches[at][0][0] <= cut_step:
        must_lose = max(middles[0], median(loss for _, loss in finite[:_SHORTEST])) - best
    needed = max(_ERRORS_LOST * error, _ABOVE_BEST * abs(best), must_lose)
    return LossTrend(
        best=best,
        best_step=stretches[at][size // 2][0],
        recent=recent,
        step=finite[-1][0],
        is_diverging=lost > needed and recent >= previous - _ERRORS_FALLEN * error,
    )


def _spread(stretch: Sequence[tuple[int, float]]) -> float:
    """Median absolute deviation."""
    middle = median(loss for _, loss in stretch)
    return median(abs(loss - middle) for _, loss in stretch)
