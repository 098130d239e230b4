"""Advances sweeps: stores results, stops the runs of worse points, plans the next trials, and queues their runs.

Planning is pure, and happens outside of a transaction. What was planned is stored only if the sweep is still at the revision
that it was planned for. So a call may be interrupted anywhere, repeated, or made by several servers at once: no trial
is planned or launched twice.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.contract.errors import RankScopeError
from rankscope.contract.sweeps.design import SweepDesign, SweepStatus, SweepTrialStatus
from rankscope.contract.tables import Run
from rankscope.launch.sweeps.results import early_end, result_of, rungs_of
from rankscope.launch.sweeps.trial_config import trial_config
from rankscope.launch.trial_run import TrialRefused, trial_run
from rankscope.search.plan import SweepPlan
from rankscope.search.trials import KnownTrial, NewTrial
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.database.engine import reading, writing
from rankscope.store.sweeps import steps, sweeps
from rankscope.store.sweeps.steps import Launch, SweepResult
from rankscope.store.sweeps.sweeps import StoredTrial

logger = logging.getLogger(__name__)

MOST_OPEN_RUNS = 16
"""Maximum number of runs of a sweep that are queued or training at once, unless its design says otherwise."""


@dataclass(frozen=True)
class SweepState:
    """A sweep as it was read, at one revision."""

    status: SweepStatus
    revision: int
    design: SweepDesign
    trials: list[StoredTrial]
    active_s: float
    slots: int
    """Of the workers that are online; 0 if the design does not need to know."""


def advance(engine: Engine, settings: Settings, catalog: Catalog, sweep_id: str, *, now: float) -> int:
    """Does what can be done now. Returns the number of queued runs, of which the caller notifies workers."""
    _collect(engine, sweep_id, now)
    state = read_state(engine, sweep_id, now=now, lost_after_s=settings.lease_s)
    if state.status != SweepStatus.running:
        return 0
    if _stop_losers(engine, sweep_id, state, now):
        state = read_state(engine, sweep_id, now=now, lost_after_s=settings.lease_s)
    if state.status != SweepStatus.running:
        return 0
    hours = state.design.stop.hours
    is_overtime = hours is not None and state.active_s >= hours * 3600
    waiting, new = ([], []) if is_overtime else planned_trials(state)
    launches = _launches(engine, settings, catalog, sweep_id, state, waiting, new, now)
    if not launches:
        # A planned trial can't be launched yet, runs are training, or nothing is left to do.
        if not waiting and not new and all(one.status != SweepTrialStatus.running for one in state.trials):
            _end(engine, sweep_id, state, now, is_overtime=is_overtime)
        return 0
    with writing(engine) as session:
        queued = steps.launch(session, sweep_id, state.revision, launches, now=now)
    return queued or 0


def read_state(engine: Engine, sweep_id: str, *, now: float, lost_after_s: float) -> SweepState:
    with reading(engine) as session:
        sweep = sweeps.get(session, sweep_id)
        design = sweeps.design_of(sweep)
        slots = 0
        if design.search.kind == "tpe" and design.parallel is None:
            slots = workers.online_slots(session, now=now, lost_after_s=lost_after_s)
        return SweepState(
            status=sweep.status,
            revision=sweep.revision,
            design=design,
            trials=sweeps.read_trials(session, sweep_id),
            active_s=sweeps.active_s(sweep, now),
            slots=slots,
        )


def planned_trials(state: SweepState) -> tuple[list[StoredTrial], list[NewTrial]]:
    """Returns the trials that can be launched now: those that wait for a run, and new ones, as room permits."""
    is_tpe = state.design.search.kind == "tpe"  # TPE learns nothing from points that are queued
    default = min(max(1, state.slots), MOST_OPEN_RUNS) if is_tpe else MOST_OPEN_RUNS
    open_runs = sum(one.status == SweepTrialStatus.running for one in state.trials)
    room = max(0, (state.design.parallel or default) - open_runs)
    waiting = [one for one in state.trials if one.status == SweepTrialStatus.planned][:room]
    new = SweepPlan(state.design).trial_ended(known_trials(state.trials), room - len(waiting))
    return waiting, new


def known_trials(trials: Sequence[StoredTrial]) -> list[KnownTrial]:
    return [
        KnownTrial(
            number=one.number,
            point=one.point,
            seed=one.seed,
            status=one.status,
            values=one.options,
            value=one.value,
            is_diverged=one.is_diverged,
            rungs=one.rungs,
        )
        for one in trials
    ]


# ---------------------------------------------------------------- results


def _collect(engine: Engine, sweep_id: str, now: float) -> None:
    found: dict[tuple[int, str | None], SweepResult] = {}
    stops: dict[tuple[int, str | None], SweepResult] = {}
    with reading(engine) as session:
        design = sweeps.design_of(sweeps.get(session, sweep_id))
        for trial in sweeps.read_trials(session, sweep_id, status=SweepTrialStatus.running):
            run = session.get(Run, trial.run_id)
            rungs = trial.rungs if run is None else rungs_of(session, run, design, trial.rungs)
            result = result_of(run, design, rungs)
            if result.status is not None or list(result.rungs) != trial.rungs:
                found[trial.number, trial.run_id] = result
            if result.status is None and run is not None and (ended := early_end(run, design, rungs)) is not None:
                stops[trial.number, trial.run_id] = ended
    if found:
        with writing(engine) as session:
            steps.store_results(session, sweep_id, found, now=now)
    if stops:
        with writing(engine) as session:
            steps.stop_trials(session, sweep_id, stops, now=now)


def _stop_losers(engine: Engine, sweep_id: str, state: SweepState, now: float) -> bool:
    """Stops the runs of points that are among the worse ones at a rung. Returns whether there were any."""
    run_ids = {one.number: one.run_id for one in state.trials}
    losers = SweepPlan(state.design).losers(known_trials(state.trials))
    stops = {
        (one.number, run_ids[one.number]): SweepResult(
            SweepTrialStatus.pruned,
            message=f"Stopped at step {state.design.rungs[len(one.rungs) - 1]:,}: other points were better there."
            if one.rungs
            else "Stopped: its point was among the worse ones.",
        )
        for one in losers
    }
    if stops:
        with writing(engine) as session:
            steps.stop_trials(session, sweep_id, stops, now=now)
    return bool(stops)


def _end(engine: Engine, sweep_id: str, state: SweepState, now: float, *, is_overtime: bool) -> None:
    plan, known = SweepPlan(state.design), known_trials(state.trials)
    status, message, next_step = SweepStatus.done, plan.reason(known), None
    if is_overtime and not plan.progress(known).is_done:
        message = f"It reached its time limit of {state.design.stop.hours:g} h."
        next_step = "Extend it with more hours to train the rest."
    if not any(one.value is not None for one in state.trials):
        status = SweepStatus.failed
        message = next((one.message for one in state.trials if one.message), message or "No trial had a result.")
        next_step = next_step or "Open its failed runs, fix the cause, and launch it again."
    with writing(engine) as session:
        steps.end(session, sweep_id, state.revision, status, now=now, message=message, next_step=next_step)


# ---------------------------------------------------------------- launches


def _launches(
    engine: Engine,
    settings: Settings,
    catalog: Catalog,
    sweep_id: str,
    state: SweepState,
    waiting: Sequence[StoredTrial],
    new: Sequence[NewTrial],
    now: float,
) -> list[Launch]:
    first = max((one.number for one in state.trials), default=0) + 1
    wanted = [Launch(one.number, one.point, one.seed, one.options, is_new=False) for one in waiting]
    wanted += [
        Launch(number, one.point, one.seed, one.values, is_new=True) for number, one in enumerate(new, start=first)
    ]
    launches = []
    for one in wanted:
        try:
            make = partial(trial_config, state.design.config, one.values, one.seed)
            launches.append(replace(one, run=trial_run(engine, settings, catalog, make, now=now)))
        except TrialRefused as refused:
            launches.append(replace(one, refusal=str(refused)))
        except RankScopeError as error:
            logger.info("Trial %s of sweep %s is not launched yet: %s", one.number, sweep_id, error)
            break
    return launches
