"""Snapshot: ranks and scores of all modules at a step. PruneDecision: the changes of one pruning."""

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
    """A component that was pruned or regrown. `order` is its position by score among all, 1 for the highest."""

    module: str
    module_index: int
    component: int
    score: float
    order: int


@dataclass(frozen=True)
class PruneDecision:
    """One pruning: its budget, and the components that it pruned or regrew.

    budget, live   in units of the config's budget_unit; equal if a component costs 1
    threshold      lowest score that stayed live; None if nothing stayed
    total          number of components in the model; ComponentChange.order is from 1 to total
    units          units of all components; None if a component costs 1
    """

    step: int
    budget: int
    live: int
    threshold: float | None
    is_final: bool
    total: int
    pruned: tuple[ComponentChange, ...]
    regrown: tuple[ComponentChange, ...]
    units: int | None = None

    @property
    def budget_in_components(self) -> int:
        """The budget in components of mean cost, rounded up."""
        return in_components(self.budget, self.total, self.units)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Ranks and scores of every module right after optimizer step `step`. Rows are modules in forward-pass order.

    mask        (modules, width) bool: live components since the latest pruning, always by original index
    scores      (modules, width) float32: smoothed importance (Mao et al. 2024, Eq. 8; other methods document theirs). At
                a pruning step these are exactly the numbers that decided; otherwise they are rounded to float16, as they
                are stored. NaN stays NaN
    budget      units that the schedule allows at this step
    live        units that have been live since the latest pruning
    threshold   lowest score that stayed live at the latest pruning
    decision    the pruning at this step, None if there was none
    dem         the DEM term R (Eq. 10) of the latest batch, without eta; None without DEM, or after pruning ended
    raw_scores  (modules, width) float32: importance of this step alone, before smoothing. None unless requested, if this
                step was not scored (before the first step, after the final mask), and for scores without this form
    units       units of all components; None if a component costs 1
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
    units: int | None = None

    @property
    def budget_in_components(self) -> int:
        """The budget in components of mean cost, rounded up."""
        return in_components(self.budget, self.mask.size, self.units)

    @property
    def ranks(self) -> list[int]:
        """Number of live components of each module."""
        return [int(rank) for rank in self.mask.sum(axis=1)]

    def pack_scores(self) -> bytes:
        """Scores as little-endian float16, row by row: 2 * modules * width bytes. NaN stays NaN."""
        with np.errstate(over="ignore"):
            return self.scores.astype("<f2").tobytes()

    def pack_mask(self) -> bytes:
        """Mask as bits, row by row, lowest bit first: ceil(modules * width / 8) bytes."""
        return np.packbits(self.mask.reshape(-1), bitorder="little").tobytes()


def in_components(budget: int, components: int, units: int | None) -> int:
    """A budget in units, of which all components have `units`, in components of mean cost, rounded up."""
    return budget if units is None else -(-budget * components // units)


OnSnapshot = Callable[[Snapshot], None]


def to_host(tensor: Tensor) -> npt.NDArray[Any]:
    """A copy of the tensor on the host, in its own dtype. Synchronises the device; a snapshot does this once."""
    values: npt.NDArray[Any] = tensor.detach().cpu().numpy().copy()
    return values


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy of a host tensor on `device`. The host does not wait for a GPU, unlike with a plain copy."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def pack_halves(scores: Tensor, value: Tensor | None) -> Tensor:
    """Scores as float16, followed by the bits of a float32 value if given, so that one copy transfers both."""
    halves = scores.detach().reshape(-1).half()
    if value is None:
        return halves
    return torch.cat([halves, value.detach().to(halves.device, torch.float32).reshape(1).view(torch.float16)])


def unpack_halves(packed: npt.NDArray[Any], count: int) -> tuple[FloatArray, float | None]:
    """The first `count` scores as float32 and the value of `pack_halves`, None if there was none."""
    value = float(packed[count:].view(np.float32)[0]) if packed.size > count else None
    return packed[:count].astype(np.float32), value
