"""Successive halving without waiting: a point passes a rung only while it is among the best that have reached it.

Whenever points reach a rung, each running point is compared at the last rung that it has reached. It goes on if it is among
the best 1/`reduction_factor` of them, rounded up (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").
There, points wait at a rung until enough others have reached it. Here, they continue to train and are stopped once they
fall behind. The first points of a rung continue until there are `reduction_factor` of them.
"""

import math
from collections.abc import Sequence

from rankscope.contract.sweeps.design import SweepDesign
from rankscope.search.trials import ENDED, KnownPoint


def losers(design: SweepDesign, points: Sequence[KnownPoint]) -> list[KnownPoint]:
    """Returns the points with running trials that are to be stopped."""
    factor = design.search.resolved().reduction_factor or 2
    reached = {point.number: point.rungs for point in points}
    found = []
    for point in points:
        own = reached[point.number]
        if not own or point.is_pruned or all(one.status in ENDED for one in point.trials):
            continue
        rung = len(own) - 1
        there = [other for other in points if len(reached[other.number]) > rung]
        if len(there) < factor:
            continue
        keep = math.ceil(len(there) / factor)
        ranked = sorted(there, key=lambda other: (_cost(design, reached[other.number][rung]), other.number))
        if point not in ranked[:keep]:
            found.append(point)
    return found


def _cost(design: SweepDesign, value: float | None) -> float:
    if value is None:
        return math.inf
    return value if design.metric.lower_is_better else -value
