"""Selection of the components that stay live: exact top-k over all modules together, in a stable order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .snapshot import BoolArray


@dataclass(frozen=True)
class Selection:
    """The result of a selection among n components.

    mask       (n,) bool: the components that stay live
    place      (n,): position of each component by score, 1 for the highest
    threshold  lowest score that stays live, None if no component does
    """

    mask: BoolArray
    place: npt.NDArray[np.int64]
    threshold: float | None


def select(scores: npt.NDArray[np.floating], budget: int, costs: npt.NDArray[np.int64] | None = None) -> Selection:
    """Keep the components with the highest `scores` (n,) within `budget`. Ties go to the lower index; NaN is lowest.

    Without `costs` a component costs 1 and exactly min(budget, n) stay. With `costs` (n,) components are taken in order
    of their score, and those that no longer fit are skipped.
    """
    keys, order, place = _ordered(scores)
    mask = np.zeros(len(order), dtype=bool)
    if costs is None:
        mask[order[:budget]] = True
    else:
        left = budget
        for index in order:
            if costs[index] <= left:
                mask[index] = True
                left -= int(costs[index])
    return Selection(mask, place, _lowest(keys, mask))


def select_above_threshold(scores: npt.NDArray[np.floating], budget: int) -> Selection:
    """The rule of the authors' program: prune every score up to the (n - budget)-th lowest, and at least the lowest.

    Ties at the threshold are pruned, so fewer than `budget` may stay. NaN is lowest.
    """
    keys, _, place = _ordered(scores)
    beyond = max(len(keys) - budget, 1)
    mask = keys > np.partition(keys, beyond - 1)[beyond - 1]
    return Selection(mask, place, _lowest(keys, mask))


def _ordered(
    scores: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Scores with NaN as -inf; their indices by descending score, equal scores by index; and the place of each."""
    keys = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-keys, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(1, len(order) + 1)
    return keys, order, place


def _lowest(keys: npt.NDArray[np.floating], mask: BoolArray) -> float | None:
    return float(keys[mask].min()) if mask.any() else None
