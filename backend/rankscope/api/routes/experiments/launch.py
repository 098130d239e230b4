"""Plan, launch, pause, resume, stop and extend experiments."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import ValidationError
from sqlalchemy import Engine

from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, ExperimentId, NowDep, NudgerDep, RunId, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, SMALL_JSON, needs
from rankscope.api.shapes.experiment_plans import (
    ExperimentCreate,
    ExperimentOfRun,
    ExperimentPlanShape,
    ExperimentSeeds,
    ExperimentVerdict,
    PlannedTrials,
)
from rankscope.api.shapes.experiments import ExperimentDetail, detail
from rankscope.api.shapes.problems import field_shapes
from rankscope.catalog import Catalog
from rankscope.contract.errors import BadInput
from rankscope.contract.experiments.design import Design, Role
from rankscope.contract.problems import bad_input
from rankscope.launch.enqueue import Nudger
from rankscope.launch.experiments.advance import advance
from rankscope.launch.experiments.design import PlannedExperiment, plan_experiment
from rankscope.launch.experiments.of_run import request_for_run, trial_of_run
from rankscope.launch.experiments.request import ExperimentRequest
from rankscope.launch.preflight import preflight
from rankscope.settings import Settings
from rankscope.store import runs, trial_runs, workers
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import experiments, lifecycle

router = APIRouter(tags=["experiments"])


@router.post("/experiments", status_code=201)
@needs("launch", LARGE_JSON)
def create_experiment(
    body: ExperimentCreate,
    response: Response,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    now: NowDep,
) -> ExperimentDetail:
    """Launches an experiment: tunes each method alike, trains every method, budget and seed, and the controls.

    Its runs are queued gradually, with a lower priority than single runs.
    """
    planned = plan_experiment(body, catalog)
    with writing(engine) as session:
        experiment_id = lifecycle.start(session, planned.design, name=body.name, notes=body.notes, now=now).id
    response.headers["Location"] = f"/api/v1/experiments/{experiment_id}"
    _advance(engine, settings, catalog, nudger, experiment_id, now)
    return _detail(engine, experiment_id)


@router.post("/experiments/validate")
@needs("read", LARGE_JSON)
def validate_experiment(
    body: Annotated[dict[str, object], Body(description="As for POST /experiments; the name may be missing.")],
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    now: NowDep,
) -> ExperimentVerdict:
    """The design that would be launched, its number of runs and estimated time, or the problems. Launches nothing."""
    asked = {name: value for name, value in body.items() if name not in ("name", "notes")}
    try:
        planned = plan_experiment(ExperimentRequest.model_validate(asked), catalog)
    except ValidationError as error:
        return ExperimentVerdict(problems=field_shapes(bad_input(error).problems), plan=None)
    except BadInput as error:
        return ExperimentVerdict(problems=field_shapes(error.problems), plan=None)
    return ExperimentVerdict(problems=[], plan=_shape(planned, engine, settings, now))


@router.post("/runs/{run_id}/experiment", status_code=201)
@needs("launch", SMALL_JSON)
def create_experiment_of_run(
    run_id: RunId,
    response: Response,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    now: NowDep,
    body: ExperimentOfRun | None = None,
) -> ExperimentDetail:
    """Did the allocation help? Trains plain LoRA at this run's budget, and the controls, at its rates; the run itself is kept."""
    request = body or ExperimentOfRun()
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        session.expunge(run)
    planned = plan_experiment(request_for_run(run, seeds=request.seeds), catalog)
    finished = trial_of_run(planned.design, run)
    name = request.name or f"Did the allocation help? {run.name}"[:200]
    with writing(engine) as session:
        experiment_id = lifecycle.start(session, planned.design, name=name, now=now, finished=finished).id
    response.headers["Location"] = f"/api/v1/experiments/{experiment_id}"
    _advance(engine, settings, catalog, nudger, experiment_id, now)
    return _detail(engine, experiment_id)


@router.post("/experiments/{experiment_id}/pause")
@needs("launch")
def pause_experiment(experiment_id: ExperimentId, engine: EngineDep, now: NowDep) -> ExperimentDetail:
    """Starts no more runs. Running ones continue."""
    with writing(engine) as session:
        lifecycle.pause(session, experiment_id, now=now)
    return _detail(engine, experiment_id)


@router.post("/experiments/{experiment_id}/resume")
@needs("launch")
def resume_experiment(
    experiment_id: ExperimentId,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    now: NowDep,
) -> ExperimentDetail:
    """Continues a paused or stopped experiment."""
    with writing(engine) as session:
        lifecycle.resume(session, experiment_id, now=now)
    _advance(engine, settings, catalog, nudger, experiment_id, now)
    return _detail(engine, experiment_id)


@router.post("/experiments/{experiment_id}/stop")
@needs("launch")
def stop_experiment(
    experiment_id: ExperimentId, engine: EngineDep, doorbell: DoorbellDep, now: NowDep
) -> ExperimentDetail:
    """Starts no more runs, and stops the running ones. It can be resumed."""
    with writing(engine) as session:
        _, stopped = lifecycle.stop(session, experiment_id, now=now)
        numbers = trial_runs.last_seqs(session, stopped)
    for run_id, last_seq in numbers.items():
        doorbell.ring(run_id, last_seq)
    return _detail(engine, experiment_id)


@router.post("/experiments/{experiment_id}/extend")
@needs("launch", SMALL_JSON)
def extend_experiment(
    experiment_id: ExperimentId,
    body: ExperimentSeeds,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    now: NowDep,
) -> ExperimentDetail:
    """Adds seeds. If the answer was seen before, and that was not planned, it is marked as extended after looking."""
    with writing(engine) as session:
        lifecycle.extend(session, experiment_id, body.seeds, now=now)
    _advance(engine, settings, catalog, nudger, experiment_id, now)
    return _detail(engine, experiment_id)


def _advance(
    engine: Engine, settings: Settings, catalog: Catalog, nudger: Nudger, experiment_id: str, now: float
) -> None:
    """Launches the first runs at once; the driver does the rest."""
    if advance(engine, settings, catalog, experiment_id, now=now).launched:
        nudger.nudge()


def _detail(engine: Engine, experiment_id: str) -> ExperimentDetail:
    with reading(engine) as session:
        return detail(session, experiments.get(session, experiment_id))


def _shape(planned: PlannedExperiment, engine: Engine, settings: Settings, now: float) -> ExperimentPlanShape:
    design = planned.design
    times: dict[str, float | None] = {}
    with reading(engine) as session:
        for variant, plans in planned.plans.items():
            time = preflight(session, plans[0], settings.data_dir, now=now, lost_after_s=settings.lease_s).time
            times[variant] = None if time is None else time.total_s
        slots = workers.online_slots(session, now=now, lost_after_s=settings.lease_s)
    known = [time for time in times.values() if time is not None]
    usual = sum(known) / len(known) if known else None
    items = [
        PlannedTrials(
            variant=variant.name,
            tuning=_tuning(design) if variant.role != Role.control else 0,
            test=len(design.seeds) * len(design.budgets) * len(design.tasks),
            run_s=times.get(variant.name, usual) if variant.name in times else usual,
            kept_parameters=[plan.kept_parameters for plan in planned.plans.get(variant.name, [])],
        )
        for variant in design.variants
    ]
    total = None
    if usual is not None:
        total = sum((item.tuning + item.test) * (item.run_s or usual) for item in items) / max(1, slots)
    warnings = list(dict.fromkeys(one for plans in planned.plans.values() for plan in plans for one in plan.warnings))
    return ExperimentPlanShape(
        design=design, trials=planned.trials, items=items, total_s=total, slots=slots, warnings=warnings[:20]
    )


def _tuning(design: Design) -> int:
    return design.tuning.trials * len(design.tuning.seeds) * len(design.budgets) * len(design.tasks)
