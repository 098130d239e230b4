"""Advances sweeps: stores results, stops the runs of worse points, plans the next trials, and queues their runs.

Planning is pure, and happens outside of a transaction. What was planned is stored only if the sweep is still at the revision
that it was planned for. So a call may be interrupted anywhere, repeated, or made by several servers at a time: no trial is
planned or launched twice.
"""

import logging
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.contract.errors import BadInput, NotFound, RankScopeError
from rankscope.contract.problems import bad_input
from rankscope.contract.sweeps.design import SweepDesign, SweepStatus, SweepTrialStatus
from rankscope.contract.sweeps.tables import SweepTrial
from rankscope.contract.tables import Run
from rankscope.launch.plan import make_plan
from rankscope.launch.preflight import stored_estimate
from rankscope.launch.sweeps.results import early_end, result_of, rungs_of
from rankscope.launch.sweeps.trial_config import trial_config
from rankscope.search.plan import SweepPlan
from rankscope.search.trials import KnownTrial, NewTrial
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.database.engine import reading, writing
from rankscope.store.sweeps import steps, sweeps
from rankscope.store.sweeps.steps import Launch, SweepResult

logger = logging.getLogger(__name__)

MOST_OPEN_RUNS = 16
"""Runs of a sweep that wait or train at the same time, unless its design says otherwise."""


@dataclass(frozen=True)
class SweepState:
    """A sweep as it was read, at one revision."""

    status: SweepStatus
    revision: int
    design: SweepDesign
    trials: list[SweepTrial]
    active_s: float
    slots: int


def advance(engine: Engine, settings: Settings, catalog: Catalog, sweep_id: str, *, now: float) -> int:
    """Does what can be done now. Returns the number of queued runs, of which the caller notifies workers."""
    _collect(engine, sweep_id, now)
    state = read_state(engine, sweep_id, now=now, lost_after_s=settings.lease_s)
    if state.status != SweepStatus.running:
        return 0
    _stop_losers(engine, sweep_id, state, now)
    state = read_state(engine, sweep_id, now=now, lost_after_s=settings.lease_s)
    if state.status != SweepStatus.running or _ended(engine, sweep_id, state, now):
        return 0
    launches = _launches(engine, settings, catalog, state, now)
    if not launches:
        return 0
    with writing(engine) as session:
        queued = steps.launch(session, sweep_id, state.revision, launches, now=now)
    return queued or 0


def read_state(engine: Engine, sweep_id: str, *, now: float, lost_after_s: float) -> SweepState:
    with reading(engine) as session:
        sweep = sweeps.get(session, sweep_id)
        state = SweepState(
            status=sweep.status,
            revision=sweep.revision,
            design=sweeps.design_of(sweep),
            trials=sweeps.trials(session, sweep_id),
            active_s=sweeps.active_s(sweep, now),
            slots=sum(
                worker.slots
                for worker, _ in workers.list_workers(session)
                if workers.state(worker, now=now, lost_after_s=lost_after_s) == "online"
            ),
        )
        session.expunge_all()
    return state


def planned_trials(state: SweepState) -> tuple[list[SweepTrial], list[NewTrial]]:
    """Returns the trials that wait for a run, and the new ones, for which there is room now."""
    is_tpe = state.design.search.kind == "tpe"  # which learns nothing from points that wait
    default = min(max(1, state.slots), MOST_OPEN_RUNS) if is_tpe else MOST_OPEN_RUNS
    open_runs = sum(one.status == SweepTrialStatus.running for one in state.trials)
    room = max(0, (state.design.parallel or default) - open_runs)
    waiting = [one for one in state.trials if one.status == SweepTrialStatus.planned][:room]
    new = SweepPlan(state.design).trial_ended(known_trials(state.trials), room - len(waiting))
    return waiting, new


def known_trials(trials: list[SweepTrial]) -> list[KnownTrial]:
    return [
        KnownTrial(
            number=one.number,
            point=one.point,
            seed=one.seed,
            status=one.status,
            values=one.options,
            value=one.value,
            is_diverged=one.is_diverged,
            rungs=[float(value) if isinstance(value, int | float) else None for value in one.rungs],
        )
        for one in trials
    ]


# ---------------------------------------------------------------- results


def _collect(engine: Engine, sweep_id: str, now: float) -> None:
    found: dict[tuple[int, str | None], SweepResult] = {}
    stops: dict[tuple[int, str | None], SweepResult] = {}
    with reading(engine) as session:
        design = sweeps.design_of(sweeps.get(session, sweep_id))
        for trial in sweeps.trials(session, sweep_id):
            if trial.status != SweepTrialStatus.running:
                continue
            run = session.get(Run, trial.run_id)
            (known,) = known_trials([trial])
            rungs = list(known.rungs) if run is None else rungs_of(session, run, design, list(known.rungs))
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


def _stop_losers(engine: Engine, sweep_id: str, state: SweepState, now: float) -> None:
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


def _ended(engine: Engine, sweep_id: str, state: SweepState, now: float) -> bool:
    """Ends the sweep if it is done, or if its time is used up and no run is left. Returns whether nothing is to be planned."""
    known = known_trials(state.trials)
    hours = state.design.stop.hours
    is_overtime = hours is not None and state.active_s >= hours * 3600
    progress = SweepPlan(state.design).progress(known)
    is_open = any(one.status == SweepTrialStatus.running for one in state.trials)
    if not progress.is_done and not (is_overtime and not is_open):
        return is_overtime
    message, next_step = progress.reason, None
    if not progress.is_done:
        message, next_step = f"Its time of {hours:g} h is used up.", "Extend it by hours to train the rest."
    status = SweepStatus.done
    if not any(one.value is not None for one in state.trials):
        status = SweepStatus.failed
        message = next((one.message for one in state.trials if one.message), "No trial had a result.")
        next_step = "Open its failed runs, fix the cause, and launch it again."
    with writing(engine) as session:
        steps.end(session, sweep_id, state.revision, status, now=now, message=message, next_step=next_step)
    return True


# ---------------------------------------------------------------- launches


def _launches(engine: Engine, settings: Settings, catalog: Catalog, state: SweepState, now: float) -> list[Launch]:
    waiting, new = planned_trials(state)
    first = max((one.number for one in state.trials), default=0) + 1
    wanted = [Launch(one.number, one.point, one.seed, one.options) for one in waiting]
    wanted += [Launch(number, one.point, one.seed, one.values) for number, one in enumerate(new, start=first)]
    launches = []
    for one in wanted:
        try:
            config = trial_config(state.design.config, one.values, one.seed)
            plan = make_plan(config, catalog)
            estimate = stored_estimate(engine, plan, now=now, lost_after_s=settings.lease_s)
        except ValidationError as error:
            refusal = str(bad_input(error, prefix="config"))
            launches.append(Launch(one.number, one.point, one.seed, one.values, refusal=refusal))
            continue
        except (BadInput, NotFound) as error:
            launches.append(Launch(one.number, one.point, one.seed, one.values, refusal=str(error)))
            continue
        except RankScopeError as error:
            # For example a data file that is still being read: the next call tries it again.
            logger.info("Trial %s is not launched yet: %s", one.number, error)
            break
        environment = plan.environment | {"n_modules": plan.n_modules}
        launches.append(
            Launch(one.number, one.point, one.seed, one.values, plan.config, environment, plan.total_steps, estimate)
        )
    return launches
