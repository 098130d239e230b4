"""The data of curves, read from chunks and the few events after them: one read for all metrics, never all events.

A chunk that is entirely in the range contributes its reduced form; one at the edge is sliced from its exact form.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.tables import Chunk, Run
from rankscope.store.history.chunks import REDUCED_POINTS, recorded
from rankscope.store.history.events import cuts
from rankscope.store.history.points import NONE, Bools, Floats, Points, joined, reduced, smoothed, unpack

_MAX_KEYS = 5000
"""Limit for one query."""


class Steps(NamedTuple):
    """A range of steps, both ends included."""

    first: int = 0
    last: int = 2**31 - 1

    def upto(self, cut: int | None) -> "Steps":
        return self if cut is None else Steps(self.first, min(self.last, cut))

    def beyond(self, cut: int | None) -> "Steps":
        return Steps(1, 0) if cut is None else Steps(max(self.first, cut + 1), self.last)

    def holds(self, of: Points) -> Bools:
        return (of.steps >= self.first) & (of.steps <= self.last)


EVERY_STEP = Steps()


@dataclass(frozen=True)
class Curve:
    """A metric's curve: by step, reduced if there are more points than requested."""

    points: Points
    smoothed: Floats | None
    """Smoothed values at the same steps, computed from the run's first point on; None if not requested."""
    total: int
    """The number of points in the range."""
    ghosts: list[tuple[int, Points]]
    """(attempt, its points after the step from which a later attempt continued), reduced in the same way."""


def read_curves(
    session: Session,
    run_id: str,
    names: Sequence[str] | None = None,
    *,
    limit: int | None = None,
    within: Steps = EVERY_STEP,
    smooth: float = 0.0,
    with_ghosts: bool = False,
) -> dict[str, Curve]:
    """Name -> curve of at most about `limit` points (None: all); every metric of the run if `names` is None.

    `smooth`: weight of the moving average, 0 <= smooth < 1; 0: none.
    """
    reader = _Reader(session, run_id, names)
    shown = reader.select(lambda cut: (Steps(0, within.last) if smooth else within).upto(cut))
    ghosts = reader.select(within.beyond) if with_ghosts else {}
    for pieces in (*shown.values(), *ghosts.values()):
        reader.cut(pieces)
        if smooth or limit is None or sum(one.drawn() for one in pieces) < limit:
            reader.deepen(pieces)
    curves: dict[str, Curve] = {}
    for name in reader.names:
        points, total = _joined(shown.get(name, []))
        average = None
        if smooth:
            average = smoothed(points.values, smooth)
            inside = within.holds(points)
            points, average, total = points.at(inside), average[inside], int(inside.sum())
        kept = reduced(points.values, limit or total)
        curves[name] = Curve(
            points.at(kept),
            None if average is None else average[kept],
            total,
            [
                (one.attempt, ghost.at(reduced(ghost.values, limit or len(ghost))))
                for one in ghosts.get(name, [])
                for ghost, _ in [_joined([one])]
                if len(ghost)
            ],
        )
    return curves


def drawn_points(session: Session, run_id: str, *, is_exact: Callable[[str], bool]) -> dict[str, Points]:
    """Name -> the visible points of every metric: all points if `is_exact(name)`, else each chunk's reduced form."""
    reader = _Reader(session, run_id, None)
    shown = reader.select(EVERY_STEP.upto)
    for name, pieces in shown.items():
        if is_exact(name):
            reader.deepen(pieces)
        reader.cut(pieces)
    return {name: _joined(pieces)[0] for name, pieces in shown.items()}


class _Head(NamedTuple):
    """A chunk without its exact form."""

    first_seq: int
    first_step: int
    last_step: int
    n: int
    reduced: bytes


@dataclass
class _Pieces:
    """An attempt's points of one metric within a range: chunks in the order of their events, then the tail."""

    name: str
    attempt: int
    steps: Steps
    chunks: list[_Head]
    tail: Points
    exact: dict[int, Points] = field(default_factory=dict)
    """By `first_seq`: the chunks whose exact form was read."""

    def drawn(self) -> int:
        """The number of points to draw, given what was read so far."""
        return sum(len(part) for part, _ in self.parts())

    def is_whole(self, head: _Head) -> bool:
        return self.steps.first <= head.first_step and head.last_step <= self.steps.last

    def parts(self) -> Iterable[tuple[Points, int]]:
        """Points within the range, and their number before reduction."""
        for head in self.chunks:
            if head.first_seq in self.exact:
                part = self._within(self.exact[head.first_seq])
                yield part, len(part)
            else:
                yield unpack(head.reduced), head.n
        tail = self._within(self.tail)
        yield tail, len(tail)

    def _within(self, of: Points) -> Points:
        inside = self.steps.holds(of)
        return of if inside.all() else of.at(inside)


def _joined(pieces: Sequence[_Pieces]) -> tuple[Points, int]:
    """Points by step, and their number before reduction."""
    parts = [part for one in pieces for part in one.parts()]
    return joined(points for points, _ in parts).by_step(), sum(n for _, n in parts)


class _Reader:
    """Chunks and tail of some metrics, read in one snapshot of the database."""

    def __init__(self, session: Session, run_id: str, names: Sequence[str] | None) -> None:
        self._session, self._run_id = session, run_id
        chunked_seq, metrics = session.execute(
            select(col(Run.chunked_seq), col(Run.metrics)).where(col(Run.id) == run_id)
        ).one()
        self.names = sorted(metrics) if names is None else list(dict.fromkeys(names))
        self._cuts = cuts(session, run_id)
        self._tail = recorded(session, run_id, after=chunked_seq)
        self._heads: dict[tuple[str, int], list[_Head]] = defaultdict(list)
        where = [col(Chunk.run_id) == run_id]
        if names is not None:
            where.append(col(Chunk.name).in_(self.names))
        rows = session.execute(
            select(
                col(Chunk.name),
                col(Chunk.attempt),
                col(Chunk.first_seq),
                col(Chunk.first_step),
                col(Chunk.last_step),
                col(Chunk.n),
                col(Chunk.reduced),
            )
            .where(*where)
            .order_by(col(Chunk.name), col(Chunk.first_seq))
        )
        for name, attempt, *head in rows:
            self._heads[name, attempt].append(_Head(*head))

    def select(self, steps_of: Callable[[int | None], Steps]) -> dict[str, list[_Pieces]]:
        """Name -> what each attempt has within `steps_of(the attempt's cut)`, in the order of attempts."""
        found: dict[str, list[_Pieces]] = {name: [] for name in self.names}
        for name, attempt in sorted(self._heads.keys() | {(name, attempt) for attempt, name in self._tail}):
            if name not in found:
                continue
            steps = steps_of(self._cuts.get(attempt))
            chunks = [
                head
                for head in self._heads.get((name, attempt), [])
                if head.first_step <= steps.last and head.last_step >= steps.first
            ]
            found[name].append(_Pieces(name, attempt, steps, chunks, self._tail.get((attempt, name), NONE)))
        return found

    def deepen(self, pieces: Sequence[_Pieces]) -> None:
        """Reads the exact form of every chunk whose reduced form omits points."""
        for one in pieces:
            self._read_exact(one, [head for head in one.chunks if head.n > REDUCED_POINTS])

    def cut(self, pieces: Sequence[_Pieces]) -> None:
        """Reads the exact form of every chunk that crosses an end of the range."""
        for one in pieces:
            self._read_exact(one, [head for head in one.chunks if not one.is_whole(head)])

    def _read_exact(self, one: _Pieces, heads: Sequence[_Head]) -> None:
        missing = [head.first_seq for head in heads if head.first_seq not in one.exact]
        for start in range(0, len(missing), _MAX_KEYS):
            rows = self._session.execute(
                select(col(Chunk.first_seq), col(Chunk.exact)).where(
                    col(Chunk.run_id) == self._run_id,
                    col(Chunk.name) == one.name,
                    col(Chunk.attempt) == one.attempt,
                    col(Chunk.first_seq).in_(missing[start : start + _MAX_KEYS]),
                )
            )
            one.exact |= {first_seq: unpack(exact) for first_seq, exact in rows}
