"""Runs of the trials of experiments and sweeps: queue them, withdraw queued ones, stop running ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import Session

from rankscope.contract.config import RunConfig
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import Environment, StoredMemoryEstimate
from rankscope.contract.tables import Run
from rankscope.store import runs

PRIORITY = -1
"""Runs that a user launches one by one start first."""
_QUEUE_STEP = 1e-5
"""Between runs that are queued at the same time; as a float, the current time in seconds has a resolution of 2.4e-7."""


@dataclass(frozen=True)
class TrialRun:
    """What the run of a trial is created from."""

    config: RunConfig
    total_steps: int
    environment: Environment = field(default_factory=Environment)
    memory_estimate: StoredMemoryEstimate | None = None


def queue_run(session: Session, new: TrialRun, *, name: str, tag: str, place: int, now: float) -> Run:
    """Queues a run. `place`: its position among those that are queued at this time, which start in this order."""
    run = runs.create_run(
        session,
        new.config,
        now=now,
        name=name[:200],
        tags=[tag],
        priority=PRIORITY,
        environment=new.environment,
        total_steps=new.total_steps,
        memory_estimate=new.memory_estimate,
    )
    run.queue_order += place * _QUEUE_STEP
    session.add(run)
    return run


def withdraw(session: Session, run_id: str | None, *, now: float) -> bool:
    """Deletes a run if no worker has started it. Returns whether it did."""
    run = session.get(Run, run_id) if run_id else None
    if run is None or run.status != RunStatus.queued or run.attempt > 0:
        return False
    runs.delete_run(session, run.id, now=now)
    return True


def stop(session: Session, run_id: str | None, *, now: float) -> bool:
    """Asks a run to stop without a checkpoint, unless it has ended. Returns whether it did."""
    run = session.get(Run, run_id) if run_id else None
    if run is None or run.status.is_terminal:
        return False
    runs.request_stop(session, run.id, save=False, now=now)
    return True


def last_seqs(session: Session, run_ids: Sequence[str]) -> dict[str, int]:
    """Returns the number of the last event of each run, for the doorbell."""
    return {run_id: runs.get_run(session, run_id).last_seq for run_id in run_ids}
