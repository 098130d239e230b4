"""Chunks: the points of every metric, packed while events are appended, so that charts don't have to read all events."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine, insert, select
from sqlmodel import Session, col

from rankscope.contract.tables import Chunk, Event, Run
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import event_text
from rankscope.store.history.points import Points, joined, pack, reduced

EVENTS_A_CHUNK = 1024
"""Events per chunk. Fewer events stay unpacked."""
REDUCED_POINTS = 64
_MAX_EVENTS = 2 * EVENTS_A_CHUNK
_MAX_STRETCHES = 8
"""Largest number of events packed in one transaction. A run that was never packed takes several."""


def pack_events(session: Session, run_id: str, chunked_seq: int, last_seq: int) -> int:
    """Packs the metrics after event `chunked_seq` if there are enough. Returns the last event that is packed now.

    The caller has locked the run's row, and stores that number in it.
    """
    for _ in range(_MAX_STRETCHES):
        if last_seq - chunked_seq < EVENTS_A_CHUNK:
            break
        upto = min(last_seq, chunked_seq + _MAX_EVENTS)
        rows = [
            _row(run_id, chunked_seq + 1, attempt, name, one)
            for (attempt, name), one in recorded(session, run_id, after=chunked_seq, upto=upto).items()
        ]
        if rows:
            session.execute(insert(Chunk), rows)
        chunked_seq = upto
    return chunked_seq


def recorded(session: Session, run_id: str, *, after: int, upto: int | None = None) -> dict[tuple[int, str], Points]:
    """(attempt, name) -> points of the events after number `after`, in order."""
    where = [col(Event.run_id) == run_id, col(Event.kind) == "metrics", col(Event.seq) > after]
    if upto is not None:
        where.append(col(Event.seq) <= upto)
    rows = session.execute(
        select(col(Event.seq), col(Event.attempt), col(Event.step), col(Event.time), col(Event.payload))
        .where(*where)
        .order_by(col(Event.seq))
    )
    tables: dict[tuple[int, tuple[str, ...]], _Table] = {}
    for seq, attempt, step, time, payload in rows:
        values = cast(dict[str, float | str], event_text.read(payload)["values"])
        table = tables.setdefault((attempt, tuple(values)), _Table())
        table.seqs.append(seq)
        table.steps.append(step)
        table.times.append(time)
        table.rows.append(tuple(values.values()))
    return _by_name(tables)


@dataclass
class _Table:
    """Events of one attempt with the same metric names, so that they can be packed column by column."""

    seqs: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    rows: list[tuple[float | str, ...]] = field(default_factory=list)


def _by_name(tables: dict[tuple[int, tuple[str, ...]], _Table]) -> dict[tuple[int, str], Points]:
    parts: dict[tuple[int, str], list[tuple[npt.NDArray[np.int64], Points]]] = defaultdict(list)
    for (attempt, names), table in tables.items():
        seqs, steps, times = np.array(table.seqs), np.array(table.steps, np.int32), np.array(table.times, np.float64)
        # numpy parses "NaN", "Infinity" and "-Infinity".
        columns = np.array(table.rows, np.float64).T
        for name, values in zip(names, columns, strict=True):
            parts[attempt, name].append((seqs, Points(steps, times, np.ascontiguousarray(values))))
    return {
        key: joined(points for _, points in some).at(np.argsort(np.concatenate([seqs for seqs, _ in some])))
        if len(some) > 1
        else some[0][1]
        for key, some in parts.items()
    }


def _row(run_id: str, first_seq: int, attempt: int, name: str, of: Points) -> dict[str, object]:
    return {
        "run_id": run_id,
        "name": name,
        "first_seq": first_seq,
        "attempt": attempt,
        "n": len(of),
        "first_step": int(of.steps.min()),
        "last_step": int(of.steps.max()),
        "reduced": pack(of.at(reduced(of.values, REDUCED_POINTS))),
        "exact": pack(of),
    }


def pack_old_runs(engine: Engine) -> None:
    """Packs runs recorded before chunks existed, a few thousand events per transaction."""
    with reading(engine) as session:
        run_ids = session.scalars(
            select(col(Run.id)).where(col(Run.last_seq) - col(Run.chunked_seq) >= _MAX_EVENTS)
        ).all()
    for run_id in run_ids:
        while _pack_on(engine, run_id):
            pass


def _pack_on(engine: Engine, run_id: str) -> bool:
    with writing(engine) as session:
        run = session.get(Run, run_id, with_for_update=True)
        if run is None:
            return False
        before = run.chunked_seq
        run.chunked_seq = pack_events(session, run_id, before, run.last_seq)
        return run.chunked_seq > before
