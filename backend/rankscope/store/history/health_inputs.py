"""Inputs of the health rules besides the run's row and curves: the newest snapshot, prunings, phase, warnings."""

import base64
from contextlib import closing
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, select
from sqlmodel import Session, col

from rankscope.contract.stored import StoredPruning, StoredRanks, StoredWarning
from rankscope.contract.tables import Event
from rankscope.store.history.event_text import stored
from rankscope.store.history.events import visible


class UnpackedRanks(NamedTuple):
    """A snapshot: `mask` bool and `scores` float32, both (modules, width). `budget`: of this step, by the schedule."""

    step: int
    is_final: bool
    is_pruning: bool
    budget: int
    mask: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float32]


class Cut(NamedTuple):
    """A pruning that removed components: their scores, and the lowest remaining score."""

    step: int
    threshold: float
    scores: list[float]


def newest_ranks(session: Session, run_id: str) -> UnpackedRanks | None:
    """The visible snapshot with the highest step; None before the first one."""
    row = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "ranks", visible(session, run_id))
        .order_by(col(Event.seq).desc())  # the newest visible event has the highest step
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    event = cast(StoredRanks, stored(row))
    shape = event["modules"], event["width"]
    bits = np.frombuffer(base64.b64decode(event["mask"]), np.uint8)
    mask = np.unpackbits(bits, count=shape[0] * shape[1], bitorder="little").astype(bool).reshape(shape)
    scores = np.frombuffer(base64.b64decode(event["scores"]), "<f2").astype(np.float32).reshape(shape)
    return UnpackedRanks(event["step"], event["final"], event["pruning"], event["budget"], mask, scores)


def newest_pruning(session: Session, run_id: str) -> tuple[int, int] | None:
    """(step, budget) of the newest visible pruning."""
    row = session.scalars(_prunings(session, run_id).limit(1)).one_or_none()
    if row is None:
        return None
    event = cast(StoredPruning, stored(row))
    return event["step"], event["budget"]


def newest_cut(session: Session, run_id: str) -> Cut | None:
    """The newest visible pruning that removed a component."""
    with closing(session.scalars(_prunings(session, run_id).execution_options(yield_per=20))) as rows:
        for row in rows:
            event = cast(StoredPruning, stored(row))
            if event["pruned"]:
                scores = [float(one["score"]) for one in event["pruned"]]
                return Cut(event["step"], float(event["threshold"]), scores)
    return None


def phase_since(session: Session, run_id: str) -> float | None:
    """When the newest attempt last entered a phase."""
    found: float | None = session.scalar(
        select(col(Event.time))
        .where(col(Event.run_id) == run_id, col(Event.kind) == "phase")
        .order_by(col(Event.seq).desc())
        .limit(1)
    )
    return found


def _prunings(session: Session, run_id: str) -> Select[Event]:
    return (
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "prune", visible(session, run_id))
        .order_by(col(Event.seq).desc())
    )


def warnings(session: Session, run_id: str) -> list[StoredWarning]:
    """The newest 500 visible warnings of the training, in order."""
    rows = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "warning", visible(session, run_id))
        .order_by(col(Event.seq).desc())
        .limit(500)
    )
    return [cast(StoredWarning, stored(row)) for row in rows][::-1]
