"""Steps of an experiment in the database: results of ended runs, new trials, and the runs of trials.

Each locks the experiment and reads its trials again, so that it may be repeated, or done by several servers at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.experiments.design import ExperimentStatus, TrialPurpose, TrialStatus
from rankscope.contract.experiments.tables import Experiment, Trial
from rankscope.store import trial_runs
from rankscope.store.experiments import experiments, trials
from rankscope.store.experiments.plan import Cell, ExperimentPlan, KnownTrial, NewTrial
from rankscope.store.trial_runs import TrialRun

ACTIVE = (ExperimentStatus.tuning, ExperimentStatus.testing)


@dataclass(frozen=True)
class Ended:
    """How the run of a trial ended. `result` is None if it has none; `message` says why."""

    result: trials.TrialResult | None
    scores: Sequence[float] | None = None
    message: str = ""


def active(session: Session) -> list[str]:
    """Returns the ids of the experiments that may need a next step; those that are paused have runs that end."""
    running = select(col(Trial.experiment_id)).where(col(Trial.status) == TrialStatus.running)
    needed = col(Experiment.status).in_(ACTIVE) | col(Experiment.id).in_(running)
    return list(session.scalars(select(col(Experiment.id)).where(needed)))


def collect(
    session: Session, experiment_id: str, ended: Mapping[tuple[int, str | None], Ended], *, now: float
) -> tuple[int, int]:
    """Stores how runs ended, by number of the trial and id of its run, and plans what is next.

    Returns how many trials have ended, and how many were added.
    """
    experiment = experiments.get(session, experiment_id, for_update=True)
    count = 0
    for trial in trials.of(session, experiment_id):
        found = ended.get((trial.number, trial.run_id))
        if found is not None and trial.status == TrialStatus.running:
            _store(session, trial, found, now)
            count += 1
    return count, plan_more(session, experiment, now=now) if experiment.status in ACTIVE else 0


def _store(session: Session, trial: Trial, ended: Ended, now: float) -> None:
    if ended.result is None:
        trials.fail(session, trial, ended.message, now=now)
    else:
        trials.finish(session, trial, ended.result, now=now, scores=ended.scores)


def plan_more(session: Session, experiment: Experiment, *, now: float) -> int:
    """Adds the trials that are missing, and sets the status. Returns how many were added."""
    plan, added = ExperimentPlan(experiments.design_of(experiment)), 0
    while True:
        stored = trials.of(session, experiment.id)
        new = plan.trial_ended(known_trials(stored))
        if not new:
            break
        rows = [_row(experiment.id, number, one) for number, one in enumerate(new, start=len(stored) + 1)]
        trials.add(session, experiment.id, rows, now=now)
        added += len(rows)
        if all(one.failure is None for one in new):
            break
    stored = trials.of(session, experiment.id)
    progress = plan.progress(known_trials(stored))
    status, message = ExperimentStatus.testing if progress.is_tuned else ExperimentStatus.tuning, None
    if progress.is_done:
        has_result = any(one.value is not None and one.purpose != TrialPurpose.tune for one in stored)
        status = ExperimentStatus.done if has_result else ExperimentStatus.failed
        message = None if has_result else next((one.message for one in stored if one.message), "No trial had a result.")
    if (status, message) != (experiment.status, experiment.message):
        next_step = "Open its failed runs, fix the cause, and launch it again." if message else None
        experiments.set_status(session, experiment.id, status, now=now, message=message, next_step=next_step)
    return added


def _row(experiment_id: str, number: int, new: NewTrial) -> Trial:
    return Trial(
        experiment_id=experiment_id,
        number=number,
        purpose=new.purpose,
        status=TrialStatus.planned if new.failure is None else TrialStatus.failed,
        task=new.cell.task,
        variant=new.cell.variant,
        budget=new.cell.budget,
        seed=new.seed,
        options={**new.options},
        message=new.failure,
    )


def known_trials(stored: Sequence[Trial]) -> list[KnownTrial]:
    return [
        KnownTrial(
            number=one.number,
            purpose=one.purpose,
            status=one.status,
            cell=Cell(one.task, one.variant, one.budget),
            seed=one.seed,
            options=one.options,
            value=one.value,
            has_ranks=bool(one.ranks) and one.kept_parameters is not None,
        )
        for one in stored
    ]


def refuse(session: Session, trial: Trial, why: str, *, now: float) -> None:
    """Stores that a trial can't be launched."""
    experiments.get(session, trial.experiment_id, for_update=True)
    current = _again(session, trial)
    if current is not None:
        trials.fail(session, current, why, now=now)


def launch(session: Session, trial: Trial, new: TrialRun, *, place: int, now: float) -> bool:
    """Queues the run of a planned trial. Returns False if it already has one, or if the experiment was paused.

    `place`: its position among the runs that are queued at this time.
    """
    what = "tuning" if trial.purpose == TrialPurpose.tune else f"seed {trial.seed}"
    experiment = experiments.get(session, trial.experiment_id, for_update=True)
    current = _again(session, trial)
    if experiment.status not in ACTIVE or current is None:
        return False
    name = f"{experiment.name}: {trial.variant}, budget {trial.budget:g}, {what}"
    run = trial_runs.queue_run(session, new, name=name, tag=f"experiment {trial.experiment_id}", place=place, now=now)
    trials.attach_run(session, current, run.id, now=now)
    return True


def _again(session: Session, trial: Trial) -> Trial | None:
    """The trial as it is now, if it still waits for a run."""
    at = (trial.experiment_id, trial.number)
    current = session.get(Trial, at, populate_existing=True)
    return current if current is not None and current.status == TrialStatus.planned else None


def release_waiting_runs(session: Session, experiment_id: str, *, now: float) -> None:
    """Deletes runs that no worker has started; their trials wait for a run again."""
    for trial in trials.of(session, experiment_id):
        if trial.status == TrialStatus.running and trial_runs.withdraw(session, trial.run_id, now=now):
            trials.detach_run(session, trial, now=now)
