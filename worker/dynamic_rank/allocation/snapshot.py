"""Snapshot: ranks and scores of all modules at one step, and PruneDecision: what one pruning changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ComponentChange:
    """A component that a pruning switched off or on. `order` is its place among all, 1 the most important."""

    module: str
    module_index: int
    component: int
    score: float
    order: int


@dataclass(frozen=True)
class PruneDecision:
    """One pruning: the budget it met, and the components whose state it changed.

    budget, live   in units of the config's budget_unit; equal where a component costs 1
    threshold      lowest score that stayed live; None if nothing stayed
    total          components in the model; ComponentChange.order runs from 1 to total
    """

    step: int
    budget: int
    live: int
    threshold: float | None
    is_final: bool
    total: int
    pruned: tuple[ComponentChange, ...]
    regrown: tuple[ComponentChange, ...]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Ranks and scores of every module right after optimizer step `step`. Rows are modules in forward-pass order.

    mask    (modules, width) bool: live components by the latest pruning, by their original index, all through the run
    scores  (modules, width) float32: for dynamic_rank the smoothed importance, at a pruning step the very numbers
            that decided, between prunings rounded to float16 as they are stored; NaN stays NaN
    budget  units that the schedule allows at this step; live: units live since the latest pruning
    threshold, decision   of the latest pruning, and of a pruning at this very step
    dem     the DEM term R of the latest batch, before eta; None once pruning ended or where there is none
    raw_scores  (modules, width) float32: importance of this step alone, before smoothing; None unless asked for, where
            no step was scored (before the first one, after the final mask), and for scores without such a form
    """

    step: int
    total_steps: int
    budget: int
    live: int
    threshold: float | None
    is_pruning_step: bool
    is_final: bool
    n_modules: int
    width: int
    mask: BoolArray
    scores: FloatArray
    decision: PruneDecision | None = None
    dem: float | None = None
    raw_scores: FloatArray | None = None

    @property
    def ranks(self) -> list[int]:
        """Live components of each module."""
        return [int(rank) for rank in self.mask.sum(axis=1)]

    def pack_scores(self) -> bytes:
        """Scores as little-endian float16, row by row: 2 * modules * width bytes. NaN stays NaN."""
        with np.errstate(over="ignore"):
            return self.scores.astype("<f2").tobytes()

    def pack_mask(self) -> bytes:
        """Mask as bits, row by row, lowest bit first: ceil(modules * width / 8) bytes."""
        return np.packbits(self.mask.reshape(-1), bitorder="little").tobytes()


OnSnapshot = Callable[[Snapshot], None]


def to_host(tensor: Tensor) -> npt.NDArray[Any]:
    """The tensor's values on the host, in its own dtype. This waits for the GPU: the only copy of a snapshot."""
    values: npt.NDArray[Any] = tensor.detach().cpu().numpy().copy()
    return values


def pack_halves(scores: Tensor, value: Tensor | None) -> Tensor:
    """Scores as float16, as a snapshot travels, and behind them the bits of one float32: so that one copy takes both."""
    halves = scores.detach().reshape(-1).half()
    if value is None:
        return halves
    return torch.cat([halves, value.detach().to(halves.device, torch.float32).reshape(1).view(torch.float16)])


def unpack_halves(packed: npt.NDArray[Any], count: int) -> tuple[FloatArray, float | None]:
    """`count` scores as float32, and the value if there was one."""
    value = float(packed[count:].view(np.float32)[0]) if packed.size > count else None
    return packed[:count].astype(np.float32), value
