"""Who runs what: claims, leases, and runs whose worker went away.

`attempt` is the fence. A claim raises it, and every write of a worker says which attempt it belongs to: a worker that
was frozen and wakes up after its run was taken over writes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select, update
from sqlmodel import Session, col

from rankscope.contract.errors import LeaseLost
from rankscope.contract.events import StatusEvent
from rankscope.contract.status import CLAIMABLE, OWNED, RunStatus
from rankscope.contract.stored import StoredConfig
from rankscope.contract.tables import Attempt, Run
from rankscope.store import runs
from rankscope.store.history import events, rebuild
from rankscope.store.queue_positions import waiting


@dataclass(frozen=True)
class Claim:
    run_id: str
    attempt: int
    config: StoredConfig


class Lease(NamedTuple):
    """Who may write to a run, and until when by its worker's clock; each renewal makes another one."""

    run_id: str
    attempt: int
    expires_at: float | None


def claim_next(session: Session, *, worker: str, has_gpu: bool, lease_s: float, now: float) -> Claim | None:
    """Takes the next waiting run that fits this worker, by one UPDATE; None when there is none.

    Two workers never get the same run: SQLite has one writer at a time; on PostgreSQL the row is locked and rows that
    others have locked are skipped.
    """
    best = waiting(Run.id).limit(1).with_for_update(skip_locked=True)
    if not has_gpu:
        best = best.where(col(Run.needs_gpu).is_(False))
    claimed = session.execute(
        update(Run)
        .where(col(Run.id) == best.scalar_subquery(), col(Run.status).in_(CLAIMABLE))
        .values(
            status=RunStatus.starting,
            attempt=Run.attempt + 1,
            worker=worker,
            lease_expires_at=now + lease_s,
            attempt_started_at=now,
            updated_at=now,
            phase=None,
            reason=None,
            message=None,
            next_step=None,
            cause=None,
            stop_requested=None,
        )
        .returning(col(Run.id), col(Run.attempt), col(Run.config))
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if claimed is None:
        return None
    run_id, attempt, config = claimed
    session.execute(update(Run).where(col(Run.id) == run_id, col(Run.started_at).is_(None)).values(started_at=now))
    session.add(Attempt(run_id=run_id, number=attempt, worker=worker, started_at=now))
    session.flush()
    events.append(session, run_id, attempt, [StatusEvent(status=RunStatus.starting)], now=now)
    return Claim(run_id, attempt, config)


def renew_lease(session: Session, run_id: str, attempt: int, *, lease_s: float, now: float) -> str | None:
    """Keeps the run for another `lease_s` and returns what a person asked for: None, `save` or `now`.

    Raises LeaseLost when another attempt has taken the run, or it has ended.
    """
    row = session.execute(
        update(Run)
        .where(col(Run.id) == run_id, col(Run.attempt) == attempt, col(Run.status).in_(OWNED))
        .values(lease_expires_at=now + lease_s)
        .returning(col(Run.stop_requested))
    ).one_or_none()
    if row is None:
        raise LeaseLost(f"Attempt {attempt} no longer owns run {run_id}.")
    stop: str | None = row[0]
    return stop


def owned_run(session: Session, run_id: str, attempt: int) -> Run:
    """The run, if this attempt still owns it; else LeaseLost."""
    run = session.get(Run, run_id, populate_existing=True, with_for_update=True)
    if run is None or run.attempt != attempt or not run.status.is_owned:
        raise LeaseLost(f"Attempt {attempt} no longer owns run {run_id}.")
    return run


def begin_training(
    session: Session,
    run_id: str,
    attempt: int,
    *,
    start_step: int,
    now: float,
    trained_with: Mapping[str, str] | None = None,
) -> None:
    """The child has loaded: status running, and the view cuts older attempts at `start_step`.

    trained_with: versions and device of this attempt, kept with the run next to those of its first one.
    """
    run = owned_run(session, run_id, attempt)
    if trained_with is not None:
        environment = run.environment.copy()  # a new object: the session does not see a change within it
        first = environment.get("first_trained_with") or environment.get("trained_with")
        if first:
            environment["first_trained_with"] = first
        environment["trained_with"] = {**trained_with, "attempt": str(attempt)}
        run.environment = environment
    session.execute(
        update(Attempt)
        .where(col(Attempt.run_id) == run_id, col(Attempt.number) == attempt)
        .values(start_step=start_step)
    )
    run.attempt_started_at, run.attempt_start_step, run.step = now, start_step, start_step
    session.add(run)
    session.flush()
    if start_step or attempt > 1:
        rebuild.rebuild_metrics(session, run_id)
    if run.status == RunStatus.starting:
        runs.transition(session, run, RunStatus.running, now=now, step=start_step)


def give_up_lease(
    session: Session,
    run: Run,
    *,
    now: float,
    reason: str,
    message: str,
    max_lost_workers: int | None = None,
    cause: str | None = None,
    next_step: str | None = None,
) -> RunStatus:
    """A run without its worker: back to the waiting runs, stopped if a person wanted that, or failed if it loses every worker.

    With `max_lost_workers` None (a drain) the loss is not counted. `next_step`: what to do once it is failed.
    """
    if run.status == RunStatus.stopping:
        runs.transition(session, run, RunStatus.stopped, now=now, reason=reason, message=message, cause=cause)
        return RunStatus.stopped
    if max_lost_workers is not None:
        run.lost_workers += 1
        session.add(run)
        session.flush()
        if run.lost_workers > max_lost_workers:
            runs.transition(
                session,
                run,
                RunStatus.failed,
                now=now,
                reason=reason,
                message=f"{message} This has happened {run.lost_workers} times.",
                cause=cause,
                next_step=next_step or "Look at the log's end and at the worker's memory, then resume the run.",
            )
            return RunStatus.failed
    runs.transition(
        session,
        run,
        RunStatus.interrupted,
        now=now,
        reason=reason,
        message=message,
        cause=cause,
        next_step="Nothing to do: the next free worker resumes it from its newest checkpoint.",
    )
    return RunStatus.interrupted


def held_leases(session: Session) -> list[Lease]:
    """Every lease as it stands."""
    rows = session.execute(
        select(col(Run.id), col(Run.attempt), col(Run.lease_expires_at)).where(col(Run.status).in_(OWNED))
    )
    return [Lease(*row) for row in rows]


def reap(session: Session, *, now: float, max_lost_workers: int, lapsed: Collection[Lease] | None = None) -> list[str]:
    """Takes runs with a lapsed lease from their workers; returns their ids.

    `lapsed`: leases that have not moved for too long, if they still stand so. None: those that `now` says are over.
    """
    query = select(Run).where(col(Run.status).in_(OWNED)).with_for_update(skip_locked=True)
    if lapsed is None:
        query = query.where(col(Run.lease_expires_at) < now)
    else:
        query = query.where(col(Run.id).in_([lease.run_id for lease in lapsed]))
    found = [
        run
        for run in session.scalars(query)
        if lapsed is None or Lease(run.id, run.attempt, run.lease_expires_at) in lapsed
    ]
    for run in found:
        give_up_lease(
            session,
            run,
            now=now,
            reason="worker_lost",
            max_lost_workers=max_lost_workers,
            message=f"Worker {run.worker} has not been heard of in time.",
        )
    return [run.id for run in found]


def release_worker(session: Session, worker: str, *, now: float, max_lost_workers: int) -> list[str]:
    """Takes all runs of a worker that is known to be gone (its successor with the same name calls this at its start)."""
    held = session.scalars(
        select(Run).where(col(Run.status).in_(OWNED), col(Run.worker) == worker).with_for_update()
    ).all()
    for run in held:
        give_up_lease(
            session,
            run,
            now=now,
            reason="worker_lost",
            max_lost_workers=max_lost_workers,
            message=f"Worker {worker} ended while it had this run.",
        )
    return [run.id for run in held]
