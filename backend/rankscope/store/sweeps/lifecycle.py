"""Pauses, resumes, stops, extends and deletes sweeps."""

from sqlmodel import Session

from rankscope.contract.errors import InvalidTransition
from rankscope.contract.stored import Payload
from rankscope.contract.sweeps.design import SweepStatus, SweepTrialStatus
from rankscope.store import trial_runs
from rankscope.store.sweeps import sweeps
from rankscope.store.sweeps.steps import release_waiting_runs


def pause(session: Session, sweep_id: str, *, now: float) -> None:
    """Starts no more runs. Running ones continue; queued ones are launched again after a resume."""
    sweep = sweeps.get(session, sweep_id, for_update=True)
    if sweep.status != SweepStatus.running:
        raise InvalidTransition(f"Sweep {sweep_id} is {sweep.status}; only a running one can be paused.")
    release_waiting_runs(session, sweep_id, now=now)
    sweeps.set_status(
        session,
        sweep,
        SweepStatus.paused,
        now=now,
        message="Paused.",
        next_step="Resume it to train the other trials.",
    )


def resume(session: Session, sweep_id: str, *, now: float) -> None:
    """Continues a paused or stopped sweep."""
    sweep = sweeps.get(session, sweep_id, for_update=True)
    if sweep.status not in (SweepStatus.paused, SweepStatus.stopped):
        raise InvalidTransition(f"Sweep {sweep_id} is {sweep.status}; only a paused or stopped one can be resumed.")
    sweeps.set_status(session, sweep, SweepStatus.running, now=now)


def stop(session: Session, sweep_id: str, *, now: float) -> list[str]:
    """Starts no more runs, and stops the running ones. Returns their ids."""
    sweep = sweeps.get(session, sweep_id, for_update=True)
    if sweep.status not in (SweepStatus.running, SweepStatus.paused):
        raise InvalidTransition(f"Sweep {sweep_id} is {sweep.status}; only a running or paused one can be stopped.")
    stopped = _end_runs(session, sweep_id, now=now)
    sweeps.set_status(
        session,
        sweep,
        SweepStatus.stopped,
        now=now,
        message="Stopped before all trials had ended.",
        next_step="Resume it to train the others.",
    )
    return stopped


def extend(session: Session, sweep_id: str, before: Payload, after: Payload, *, now: float) -> None:
    """Replaces the design by a longer one; a sweep that has ended runs again."""
    sweep = sweeps.get(session, sweep_id, for_update=True)
    if sweep.design != before:
        raise InvalidTransition(f"Sweep {sweep_id} was changed in the meantime.", "Reload it and try again.")
    sweep.design = after
    sweeps.touch(session, sweep, now=now)
    if sweep.status in (SweepStatus.done, SweepStatus.stopped, SweepStatus.failed):
        sweeps.set_status(session, sweep, SweepStatus.running, now=now)


def delete(session: Session, sweep_id: str, *, now: float) -> list[str]:
    """Deletes a sweep with its trials, and ends its runs: queued ones are deleted, running ones are stopped.

    Returns the ids of the stopped ones. Finished runs are kept. Raises NotFound.
    """
    sweeps.get(session, sweep_id, for_update=True)
    stopped = _end_runs(session, sweep_id, now=now)
    sweeps.remove(session, sweep_id)
    return stopped


def _end_runs(session: Session, sweep_id: str, *, now: float) -> list[str]:
    """Deletes runs that no worker has started, and stops the others. Returns the ids of the latter.

    Their trials wait for a run again, so that a resume trains them.
    """
    release_waiting_runs(session, sweep_id, now=now)
    stopped = []
    for trial in sweeps.running(session, sweep_id):
        if trial.run_id and trial_runs.stop(session, trial.run_id, now=now):
            stopped.append(trial.run_id)
            trial.run_id, trial.status, trial.rungs = None, SweepTrialStatus.planned, []
            session.add(trial)
    session.flush()
    return stopped
