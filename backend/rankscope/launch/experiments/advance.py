"""Advances experiments: stores the results of ended runs, plans the next trials, and launches their runs.

Everything is derived from stored trials, and every write locks the experiment and reads its trials again. So a call may be
interrupted anywhere, repeated, or made by several servers at a time: no trial is planned or launched twice.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import Engine, select
from sqlmodel import Session, col

from rankscope.catalog import Catalog
from rankscope.contract.errors import BadInput, NotFound, RankScopeError
from rankscope.contract.experiments.design import Design, ExperimentStatus, TrialPurpose, TrialStatus
from rankscope.contract.experiments.tables import Experiment, Trial
from rankscope.contract.problems import bad_input
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import StoredMemoryEstimate, StoredModule
from rankscope.contract.tables import Run
from rankscope.launch.experiments.plan import SOURCE_TRIAL, Cell, ExperimentPlan, KnownTrial, NewTrial
from rankscope.launch.experiments.results import Ended, result_of
from rankscope.launch.experiments.trial_config import trial_config
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.launch.preflight import stored_estimate
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import experiments, trials
from rankscope.store.history import snapshots

logger = logging.getLogger(__name__)

MOST_OPEN_RUNS = 16
"""Runs of an experiment that wait or train at the same time, so that it can be paused and other runs get their turn."""
PRIORITY = -1
"""Runs that a user launches one by one start first."""
ACTIVE = (ExperimentStatus.tuning, ExperimentStatus.testing)


@dataclass(frozen=True)
class Advanced:
    ended: int
    planned: int
    launched: int


def active(session: Session) -> list[str]:
    """Returns the ids of the experiments that may need a next step; those that are paused have runs that end."""
    running = select(col(Trial.experiment_id)).where(col(Trial.status) == TrialStatus.running)
    needed = col(Experiment.status).in_(ACTIVE) | col(Experiment.id).in_(running)
    return list(session.scalars(select(col(Experiment.id)).where(needed)))


def advance(engine: Engine, settings: Settings, catalog: Catalog, experiment_id: str, *, now: float) -> Advanced:
    """Does what can be done now. The caller notifies workers if runs were launched."""
    ended, planned = _collect_and_plan(engine, settings, experiment_id, now)
    return Advanced(ended, planned, _launch(engine, settings, catalog, experiment_id, now))


# ---------------------------------------------------------------- results and plans


def _collect_and_plan(engine: Engine, settings: Settings, experiment_id: str, now: float) -> tuple[int, int]:
    with reading(engine) as session:
        experiment = experiments.get(session, experiment_id)
        design, is_active = experiments.design_of(experiment), experiment.status in ACTIVE
        running = [one for one in trials.of(session, experiment_id) if one.status == TrialStatus.running]
        of_runs = {one.run_id: session.get(Run, one.run_id) for one in running if one.run_id}
        known = _known(trials.of(session, experiment_id))
        session.expunge_all()
    # Files are read outside of a transaction.
    found = {
        (one.number, one.run_id): ended
        for one in running
        if (ended := result_of(settings, of_runs.get(one.run_id or ""), design, one.task)) is not None
    }
    if not found and not (is_active and _needs_plan(design, known)):
        return 0, 0
    with writing(engine) as session:
        experiment = experiments.get(session, experiment_id, for_update=True)
        count = 0
        for trial in trials.of(session, experiment_id):
            ended = found.get((trial.number, trial.run_id))
            if ended is not None and trial.status == TrialStatus.running:
                _store(session, trial, ended, now)
                count += 1
        planned = plan_more(session, experiment, now) if experiment.status in ACTIVE else 0
    return count, planned


def _needs_plan(design: Design, known: Sequence[KnownTrial]) -> bool:
    plan = ExperimentPlan(design)
    return bool(plan.trial_ended(known)) or plan.progress(known).is_done


def _store(session: Session, trial: Trial, ended: Ended, now: float) -> None:
    if ended.result is None:
        trials.fail(session, trial, ended.message, now=now)
    else:
        trials.finish(session, trial, ended.result, now=now, scores=ended.scores)


def plan_more(session: Session, experiment: Experiment, now: float) -> int:
    """Adds the trials that are missing, and sets the status. Returns how many were added."""
    plan, added = ExperimentPlan(experiments.design_of(experiment)), 0
    while True:
        stored = trials.of(session, experiment.id)
        new = plan.trial_ended(_known(stored))
        if not new:
            break
        rows = [_row(experiment.id, number, one) for number, one in enumerate(new, start=len(stored) + 1)]
        trials.add(session, experiment.id, rows, now=now)
        added += len(rows)
        if all(one.failure is None for one in new):
            break
    stored = trials.of(session, experiment.id)
    progress = plan.progress(_known(stored))
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


def _known(stored: Sequence[Trial]) -> list[KnownTrial]:
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


# ---------------------------------------------------------------- launches


def _launch(engine: Engine, settings: Settings, catalog: Catalog, experiment_id: str, now: float) -> int:
    with reading(engine) as session:
        experiment = experiments.get(session, experiment_id)
        design, name = experiments.design_of(experiment), experiment.name
        stored = trials.of(session, experiment_id)
        planned = [one for one in stored if one.status == TrialStatus.planned]
        room = MOST_OPEN_RUNS - sum(one.status == TrialStatus.running for one in stored)
        if experiment.status not in ACTIVE or not planned or room <= 0:
            return 0
        by_number = {one.number: one for one in stored}
        sources = {one.number: by_number.get(_source(one)) for one in planned[:room]}
        modules = {number: _modules(session, one) for number, one in sources.items()}
        session.expunge_all()
    launched = 0
    for trial in planned[:room]:
        try:
            config = trial_config(design, trial, sources[trial.number], modules[trial.number])
            plan = make_plan(config, catalog)
            estimate = stored_estimate(engine, plan, now=now, lost_after_s=settings.lease_s)
        except ValidationError as error:
            _refuse(engine, trial, str(bad_input(error, prefix="config")), now)
            continue
        except (BadInput, NotFound) as error:
            _refuse(engine, trial, str(error), now)
            continue
        except RankScopeError as error:
            # For example a data file that is still being read: the next call tries it again.
            logger.info("Trial %s of experiment %s is not launched yet: %s", trial.number, experiment_id, error)
            break
        launched += _create_run(engine, trial, plan, estimate, name, now)
    return launched


def _source(trial: Trial) -> int:
    number = trial.options.get(SOURCE_TRIAL)
    return number if isinstance(number, int) else 0


def _modules(session: Session, source: Trial | None) -> list[StoredModule]:
    if source is None or source.run_id is None:
        return []
    return list(snapshots.modules_of(session, source.run_id))


def _refuse(engine: Engine, trial: Trial, why: str, now: float) -> None:
    with writing(engine) as session:
        experiments.get(session, trial.experiment_id, for_update=True)
        current = _again(session, trial)
        if current is not None:
            trials.fail(session, current, why, now=now)


def _create_run(
    engine: Engine, trial: Trial, plan: RunPlan, estimate: StoredMemoryEstimate | None, name: str, now: float
) -> int:
    what = "tuning" if trial.purpose == TrialPurpose.tune else f"seed {trial.seed}"
    with writing(engine) as session:
        experiment = experiments.get(session, trial.experiment_id, for_update=True)
        current = _again(session, trial)
        if experiment.status not in ACTIVE or current is None:
            return 0
        run = runs.create_run(
            session,
            plan.config,
            now=now,
            name=f"{name}: {trial.variant}, budget {trial.budget:g}, {what}"[:200],
            tags=[f"experiment {trial.experiment_id}"],
            priority=PRIORITY,
            environment=plan.environment | {"n_modules": plan.n_modules},
            total_steps=plan.total_steps,
            memory_estimate=estimate,
        )
        trials.attach_run(session, current, run.id, now=now)
    return 1


def _again(session: Session, trial: Trial) -> Trial | None:
    """The trial as it is now, if it still waits for a run."""
    at = (trial.experiment_id, trial.number)
    current = session.get(Trial, at, populate_existing=True)
    return current if current is not None and current.status == TrialStatus.planned else None


# ---------------------------------------------------------------- pause, resume, stop, more seeds


def release_waiting_runs(session: Session, experiment_id: str, *, now: float) -> list[str]:
    """Deletes runs that no worker has started; their trials wait for a run again. Returns the ids of the deleted runs."""
    released = []
    for trial in trials.of(session, experiment_id):
        run = session.get(Run, trial.run_id) if trial.status == TrialStatus.running and trial.run_id else None
        if run is not None and run.status == RunStatus.queued and run.attempt == 0:
            runs.delete_run(session, run.id, now=now)
            trials.detach_run(session, trial, now=now)
            released.append(run.id)
    return released
