"""What a look at a run's health needs beside its row and its curves: the newest snapshot, prunings, warnings."""

import base64
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.tables import Event
from rankscope.store.events import stored, visible


class UnpackedRanks(NamedTuple):
    """A snapshot: `mask` bool and `scores` float32, both (modules, width)."""

    step: int
    is_final: bool
    mask: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float32]


def newest_ranks(session: Session, run_id: str) -> UnpackedRanks | None:
    """The visible snapshot of the highest step; None before the first one."""
    row = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "ranks", visible(session, run_id))
        .order_by(col(Event.seq).desc())  # of what is visible the newest event has the highest step
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    event = stored(row)
    shape = event["modules"], event["width"]
    bits = np.frombuffer(base64.b64decode(event["mask"]), np.uint8)
    mask = np.unpackbits(bits, count=shape[0] * shape[1], bitorder="little").astype(bool).reshape(shape)
    scores = np.frombuffer(base64.b64decode(event["scores"]), "<f2").astype(np.float32).reshape(shape)
    return UnpackedRanks(event["step"], event["final"], mask, scores)


def has_pruned(session: Session, run_id: str) -> bool:
    """Whether a visible pruning took a component away."""
    query = (
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "prune", visible(session, run_id))
        .order_by(col(Event.seq).desc())
        .execution_options(yield_per=20)
    )
    with closing(session.scalars(query)) as rows:
        return any(row.payload and row.payload["pruned"] for row in rows)


def warnings(session: Session, run_id: str) -> list[dict[str, Any]]:
    """Visible warnings of the training, in order: the newest 500."""
    rows = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "warning", visible(session, run_id))
        .order_by(col(Event.seq).desc())
        .limit(500)
    )
    return [stored(row) for row in rows][::-1]
