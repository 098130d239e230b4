"""Plan, launch, pause, resume, stop and extend sweeps."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import ValidationError
from sqlalchemy import Engine

from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, NudgerDep, SettingsDep, SweepId
from rankscope.api.guard.access import LARGE_JSON, SMALL_JSON, needs
from rankscope.api.shapes.problems import field_shapes
from rankscope.api.shapes.sweeps import SweepCreate, SweepDetail, SweepPlanShape, SweepVerdict, detail
from rankscope.catalog import Catalog
from rankscope.contract.errors import BadInput
from rankscope.contract.problems import bad_input
from rankscope.launch.enqueue import Nudger
from rankscope.launch.preflight import preflight
from rankscope.launch.sweeps.advance import advance
from rankscope.launch.sweeps.design import PlannedSweep, extended, plan_sweep
from rankscope.launch.sweeps.request import SweepExtension, SweepRequest
from rankscope.settings import Settings
from rankscope.store import trial_runs, workers
from rankscope.store.database.engine import reading, writing
from rankscope.store.sweeps import lifecycle, sweeps

router = APIRouter(prefix="/sweeps", tags=["sweeps"])


@router.post("", status_code=201)
@needs("launch", LARGE_JSON)
def create_sweep(
    body: SweepCreate,
    response: Response,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    now: NowDep,
) -> SweepDetail:
    """Launches a sweep: trains a configuration with several values of some of its fields, at each seed.

    Its runs are queued gradually, with a lower priority than single runs.
    """
    planned = plan_sweep(body, catalog)
    with writing(engine) as session:
        sweep_id = sweeps.create(session, planned.design, name=body.name, notes=body.notes, now=now).id
    response.headers["Location"] = f"/api/v1/sweeps/{sweep_id}"
    _advance(engine, settings, catalog, nudger, sweep_id, now)
    return _detail(engine, sweep_id, now)


@router.post("/validate")
@needs("read", LARGE_JSON)
def validate_sweep(
    body: Annotated[dict[str, object], Body(description="As for POST /sweeps; the name may be missing.")],
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    now: NowDep,
) -> SweepVerdict:
    """How many points and runs a sweep would have, and its estimated time, or the problems. Launches nothing."""
    asked = {name: value for name, value in body.items() if name not in ("name", "notes")}
    try:
        planned = plan_sweep(SweepRequest.model_validate(asked), catalog)
    except ValidationError as error:
        return SweepVerdict(problems=field_shapes(bad_input(error).problems), plan=None)
    except BadInput as error:
        return SweepVerdict(problems=field_shapes(error.problems), plan=None)
    return SweepVerdict(problems=[], plan=_shape(planned, engine, settings, now))


@router.post("/{sweep_id}/pause")
@needs("launch")
def pause_sweep(sweep_id: SweepId, engine: EngineDep, now: NowDep) -> SweepDetail:
    """Starts no more runs, and removes the queued ones from the queue. Running ones continue."""
    with writing(engine) as session:
        lifecycle.pause(session, sweep_id, now=now)
    return _detail(engine, sweep_id, now)


@router.post("/{sweep_id}/resume")
@needs("launch")
def resume_sweep(
    sweep_id: SweepId,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    now: NowDep,
) -> SweepDetail:
    """Continues a paused or stopped sweep."""
    with writing(engine) as session:
        lifecycle.resume(session, sweep_id, now=now)
    _advance(engine, settings, catalog, nudger, sweep_id, now)
    return _detail(engine, sweep_id, now)


@router.post("/{sweep_id}/stop")
@needs("launch")
def stop_sweep(sweep_id: SweepId, engine: EngineDep, doorbell: DoorbellDep, now: NowDep) -> SweepDetail:
    """Starts no more runs, and stops the running ones; after a resume, their trials are trained from the start."""
    with writing(engine) as session:
        stopped = lifecycle.stop(session, sweep_id, now=now)
        numbers = trial_runs.last_seqs(session, stopped)
    for run_id, last_seq in numbers.items():
        doorbell.ring(run_id, last_seq)
    return _detail(engine, sweep_id, now)


@router.post("/{sweep_id}/extend")
@needs("launch", SMALL_JSON)
def extend_sweep(
    sweep_id: SweepId,
    body: SweepExtension,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    now: NowDep,
) -> SweepDetail:
    """Adds points, seeds, or time. A sweep that has ended runs again."""
    with reading(engine) as session:
        sweep = sweeps.get(session, sweep_id)
        before, design = sweep.design, sweeps.design_of(sweep)
    after = extended(design, body).model_dump(mode="json")
    with writing(engine) as session:
        lifecycle.extend(session, sweep_id, before, after, now=now)
    _advance(engine, settings, catalog, nudger, sweep_id, now)
    return _detail(engine, sweep_id, now)


def _advance(engine: Engine, settings: Settings, catalog: Catalog, nudger: Nudger, sweep_id: str, now: float) -> None:
    """Launches the first runs at once; the driver does the rest."""
    if advance(engine, settings, catalog, sweep_id, now=now):
        nudger.nudge()


def _detail(engine: Engine, sweep_id: str, now: float) -> SweepDetail:
    with reading(engine) as session:
        return detail(session, sweeps.get(session, sweep_id), now)


def _shape(planned: PlannedSweep, engine: Engine, settings: Settings, now: float) -> SweepPlanShape:
    with reading(engine) as session:
        time = preflight(session, planned.plan, settings.data_dir, now=now, lost_after_s=settings.lease_s).time
        slots = workers.online_slots(session, now=now, lost_after_s=settings.lease_s)
    run_s = None if time is None else time.total_s
    return SweepPlanShape(
        points=planned.points,
        trials=planned.trials,
        metric=planned.design.metric,
        examples=planned.examples,
        rungs=planned.design.rungs,
        run_s=run_s,
        total_s=None if run_s is None else run_s * planned.trials / max(1, slots),
        slots=slots,
        warnings=planned.plan.warnings[:20],
    )
