"""Steps of a sweep in the database: results of ended runs, runs that are stopped, and new trials with their runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.sweeps.design import SweepStatus, SweepTrialStatus
from rankscope.contract.sweeps.tables import Sweep, SweepTrial
from rankscope.contract.tables import Run
from rankscope.store import runs, trial_runs
from rankscope.store.sweeps import sweeps
from rankscope.store.trial_runs import TrialRun


@dataclass(frozen=True)
class SweepResult:
    """What the run of a trial has shown so far. `status` is None while it trains."""

    status: SweepTrialStatus | None = None
    value: float | None = None
    is_diverged: bool = False
    message: str | None = None
    rungs: Sequence[float | None] = ()


@dataclass(frozen=True)
class Launch:
    """A trial with its run; `refusal` says why it can't run."""

    number: int
    point: int
    seed: int
    values: dict[str, JsonValue]
    is_new: bool
    """Otherwise it is already stored and waits for a run."""
    run: TrialRun | None = None
    refusal: str | None = None


def active(session: Session) -> list[str]:
    """Returns the ids of the sweeps that may need a next step; those that are paused have runs that end."""
    running = select(col(SweepTrial.sweep_id)).where(col(SweepTrial.status) == SweepTrialStatus.running)
    needed = (col(Sweep.status) == SweepStatus.running) | col(Sweep.id).in_(running)
    return list(session.scalars(select(col(Sweep.id)).where(needed)))


def store_results(
    session: Session, sweep_id: str, found: Mapping[tuple[int, str | None], SweepResult], *, now: float
) -> int:
    """Stores what runs have shown, by number of the trial and id of its run. Returns how many trials have ended."""
    sweep = sweeps.get(session, sweep_id, for_update=True)
    ended = 0
    for trial in sweeps.running(session, sweep_id):
        result = found.get((trial.number, trial.run_id))
        if result is None:
            continue
        trial.rungs = list(result.rungs)
        if result.status is not None:
            trial.status, trial.value, trial.message = result.status, result.value, result.message
            trial.is_diverged = result.is_diverged
            ended += 1
        session.add(trial)
    sweeps.touch(session, sweep, now=now)
    return ended


def stop_trials(
    session: Session, sweep_id: str, stops: Mapping[tuple[int, str | None], SweepResult], *, now: float
) -> list[str]:
    """Stops the runs of trials, whose results are given. Returns the ids of the runs that are stopping.

    A run that has ended in the meantime keeps its result.
    """
    sweep = sweeps.get(session, sweep_id, for_update=True)
    stopped = []
    for trial in sweeps.running(session, sweep_id):
        result = stops.get((trial.number, trial.run_id))
        if result is None or result.status is None:
            continue
        run = session.get(Run, trial.run_id, populate_existing=True)
        if run is not None and run.status.is_terminal:
            continue
        if run is not None:
            runs.request_stop(session, run.id, save=False, now=now)
            stopped.append(run.id)
        trial.status, trial.value, trial.message = result.status, result.value, result.message
        trial.is_diverged = result.is_diverged
        session.add(trial)
    sweeps.touch(session, sweep, now=now)
    return stopped


def launch(session: Session, sweep_id: str, revision: int, launches: Sequence[Launch], *, now: float) -> int | None:
    """Stores trials that were planned for a revision, and queues their runs. Returns how many were queued.

    Returns None, and stores nothing, if the sweep has changed since: another server has planned the same trials.
    """
    if not sweeps.advance_revision(session, sweep_id, revision, now=now):
        return None
    sweep = sweeps.get(session, sweep_id)
    queued = 0
    for place, one in enumerate(launches):
        trial = None if one.is_new else session.get(SweepTrial, (sweep_id, one.number))
        if trial is None:
            trial = SweepTrial(
                sweep_id=sweep_id,
                number=one.number,
                point=one.point,
                seed=one.seed,
                status=SweepTrialStatus.planned,
                options=one.values,
            )
        if one.run is None:
            trial.status, trial.message = SweepTrialStatus.failed, one.refusal
        else:
            name, tag = f"{sweep.name}: point {one.point}, seed {one.seed}", f"sweep {sweep_id}"
            run = trial_runs.queue_run(session, one.run, name=name, tag=tag, place=place, now=now)
            trial.run_id, trial.status = run.id, SweepTrialStatus.running
            queued += 1
        session.add(trial)
    session.flush()
    return queued


def end(
    session: Session,
    sweep_id: str,
    revision: int,
    status: SweepStatus,
    *,
    now: float,
    message: str | None,
    next_step: str | None,
) -> bool:
    """Ends a sweep that has nothing left to do, if it is still at this revision."""
    if not sweeps.advance_revision(session, sweep_id, revision, now=now):
        return False
    sweep = sweeps.get(session, sweep_id)
    sweeps.set_status(session, sweep, status, now=now, message=message, next_step=next_step)
    return True


def release_waiting_runs(session: Session, sweep_id: str, *, now: float) -> None:
    """Deletes runs that no worker has started; their trials wait for a run again."""
    for trial in sweeps.running(session, sweep_id):
        if trial_runs.withdraw(session, trial.run_id, now=now):
            trial.run_id, trial.status = None, SweepTrialStatus.planned
            session.add(trial)
    session.flush()
