"""The ranks of two runs at matching moments: at equal steps, equal progress or an equal budget."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from sqlmodel import Session

from rankscope.comparison.agreement import Agreement, agreement
from rankscope.contract.stored import StoredModule
from rankscope.contract.tables import Run
from rankscope.store.history import snapshots
from rankscope.store.history.rank_columns import module_ranks

Alignment = Literal["step", "progress", "budget"]
NOT_ADAPTED = 65535
"""Value of a rank if the run doesn't adapt the module."""
_FRAMES = 500
Places = npt.NDArray[np.float64]
Frames = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Allocation:
    """`ranks` uint16 (snapshots, modules), `steps` and `live` int (snapshots,), in the order of the steps."""

    modules: list[StoredModule]
    width: int
    total_steps: int | None
    steps: npt.NDArray[np.int64]
    live: npt.NDArray[np.int64]
    ranks: npt.NDArray[np.uint16]


@dataclass(frozen=True)
class RankDifference:
    """Two allocations over the union of their modules, at shared positions."""

    modules: list[StoredModule]
    positions: Places
    steps: tuple[list[int], list[int]]
    live: tuple[list[int], list[int]]
    ranks: tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]
    """(positions, modules) each; NOT_ADAPTED where the run doesn't adapt the module."""
    widths: tuple[int, int]
    shared_modules: int
    agreement: Agreement
    """Over the modules that both runs adapt."""


def read_allocation(session: Session, run: Run) -> Allocation | None:
    """At most 500 snapshots of the run's ranks; None before the first one."""
    event = snapshots.modules_event(session, run.id)
    if event is None:
        return None
    frames = snapshots.live_masks(session, run.id, event, limit=_FRAMES)
    if not frames:
        return None
    return Allocation(
        event["modules"],
        event["width"],
        run.total_steps,
        np.array([frame["step"] for frame in frames]),
        np.array([frame["live"] for frame in frames]),
        module_ranks(frames, len(event["modules"]), event["width"]),
    )


def difference(a: Allocation, b: Allocation, align: Alignment, *, most: int) -> RankDifference:
    """Compares the runs at up to `most` positions, which always include the last one."""
    places = [_positions(one, align) for one in (a, b)]
    positions = _thinned(np.unique(np.concatenate(places)), most)
    if align == "budget":
        positions = positions[::-1]
    at = [_frames_at(place, positions, align) for place in places]
    modules, columns = _union(a.modules, b.modules)
    ranks = tuple(
        _spread_out(one.ranks[frames], column, len(modules))
        for one, frames, column in zip((a, b), at, columns, strict=True)
    )
    shared = (ranks[0][0] != NOT_ADAPTED) & (ranks[1][0] != NOT_ADAPTED)
    return RankDifference(
        modules,
        positions,
        (a.steps[at[0]].tolist(), b.steps[at[1]].tolist()),
        (a.live[at[0]].tolist(), b.live[at[1]].tolist()),
        (ranks[0], ranks[1]),
        (a.width, b.width),
        int(shared.sum()),
        agreement(ranks[0][:, shared], ranks[1][:, shared]),
    )


def _positions(of: Allocation, align: Alignment) -> Places:
    if align == "progress":
        return of.steps / float(of.total_steps or max(1, int(of.steps[-1])))
    return (of.live if align == "budget" else of.steps).astype(float)


def _frames_at(places: Places, positions: Places, align: Alignment) -> Frames:
    """The newest snapshot at each position: up to that step or progress, or with at least that many live components.

    A position before a run's first snapshot gets that snapshot, and a position after its end the last one.
    """
    if align != "budget":
        return np.maximum(np.searchsorted(places, positions, "right") - 1, 0)
    reached = places[None, :] >= positions[:, None]
    last = places.shape[0] - 1 - np.argmax(reached[:, ::-1], axis=1)
    found: Frames = np.where(reached.any(axis=1), last, 0)
    return found


def _thinned(positions: Places, most: int) -> Places:
    if len(positions) <= most:
        return positions
    kept: Places = positions[np.unique(np.linspace(0, len(positions) - 1, most).round().astype(int))]
    return kept


def _union(a: list[StoredModule], b: list[StoredModule]) -> tuple[list[StoredModule], tuple[list[int], list[int]]]:
    """Modules of both runs by name, and the place of each run's modules among them."""
    places = {module["name"]: place for place, module in enumerate(a)}
    modules = list(a)
    for module in b:
        if module["name"] not in places:
            places[module["name"]] = len(modules)
            modules.append(module)
    order = sorted(
        range(len(modules)), key=lambda place: (modules[place]["layer"] is None, modules[place]["layer"] or 0)
    )
    moved = {place: new for new, place in enumerate(order)}
    columns = ([moved[places[module["name"]]] for module in one] for one in (a, b))
    return [modules[place] for place in order], (next(columns), next(columns))


def _spread_out(ranks: npt.NDArray[np.uint16], columns: list[int], width: int) -> npt.NDArray[np.uint16]:
    whole = np.full((len(ranks), width), NOT_ADAPTED, np.uint16)
    whole[:, columns] = ranks
    return whole
