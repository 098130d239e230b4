"""Runs that come from another installation: stored a part at a time, and never queued."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update
from sqlmodel import Session, col

from rankscope.contract.config import RunConfig
from rankscope.contract.events import RunEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import Environment, MetricSummary
from rankscope.contract.tables import Attempt, DeletedRun, Event, Run
from rankscope.store import runs
from rankscope.store.history import event_text, rebuild
from rankscope.store.history.evaluation_points import store_evaluations
from rankscope.store.history.metric_rows import store_metrics
from rankscope.store.history.summary import run_changes

_UNFINISHED = "The import of this run did not finish."
_UNFINISHED_STEP = "Delete this run, and import the bundle again."


@dataclass(frozen=True)
class ImportedRun:
    """The properties of a run that its events don't contain."""

    name: str
    tags: Sequence[str]
    notes: str
    status: RunStatus
    reason: str | None
    message: str | None
    next_step: str | None
    cause: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    attempt: int
    total_steps: int | None
    settled_step: int | None
    environment: Environment


@dataclass(frozen=True)
class ImportedEvent:
    seq: int
    attempt: int
    time: float
    event: RunEvent


def is_known(session: Session, run_id: str) -> bool:
    """Whether a run has this id, or had it until it was deleted not long ago."""
    known = select(col(Run.id)).where(col(Run.id) == run_id)
    deleted = select(col(DeletedRun.id)).where(col(DeletedRun.id) == run_id)
    return session.scalar(known) is not None or session.scalar(deleted) is not None


def create(session: Session, run_id: str, imported: ImportedRun, config: RunConfig, *, now: float) -> None:
    """Stores a stopped run without events, which says that its import did not finish."""
    run = runs.create_run(
        session,
        config,
        now=now,
        run_id=run_id,
        name=imported.name,
        tags=imported.tags,
        notes=imported.notes,
        environment=imported.environment,
        total_steps=imported.total_steps,
    )
    session.execute(delete(Event).where(col(Event.run_id) == run_id))
    # In the same transaction, so that no worker can take it.
    run.status, run.last_seq = RunStatus.stopped, 0
    run.created_at, run.started_at, run.ended_at = imported.created_at, imported.started_at, now
    run.attempt = imported.attempt
    run.message, run.next_step = _UNFINISHED, _UNFINISHED_STEP
    session.add(run)


def add_events(session: Session, run_id: str, batch: Sequence[ImportedEvent]) -> None:
    """Appends events with their numbers, and updates the run's row from them."""
    metrics: dict[str, MetricSummary]
    metrics, settled_step = session.execute(
        select(col(Run.metrics), col(Run.settled_step)).where(col(Run.id) == run_id)
    ).one()
    session.execute(insert(Event), [_row(run_id, one) for one in batch])
    changes = run_changes([one.event for one in batch], metrics, settled_step) | {"last_seq": batch[-1].seq}
    session.execute(
        update(Run).where(col(Run.id) == run_id).values(**changes).execution_options(synchronize_session=False)
    )
    if "metrics" in changes:
        store_metrics(session, run_id, metrics, changes["metrics"])  # type: ignore[arg-type]
        store_evaluations(session, run_id, [one.event for one in batch])


def add_attempts(session: Session, attempts: Mapping[int, Attempt]) -> None:
    session.add_all(attempts.values())


def finish(session: Session, run_id: str, imported: ImportedRun, *, artifact: str | None, last: float | None) -> None:
    """Gives the run its own status. One that had not ended is stopped here. `last`: the time of its last event."""
    if imported.attempt > 1:
        rebuild.rebuild_metrics(session, run_id)
    run = runs.get_run(session, run_id)
    run.artifact, run.phase = artifact, None
    # A fork from a checkpoint with the final mask has no pruning that says so.
    run.settled_step = imported.settled_step if run.settled_step is None else run.settled_step
    run.ended_at = imported.ended_at or last or run.ended_at
    if imported.status.is_terminal:
        run.status, run.reason, run.message = imported.status, imported.reason, imported.message
        run.next_step, run.cause = imported.next_step, imported.cause
    else:
        run.message, run.next_step = f"It was {imported.status} when its bundle was exported.", None
    session.add(run)


def _row(run_id: str, one: ImportedEvent) -> dict[str, object]:
    return {
        "run_id": run_id,
        "seq": one.seq,
        "attempt": one.attempt,
        "time": one.time,
        "kind": one.event.kind,
        "step": getattr(one.event, "step", None),
        "payload": event_text.write(one.event),
    }
