"""Ranks in proportion to scores, within a budget in parameters (method of the largest remainder)."""

from __future__ import annotations

import math
from collections.abc import Sequence

_LEAST_SHARE = 1e-12
"""Score of a module without one, as a share of the largest: it gets the components that the others can't take."""
_HALVINGS = 200


def assign_ranks(
    scores: Sequence[float], costs: Sequence[int], budget: int, *, least: int, most: Sequence[int]
) -> list[int]:
    """Return the rank of each module: as close to a multiple of its score as whole ranks and the limits allow.

    A component of module i costs costs[i] parameters. The ranks cost at most `budget`, and the rest is not enough for
    one more component of a module below its limit most[i], even in exchange for a component of another module. No
    module gets less than `least`.

    Raises ValueError for a score that is NaN, infinite or negative, and if `least` alone exceeds the budget.
    """
    bad = next((i for i, score in enumerate(scores) if not 0 <= score < math.inf), None)
    if bad is not None:
        raise ValueError(f"Score {bad} is {scores[bad]}; scores must be finite, and 0 or more.")
    if least * sum(costs) > budget:
        raise ValueError(f"Rank {least} in every module costs {least * sum(costs)} parameters; the budget is {budget}.")
    largest = max(scores, default=0.0) or 1.0
    shares = [max(score / largest, _LEAST_SHARE) if any(scores) else 1.0 for score in scores]

    def wanted(factor: float) -> list[float]:
        return [min(max(factor * share, least), top) for share, top in zip(shares, most, strict=True)]

    low, high = 0.0, max(most, default=0) / _LEAST_SHARE
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        spent = sum(rank * cost for rank, cost in zip(wanted(middle), costs, strict=True))
        low, high = (middle, high) if spent <= budget else (low, middle)
    exact = wanted(low)
    # The factor is exact up to rounding: 2.9999999999 components are 3.
    ranks = [math.floor(rank + 1e-9) for rank in exact]
    left = budget - sum(rank * cost for rank, cost in zip(ranks, costs, strict=True))
    order = sorted(range(len(ranks)), key=lambda i: (ranks[i] - exact[i], -scores[i]))
    while any(_fits(i, ranks, costs, most, left) for i in order):
        for i in order:
            if _fits(i, ranks, costs, most, left):
                ranks[i] += 1
                left -= costs[i]
    while left and (swap := _swap(ranks, exact, scores, costs, least, most, left)):
        less, more = swap
        ranks[less] -= 1
        ranks[more] += 1
        left -= costs[more] - costs[less]
    return ranks


def _swap(
    ranks: Sequence[int],
    exact: Sequence[float],
    scores: Sequence[float],
    costs: Sequence[int],
    least: int,
    most: Sequence[int],
    left: int,
) -> tuple[int, int] | None:
    """Return the module that gives up a component and the larger one that gets one, to spend as much of `left` as possible.

    Among the modules of equal cost, the one furthest above its exact rank gives up a component, and the one furthest
    below gets one.
    """
    giving: dict[int, int] = {}
    getting: dict[int, int] = {}
    for i in sorted(range(len(ranks)), key=lambda i: (ranks[i] - exact[i], -scores[i])):
        if ranks[i] < most[i]:
            getting.setdefault(costs[i], i)
        if ranks[i] > least:
            giving[costs[i]] = i
    pairs = ((less, more) for less in giving.values() for more in getting.values())
    fitting = [(less, more) for less, more in pairs if 0 < costs[more] - costs[less] <= left]
    return max(fitting, key=lambda pair: costs[pair[1]] - costs[pair[0]], default=None)


def _fits(i: int, ranks: Sequence[int], costs: Sequence[int], most: Sequence[int], left: int) -> bool:
    return ranks[i] < most[i] and costs[i] <= left
