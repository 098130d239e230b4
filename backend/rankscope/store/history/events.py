"""A run's events: appended in order, numbered 1..n without gaps, and read from any position.

The number is taken by `UPDATE run SET last_seq = last_seq + n` in the transaction of the insert. That row lock makes
commits of one run's events happen in the order of their numbers, so that a reader who has seen n never misses n - 1.
(A table-wide autoincrement is not commit-ordered on PostgreSQL: a reader could miss an event permanently.)
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import chain

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, true, update
from sqlmodel import Session, col

from rankscope.contract.config import Steering, stored_steering
from rankscope.contract.errors import LeaseLost, NotFound
from rankscope.contract.events import RunEvent, StoredEvent
from rankscope.contract.status import OWNED
from rankscope.contract.stored import StoredConfig, StoredSteerRequest
from rankscope.contract.tables import Attempt, Checkpoint, Event, Run
from rankscope.store.history import event_text
from rankscope.store.history.chunks import pack_events
from rankscope.store.history.evaluation_points import store_evaluations
from rankscope.store.history.event_text import EventRow
from rankscope.store.history.metric_rows import store_metrics
from rankscope.store.history.summary import run_changes

EVENT_COLUMNS = tuple(getattr(Event, name) for name in EventRow._fields)
_OWN = ("kind", "step", "payload")
_ROWS_A_FETCH = 50


def append(
    session: Session,
    run_id: str,
    attempt: int,
    batch: Sequence[RunEvent],
    *,
    now: float,
    times: Sequence[float] | None = None,
) -> int:
    """Appends a worker's events and returns the last number. Raises LeaseLost if the attempt no longer owns the run.

    `times`: the time of each event. None: now.
    """
    fence = and_(col(Run.attempt) == attempt, col(Run.status).in_(OWNED))
    return _append(session, run_id, batch, now, fence, times)


def append_unfenced(session: Session, run_id: str, batch: Sequence[RunEvent], *, now: float) -> int:
    """Appends the server's own events (changes of status), regardless of who owns the run."""
    return _append(session, run_id, batch, now, true())


def _append(
    session: Session,
    run_id: str,
    batch: Sequence[RunEvent],
    now: float,
    fence: ColumnElement[bool],
    times: Sequence[float] | None = None,
) -> int:
    taken = session.execute(
        update(Run)
        .where(col(Run.id) == run_id, fence)
        .values(last_seq=Run.last_seq + len(batch), updated_at=now)
        .returning(
            col(Run.last_seq),
            col(Run.chunked_seq),
            col(Run.attempt),
            col(Run.metrics),
            col(Run.settled_step),
            col(Run.config),
            col(Run.steer_requests),
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if taken is None:
        raise LeaseLost(f"This attempt no longer owns run {run_id}.")
    last_seq, chunked_seq, attempt, metrics, settled_step, config, requests = taken
    first_seq = last_seq - len(batch) + 1
    session.execute(
        insert(Event),
        [
            _row(event, run_id, first_seq + index, attempt, now if times is None else times[index])
            for index, event in enumerate(batch)
        ],
    )
    changes = run_changes(batch, metrics, settled_step) | _steered(batch, config, requests)
    packed_seq = pack_events(session, run_id, chunked_seq, last_seq)
    if packed_seq > chunked_seq:
        changes["chunked_seq"] = packed_seq
    if changes:
        session.execute(
            update(Run).where(col(Run.id) == run_id).values(**changes).execution_options(synchronize_session=False)
        )
    if "metrics" in changes:
        store_metrics(session, run_id, metrics, changes["metrics"])  # type: ignore[arg-type]
        store_evaluations(session, run_id, batch)
    for event in batch:
        if event.kind == "checkpoint":
            session.merge(
                Checkpoint(run_id=run_id, attempt=attempt, step=event.step, created_at=now, size_bytes=event.size_bytes)
            )
    return int(last_seq)


def _row(event: RunEvent, run_id: str, seq: int, attempt: int, at: float) -> dict[str, object]:
    row = EventRow(seq, attempt, at, event.kind, getattr(event, "step", None), event_text.write(event))
    return {"run_id": run_id, **row._asdict()}


def find_batch(session: Session, run_id: str, attempt: int, batch: Sequence[RunEvent], *, after: int) -> int | None:
    """Returns the last number of this attempt's batch if it is stored after number `after`, otherwise None.

    For a writer that doesn't know whether its commit succeeded. Finds only complete batches, which were one insert.
    """
    wanted = [tuple(_row(event, run_id, 0, attempt, 0)[name] for name in _OWN) for event in batch]
    rows = session.scalars(
        select(Event).where(col(Event.run_id) == run_id, col(Event.seq) > after).order_by(col(Event.seq))
    ).all()
    there = [(row.attempt, *(getattr(row, name) for name in _OWN)) for row in rows]
    for start in range(len(rows) - len(wanted) + 1):
        if all(found == (attempt, *row) for found, row in zip(there[start:], wanted, strict=False)):
            return rows[start + len(wanted) - 1].seq
    return None


def _steered(
    batch: Iterable[RunEvent], config: StoredConfig, requests: Sequence[StoredSteerRequest]
) -> dict[str, object]:
    """Adds steering that took effect to the run's configuration, so that a resume repeats it."""
    done = [event for event in batch if event.kind == "steer"]
    if not done:
        return {}
    known = stored_steering(config)
    for event in done:
        entry = Steering(step=event.step, action=event.action, target_rank=event.target_rank)
        if event.refused is None and entry not in known:
            known.append(entry)
    known.sort(key=lambda entry: entry.step)
    answered = {event.request for event in done}
    return {
        "config": config | {"steering": [entry.model_dump(mode="json") for entry in known]},
        "steer_requests": [request for request in requests if request["id"] not in answered],
    }


def read_after(
    session: Session, run_id: str, after: int, limit: int = 1000, kinds: Sequence[str] | None = None
) -> list[StoredEvent]:
    """Returns events with seq > `after`, in order, optionally only of these kinds."""
    with closing(rows_after(session, run_id, after, limit, kinds)) as rows:
        return [event_text.stored(row) for row in rows]


def texts_after(
    session: Session,
    run_id: str,
    after: int,
    limit: int,
    kinds: Sequence[str] | None = None,
    *,
    max_characters: int,
) -> list[tuple[int, str]]:
    """(seq, event as JSON) of the events with seq > `after`, in order.

    Stops early when they have `max_characters` in total; returns at least one event.
    """
    page: list[tuple[int, str]] = []
    size = 0
    with closing(rows_after(session, run_id, after, limit, kinds)) as rows:
        for row in rows:
            text = event_text.sent(row)
            size += len(text)
            if page and size > max_characters:
                break
            page.append((row.seq, text))
    return page


def rows_after(
    session: Session, run_id: str, after: int, limit: int, kinds: Sequence[str] | None = None
) -> Generator[EventRow]:
    """Yields rows with seq > `after`, in order, fetched on demand. Close it if you stop early."""
    where = [col(Event.run_id) == run_id, col(Event.seq) > after]
    if kinds:
        # One index range per kind: finds a few rare events without reading those between them.
        found = (
            session.scalars(
                select(col(Event.seq)).where(*where, col(Event.kind) == kind).order_by(col(Event.seq)).limit(limit)
            )
            for kind in set(kinds)
        )
        where = [col(Event.run_id) == run_id, col(Event.seq).in_(sorted(chain.from_iterable(found))[:limit])]
    query = select(*EVENT_COLUMNS).where(*where).order_by(col(Event.seq)).limit(limit)
    with closing(session.execute(query.execution_options(yield_per=_ROWS_A_FETCH))) as rows:
        for row in rows:
            yield EventRow(*row)


def last_seq(session: Session, run_id: str) -> int:
    seq = session.scalar(select(col(Run.last_seq)).where(col(Run.id) == run_id))
    if seq is None:
        raise NotFound(f"There is no run {run_id!r}.", "The list of runs shows all of them.")
    return seq


def cuts(session: Session, run_id: str) -> dict[int, int | None]:
    """Returns the last shown step of each attempt; None: all. An attempt that began at step s replaces everything that
    earlier attempts did after s.
    """
    starts = session.execute(
        select(col(Attempt.number), col(Attempt.start_step))
        .where(col(Attempt.run_id) == run_id)
        .order_by(col(Attempt.number).desc())
    ).all()
    found: dict[int, int | None] = {}
    cut: int | None = None
    for number, start_step in starts:
        found[number] = cut
        if start_step is not None:
            cut = start_step if cut is None else min(cut, start_step)
    return found


def visible(session: Session, run_id: str) -> ColumnElement[bool]:
    """A condition that excludes what a resume has replaced."""
    conditions = [
        col(Event.attempt) == attempt if cut is None else and_(col(Event.attempt) == attempt, col(Event.step) <= cut)
        for attempt, cut in cuts(session, run_id).items()
    ]
    return or_(*conditions) if conditions else true()


def is_replaced(starts: Mapping[int, int | None], attempt: int, step: int) -> bool:
    """Whether `visible` hides what `attempt` did at `step`, because a later attempt started before it.

    `starts`: attempt -> the step at which it began, None if it has not begun.
    """
    return any(
        number > attempt and start_step is not None and start_step < step for number, start_step in starts.items()
    )


def count(session: Session, run_id: str) -> int:
    return session.scalar(select(func.count()).select_from(Event).where(col(Event.run_id) == run_id)) or 0
