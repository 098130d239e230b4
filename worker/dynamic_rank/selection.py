"""Which components stay live: exact top-k over all modules together, in a stable order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .snapshot import BoolArray


@dataclass(frozen=True)
class Selection:
    """mask (n,): which stay. place (n,): 1 for the highest score. threshold: lowest score that stays, None if none."""

    mask: BoolArray
    place: npt.NDArray[np.int64]
    threshold: float | None


def select(scores: npt.NDArray[np.floating], budget: int, costs: npt.NDArray[np.int64] | None = None) -> Selection:
    """Keep the highest of `scores` (n,) that `budget` pays for; ties go to the lower index, NaN counts as lowest.

    Without `costs` a component costs 1 and exactly min(budget, n) stay. With `costs` (n,) the components are taken in
    order of their score, passing over those that no longer fit.
    """
    keys = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-keys, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(1, len(order) + 1)
    mask = np.zeros(len(order), dtype=bool)
    if costs is None:
        mask[order[:budget]] = True
    else:
        left = budget
        for index in order:
            if costs[index] <= left:
                mask[index] = True
                left -= int(costs[index])
    threshold = float(keys[mask].min()) if mask.any() else None
    return Selection(mask, place, threshold)
