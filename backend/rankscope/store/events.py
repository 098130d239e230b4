"""A run's events: appended in order, numbered 1..n without gap, read from anywhere.

The number is taken by `UPDATE run SET last_seq = last_seq + n` in the transaction of the insert. That row lock makes
commits of one run's events happen in the order of their numbers, so that a reader who has seen n never misses n - 1.
(A table-wide autoincrement is not commit-ordered on PostgreSQL: a reader can skip an event for ever.)
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, true, update
from sqlmodel import Session, col

from rankscope.contract.errors import LeaseLost, NotFound
from rankscope.contract.events import RunEvent, StoredEvent
from rankscope.contract.status import OWNED
from rankscope.contract.tables import Attempt, Checkpoint, Event, Run

_COLUMNS = ("kind", "name", "step")


def append(session: Session, run_id: str, attempt: int, batch: Sequence[RunEvent], *, now: float) -> int:
    """Appends a worker's events and returns the last number; LeaseLost when the attempt no longer owns the run."""
    return _append(session, run_id, batch, now, and_(col(Run.attempt) == attempt, col(Run.status).in_(OWNED)))


def append_unfenced(session: Session, run_id: str, batch: Sequence[RunEvent], *, now: float) -> int:
    """Appends the server's own events (changes of status), whoever owns the run."""
    return _append(session, run_id, batch, now, true())


def _append(session: Session, run_id: str, batch: Sequence[RunEvent], now: float, fence: ColumnElement[bool]) -> int:
    taken = session.execute(
        update(Run)
        .where(col(Run.id) == run_id, fence)
        .values(last_seq=Run.last_seq + len(batch), updated_at=now)
        .returning(
            col(Run.last_seq),
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
    last_seq, attempt, metrics, settled_step, config, requests = taken
    first_seq = last_seq - len(batch) + 1
    session.execute(
        insert(Event),
        [_row(event, run_id, first_seq + index, attempt, now) for index, event in enumerate(batch)],
    )
    changes = _run_changes(batch, metrics, settled_step) | _steered(batch, config, requests)
    if changes:
        session.execute(
            update(Run).where(col(Run.id) == run_id).values(**changes).execution_options(synchronize_session=False)
        )
    for event in batch:
        if event.kind == "checkpoint":
            session.merge(
                Checkpoint(run_id=run_id, attempt=attempt, step=event.step, created_at=now, size_bytes=event.size_bytes)
            )
    return int(last_seq)


def _row(event: RunEvent, run_id: str, seq: int, attempt: int, now: float) -> dict[str, Any]:
    # Not through the TypeAdapter: it would not use the model's own setting for NaN and inf, and write null.
    fields = {name: value for name, value in json.loads(event.model_dump_json()).items() if value is not None}
    row: dict[str, Any] = {"run_id": run_id, "seq": seq, "attempt": attempt, "time": now, "value": None}
    for name in _COLUMNS:
        row[name] = fields.pop(name, None)
    if event.kind == "metric" and math.isfinite(event.value):
        row["value"] = fields.pop("value")
    return row | {"payload": fields or None}


def find_batch(session: Session, run_id: str, attempt: int, batch: Sequence[RunEvent], *, after: int) -> int | None:
    """The last number of a batch of this attempt that stands somewhere after number `after`; None if it does not.

    For a writer that cannot know whether its commit went through. Only whole batches are found: they were one insert.
    """
    own = ("kind", "name", "step", "value", "payload")
    wanted = [tuple(_row(event, run_id, 0, attempt, 0)[name] for name in own) for event in batch]
    rows = session.scalars(
        select(Event).where(col(Event.run_id) == run_id, col(Event.seq) > after).order_by(col(Event.seq))
    ).all()
    there = [(row.attempt, *(getattr(row, name) for name in own)) for row in rows]
    for start in range(len(rows) - len(wanted) + 1):
        if all(found == (attempt, *row) for found, row in zip(there[start:], wanted, strict=False)):
            return rows[start + len(wanted) - 1].seq
    return None


def stored(row: Event) -> StoredEvent:
    """The event as readers see it."""
    event: StoredEvent = {"seq": row.seq, "attempt": row.attempt, "time": row.time, "kind": row.kind}
    for name in ("name", "step", "value"):
        if (value := getattr(row, name)) is not None:
            event[name] = value
    return event | (row.payload or {})


def _run_changes(batch: Iterable[RunEvent], metrics: dict[str, Any], settled_step: int | None) -> dict[str, Any]:
    """What these events change in the run's own row, which lists show without reading events."""
    changes: dict[str, Any] = {}
    for event in batch:
        match event.kind:
            case "metric":
                metrics = _with_point(metrics, settled_step, event.name, event.step, event.value)
                changes |= {"metrics": metrics, "step": event.step}
            case "phase":
                changes["phase"] = event.phase
            case "modules":
                changes |= {
                    "n_modules": len(event.modules), "width": event.width, "total_steps": event.total_steps,
                    "trained_parameters": event.trained_parameters,
                }  # fmt: skip
            case "ranks":
                # Between two prunings the mask does not change, so this is exact at every step.
                changes |= {"step": event.step, "budget": event.budget, "live": event.live}
            case "steer":
                changes["step"] = event.step
            case "prune" if event.final:
                settled_step = event.step
                changes["settled_step"] = settled_step
            case "artifact":
                changes |= {"artifact": event.name, "kept_parameters": event.kept_parameters}
    return changes


def _steered(batch: Iterable[RunEvent], config: dict[str, Any], requests: list[dict[str, Any]]) -> dict[str, Any]:
    """What was done to the training becomes part of the run's configuration, so that a resume does it again."""
    done = [event for event in batch if event.kind == "steer"]
    if not done:
        return {}
    known = list(config.get("steering", []))
    for event in done:
        entry = {"step": event.step, "action": event.action, "target_rank": event.target_rank}
        if event.refused is None and entry not in known:
            known.append(entry)
    answered = {event.request for event in done}
    return {
        "config": config | {"steering": sorted(known, key=lambda entry: int(entry["step"]))},
        "steer_requests": [request for request in requests if request["id"] not in answered],
    }


def _with_point(
    metrics: dict[str, Any], settled_step: int | None, name: str, step: int, value: float
) -> dict[str, Any]:
    """The summaries with one more point. Evaluations before the final mask are of a larger model than the one that is
    kept: the first one after it starts the summary anew, so that "best" is never a model that nobody can download.
    """
    before = metrics.get(name)
    if before and settled_step is not None and name.startswith("eval_") and before["last_step"] < settled_step <= step:
        before = None
    return metrics | {name: _widen(before, step, value)}


def _widen(summary: dict[str, Any] | None, step: int, value: float) -> dict[str, Any]:
    """A metric's {last, min, max, ...} with one more point. NaN and inf are shown as last, never as min or max."""
    text: float | str = value if math.isfinite(value) else _NONFINITE[str(value)]
    if summary is None or isinstance(summary["min"], str):
        return {"last": text, "last_step": step, "min": text, "min_step": step, "max": text, "max_step": step}
    summary = summary | {"last": text, "last_step": step}
    if math.isfinite(value):
        if value < summary["min"]:
            summary |= {"min": value, "min_step": step}
        if value > summary["max"]:
            summary |= {"max": value, "max_step": step}
    return summary


_NONFINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def read_after(session: Session, run_id: str, after: int, limit: int = 1000) -> list[StoredEvent]:
    """Events with seq > `after`, in order."""
    rows = session.scalars(
        select(Event).where(col(Event.run_id) == run_id, col(Event.seq) > after).order_by(col(Event.seq)).limit(limit)
    )
    return [stored(row) for row in rows]


def last_seq(session: Session, run_id: str) -> int:
    seq = session.scalar(select(col(Run.last_seq)).where(col(Run.id) == run_id))
    if seq is None:
        raise NotFound(f"There is no run {run_id!r}.", "Open the list of runs to see which there are.")
    return seq


def visible(session: Session, run_id: str) -> ColumnElement[bool]:
    """The condition that leaves out what a resume has replaced.

    An attempt that began at step s replaces everything that earlier attempts did after s.
    """
    starts = session.execute(
        select(col(Attempt.number), col(Attempt.start_step))
        .where(col(Attempt.run_id) == run_id)
        .order_by(col(Attempt.number).desc())
    ).all()
    cut: int | None = None
    conditions: list[ColumnElement[bool]] = []
    for number, start_step in starts:
        mine = col(Event.attempt) == number
        conditions.append(mine if cut is None else and_(mine, col(Event.step) <= cut))
        if start_step is not None:
            cut = start_step if cut is None else min(cut, start_step)
    return or_(*conditions) if conditions else true()


def is_replaced(starts: Mapping[int, int | None], attempt: int, step: int) -> bool:
    """Whether `visible` hides what `attempt` did at `step`: a later attempt began before it.

    `starts`: attempt -> the step that it began at, None while it has not.
    """
    return any(
        number > attempt and start_step is not None and start_step < step for number, start_step in starts.items()
    )


def rebuild_metrics(session: Session, run_id: str) -> None:
    """Makes the run's metric summaries anew from its visible events, after a resume has cut some away."""
    shown = visible(session, run_id)
    finals = session.execute(
        select(col(Event.step), col(Event.payload)).where(
            col(Event.run_id) == run_id, col(Event.kind) == "prune", shown
        )
    )
    settled_step = next((step for step, payload in finals if payload["final"]), None)
    if settled_step is None:
        # A fork from a checkpoint with the final mask has no such pruning of its own.
        settled_step = session.scalar(
            select(col(Run.parent_step)).where(col(Run.id) == run_id, col(Run.settled_step) == col(Run.parent_step))
        )
    metrics: dict[str, Any] = {}
    rows = session.execute(
        select(col(Event.name), col(Event.step), col(Event.value), col(Event.payload))
        .where(col(Event.run_id) == run_id, col(Event.kind) == "metric", shown)
        .order_by(col(Event.seq))
    )
    for name, step, value, payload in rows:
        metrics = _with_point(metrics, settled_step, name, step, float(payload["value"]) if value is None else value)
    session.execute(update(Run).where(col(Run.id) == run_id).values(metrics=metrics, settled_step=settled_step))


def count(session: Session, run_id: str) -> int:
    return session.scalar(select(func.count()).select_from(Event).where(col(Event.run_id) == run_id)) or 0
