"""The queue for workers: claims, the start of training, and runs of lost workers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import Session, col

from rankscope.contract.events import StatusEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import StoredConfig
from rankscope.contract.tables import Attempt, Run
from rankscope.store import runs
from rankscope.store.history import events, rebuild
from rankscope.store.leases import RUNS, Lease
from rankscope.store.queue_positions import waiting


@dataclass(frozen=True)
class Claim:
    run_id: str
    attempt: int
    config: StoredConfig


def claim_next(session: Session, *, worker: str, has_gpu: bool, lease_s: float, now: float) -> Claim | None:
    """Claims the next waiting run that fits this worker, with one UPDATE (see `Leases.claim`). Returns None if there is none."""
    best = waiting(Run.id)
    if not has_gpu:
        best = best.where(col(Run.needs_gpu).is_(False))
    claimed = RUNS.claim(
        session,
        best,
        worker=worker,
        lease_s=lease_s,
        now=now,
        values={
            "status": RunStatus.starting,
            "attempt_started_at": now,
            "phase": None,
            "reason": None,
            "message": None,
            "next_step": None,
            "cause": None,
            "stop_requested": None,
        },
        returning=[col(Run.config)],
    )
    if claimed is None:
        return None
    run_id, attempt, config = claimed
    session.execute(update(Run).where(col(Run.id) == run_id, col(Run.started_at).is_(None)).values(started_at=now))
    session.add(Attempt(run_id=run_id, number=attempt, worker=worker, started_at=now))
    session.flush()
    events.append(session, run_id, attempt, [StatusEvent(status=RunStatus.starting)], now=now)
    return Claim(run_id, attempt, config)


def renew_lease(session: Session, run_id: str, attempt: int, *, lease_s: float, now: float) -> str | None:
    """Extends the lease by `lease_s` seconds and returns the requested stop: None, `save` or `now`.

    Raises LeaseLost if another attempt has taken the run, or if it has ended.
    """
    row = RUNS.change(session, run_id, attempt, {"lease_expires_at": now + lease_s}, [col(Run.stop_requested)])
    stop: str | None = row[1]
    return stop


def owned_run(session: Session, run_id: str, attempt: int) -> Run:
    """The run. Raises LeaseLost if this attempt no longer owns it."""
    run = session.get(Run, run_id, populate_existing=True, with_for_update=True)
    if run is None or run.attempt != attempt or not run.status.is_owned:
        raise RUNS.lost(run_id, attempt)
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
        environment = run.environment.copy()  # a new object, because the session doesn't detect a change inside it
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
    """Takes a run from its worker: it waits again, stops if that was requested, or fails after too many lost workers.

    `max_lost_workers`: None if the worker is shutting down, which doesn't count as lost. `next_step`: if the run fails.
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
                message=f"{message} It is not retried again ({run.lost_workers} of {max_lost_workers + 1}).",
                cause=cause,
                next_step=next_step or "Check the end of the log and the worker's memory, then resume the run.",
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


def reap(session: Session, *, now: float, max_lost_workers: int, lapsed: Collection[Lease] | None = None) -> list[str]:
    """Takes back runs with a lapsed lease (see `Leases.lapsed`). Returns their ids."""
    found = RUNS.lapsed(session, now=now, lapsed=lapsed)
    for run in found:
        give_up_lease(
            session,
            run,
            now=now,
            reason="worker_lost",
            max_lost_workers=max_lost_workers,
            message=f"Worker {run.worker} has stopped renewing its lease.",
        )
    return [run.id for run in found]


def release_worker(session: Session, worker: str, *, now: float, max_lost_workers: int) -> list[str]:
    """Takes back all runs of a worker that has ended. A new worker with the same name calls it when it starts."""
    held = RUNS.of_worker(session, worker)
    for run in held:
        give_up_lease(
            session,
            run,
            now=now,
            reason="worker_lost",
            max_lost_workers=max_lost_workers,
            message=f"Worker {worker} ended while it was training this run.",
        )
    return [run.id for run in held]
