"""Advances experiments: stores the results of ended runs, plans the next trials, and launches their runs.

Everything is derived from stored trials, and every write locks the experiment and reads its trials again. So a call may be
interrupted anywhere, repeated, or made by several servers at once: no trial is planned or launched twice.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine
from sqlmodel import Session

from rankscope.catalog import Catalog
from rankscope.contract.errors import RankScopeError
from rankscope.contract.experiments.design import Design, TrialPurpose, TrialStatus
from rankscope.contract.experiments.tables import Trial
from rankscope.contract.stored import StoredModule
from rankscope.contract.tables import Run
from rankscope.launch.experiments.results import result_of
from rankscope.launch.experiments.trial_config import trial_config
from rankscope.launch.trial_run import TrialRefused, trial_run
from rankscope.settings import Settings
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import experiments, steps, trials
from rankscope.store.experiments.plan import ExperimentPlan, KnownTrial
from rankscope.store.history import snapshots

logger = logging.getLogger(__name__)

MOST_OPEN_RUNS = 16
"""Maximum number of runs of an experiment that are queued or training at once, so that other runs get their turn."""


@dataclass(frozen=True)
class Advanced:
    ended: int
    planned: int
    launched: int


def advance(engine: Engine, settings: Settings, catalog: Catalog, experiment_id: str, *, now: float) -> Advanced:
    """Does what can be done now. The caller notifies workers if runs were launched."""
    ended, planned = _collect_and_plan(engine, settings, experiment_id, now)
    return Advanced(ended, planned, _launch(engine, settings, catalog, experiment_id, now))


# ---------------------------------------------------------------- results and plans


def _collect_and_plan(engine: Engine, settings: Settings, experiment_id: str, now: float) -> tuple[int, int]:
    with reading(engine) as session:
        experiment = experiments.get(session, experiment_id)
        design, is_active = experiments.design_of(experiment), experiment.status in steps.ACTIVE
        running = [one for one in trials.of(session, experiment_id) if one.status == TrialStatus.running]
        of_runs = {one.run_id: session.get(Run, one.run_id) for one in running if one.run_id}
        known = steps.known_trials(trials.of(session, experiment_id))
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
        return steps.collect(session, experiment_id, found, now=now)


def _needs_plan(design: Design, known: Sequence[KnownTrial]) -> bool:
    plan = ExperimentPlan(design)
    return bool(plan.trial_ended(known)) or plan.progress(known).is_done


# ---------------------------------------------------------------- launches


def _launch(engine: Engine, settings: Settings, catalog: Catalog, experiment_id: str, now: float) -> int:
    with reading(engine) as session:
        experiment = experiments.get(session, experiment_id)
        design = experiments.design_of(experiment)
        stored = trials.of(session, experiment_id)
        planned = _by_seed(design, [one for one in stored if one.status == TrialStatus.planned])
        room = MOST_OPEN_RUNS - sum(one.status == TrialStatus.running for one in stored)
        if experiment.status not in steps.ACTIVE or not planned or room <= 0:
            return 0
        by_number = {one.number: one for one in stored}
        sources = {one.number: by_number.get(trials.source_of(one) or 0) for one in planned[:room]}
        modules = {number: _modules(session, one) for number, one in sources.items()}
        session.expunge_all()
    launched = 0
    for place, trial in enumerate(planned[:room]):
        try:
            make = partial(trial_config, design, trial, sources[trial.number], modules[trial.number])
            run = trial_run(engine, settings, catalog, make, now=now)
        except TrialRefused as refused:
            why = str(refused)
            with writing(engine) as session:
                steps.refuse(session, trial, why, now=now)
            continue
        except RankScopeError as error:
            logger.info("Trial %s of experiment %s is not launched yet: %s", trial.number, experiment_id, error)
            break
        with writing(engine) as session:
            launched += steps.launch(session, trial, run, place=place, now=now)
    return launched


def _by_seed(design: Design, planned: Sequence[Trial]) -> list[Trial]:
    """Tuning first, then all methods and controls of one seed before the next, so that partial results are balanced."""
    place = {seed: at for at, seed in enumerate(design.seeds)}
    return sorted(planned, key=lambda one: (one.purpose != TrialPurpose.tune, place.get(one.seed, 0), one.number))


def _modules(session: Session, source: Trial | None) -> list[StoredModule]:
    if source is None or source.run_id is None:
        return []
    return list(snapshots.modules_of(session, source.run_id))
