"""Small curves of one metric for the rows of the runs table: a few points of each run, without reading its history.

A run of any length costs about the same: a part of its chunks in their reduced form, and after them some of the events, found
in the index.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Integer, and_, column, func, select, text
from sqlalchemy.sql import literal
from sqlmodel import Session, col

from rankscope.contract.tables import Attempt, Chunk, Event, Run
from rankscope.store.history import event_text
from rankscope.store.history.points import Points, joined, unpack

LEVELS = 20
_CHUNKS = 12
"""Limit for each run."""
_EVENTS = 48
_HIGHEST = 99
# As text: SQLAlchemy would go through 48 statements for each request. With a recursive query instead, SQLite reads every
# event.
_PLACES = text(" UNION ALL ".join(f"SELECT {number} AS number" for number in range(_EVENTS))).columns(
    column("number", Integer)
)


@dataclass(frozen=True)
class Sparkline:
    first: float
    """The mean of the first part of the curve. `last` is that of the last part."""
    last: float
    levels: list[int]
    """From 0 (the lowest) to 99 (the highest), of `LEVELS` equal parts of the recorded steps."""


def read_sparklines(session: Session, run_ids: Sequence[str], metric: str) -> dict[str, Sparkline]:
    """By run. A run with fewer than two finite values has none."""
    parts = _chunks(session, run_ids, metric)
    for run_id, tail in _tails(session, run_ids, metric).items():
        parts[run_id] += tail
    starts = _starts(session, run_ids)
    drawn = {run_id: _drawn(_visible(some, starts.get(run_id, {}))) for run_id, some in parts.items()}
    return {run_id: line for run_id, line in drawn.items() if line is not None}


_Parts = defaultdict[str, list[tuple[int, Points]]]
"""By run, (attempt, points) in the order of the events."""


def _chunks(session: Session, run_ids: Sequence[str], metric: str) -> _Parts:
    own = [col(Chunk.run_id).in_(run_ids), col(Chunk.name) == metric]
    starts: defaultdict[str, list[int]] = defaultdict(list)
    keys = select(col(Chunk.run_id), col(Chunk.first_seq)).where(*own).order_by(col(Chunk.first_seq))
    for run_id, first_seq in session.execute(keys):
        starts[run_id].append(first_seq)
    wanted = {
        (run_id, some[place])
        for run_id, some in starts.items()
        for place in np.linspace(0, len(some) - 1, min(len(some), _CHUNKS)).round().astype(int)
    }
    found: _Parts = defaultdict(list)
    if wanted:
        where = [*own, col(Chunk.first_seq).in_({first_seq for _, first_seq in wanted})]
        columns = (col(Chunk.run_id), col(Chunk.first_seq), col(Chunk.attempt), col(Chunk.reduced))
        for run_id, first_seq, attempt, reduced in session.execute(select(*columns).where(*where).order_by(columns[1])):
            if (run_id, first_seq) in wanted:
                found[run_id].append((attempt, unpack(reduced)))
    return found


def _tails(session: Session, run_ids: Sequence[str], metric: str) -> _Parts:
    """Points of events that are not in chunks: the first event after each of some evenly spaced numbers."""
    place = _PLACES.subquery()
    start = col(Run.chunked_seq) + (col(Run.last_seq) - col(Run.chunked_seq)) * place.c.number // (_EVENTS - 1)
    following = (
        select(func.min(col(Event.seq)))
        .where(col(Event.run_id) == col(Run.id), col(Event.kind) == "metrics", col(Event.seq) > start)
        .correlate(Run, place)
        .scalar_subquery()
    )
    chosen = (
        select(col(Run.id).label("run_id"), following.label("seq"))
        .select_from(Run)
        .join(place, literal(True))
        .where(col(Run.id).in_(run_ids))
        .distinct()
        .subquery()
    )
    rows = session.execute(
        select(col(Event.run_id), col(Event.attempt), col(Event.step), col(Event.payload))
        .join(chosen, and_(col(Event.run_id) == chosen.c.run_id, col(Event.seq) == chosen.c.seq))
        .order_by(col(Event.run_id), col(Event.seq))
    )
    points: defaultdict[tuple[str, int], list[tuple[int, float]]] = defaultdict(list)
    value_in = event_text.metric_reader(metric)
    for run_id, attempt, step, payload in rows:
        value = value_in(payload)
        if value is not None:
            points[run_id, attempt].append((step, value))
    found: _Parts = defaultdict(list)
    for (run_id, attempt), some in sorted(points.items()):
        steps, values = zip(*some, strict=True)
        found[run_id].append((attempt, Points(np.array(steps, np.int32), np.zeros(len(steps)), np.array(values))))
    return found


def _starts(session: Session, run_ids: Sequence[str]) -> dict[str, dict[int, int]]:
    """By run, the step at which each attempt started."""
    query = select(col(Attempt.run_id), col(Attempt.number), col(Attempt.start_step))
    found: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for run_id, number, start in session.execute(
        query.where(col(Attempt.run_id).in_(run_ids), col(Attempt.start_step).is_not(None))
    ):
        found[run_id][number] = start
    return found


def _visible(parts: Sequence[tuple[int, Points]], starts: Mapping[int, int]) -> Points:
    """Without what a later attempt has replaced."""
    kept = []
    for attempt, points in parts:
        later = [start for number, start in starts.items() if number > attempt]
        kept.append(points.at(points.steps <= min(later)) if later else points)
    return joined(kept).by_step()


def _drawn(of: Points) -> Sparkline | None:
    is_finite = np.isfinite(of.values)
    steps, values = of.steps[is_finite], of.values[is_finite]
    if len(values) < 2 or steps[0] == steps[-1]:
        return None
    part = np.minimum((steps - steps[0]) * LEVELS // (steps[-1] - steps[0]), LEVELS - 1)
    n = np.bincount(part, minlength=LEVELS)
    known = np.flatnonzero(n)
    means = np.interp(np.arange(LEVELS), known, np.bincount(part, values, LEVELS)[known] / n[known])
    low, span = means.min(), np.ptp(means)
    levels = np.rint((means - low) / span * _HIGHEST) if span > 0 else np.full(LEVELS, _HIGHEST // 2)
    return Sparkline(_short(means[0]), _short(means[-1]), levels.astype(int).tolist())


def _short(value: float) -> float:
    return float(f"{value:.4g}")
