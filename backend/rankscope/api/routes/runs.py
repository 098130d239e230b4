"""Launch, find, change, stop and delete runs."""

import shutil
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from fastapi.openapi.models import Example
from pydantic import ValidationError

from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, NudgerDep, RunId, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, SMALL_JSON, needs
from rankscope.api.run_query import FilterDep, Sort
from rankscope.api.shapes import views
from rankscope.api.shapes.plans import SwitchedFieldShape, SwitchedMethod, Verdict
from rankscope.api.shapes.problems import field_shapes
from rankscope.api.shapes.requests import MethodSwitch, RunCheck, RunCreate, RunPatch, StopRequest
from rankscope.api.shapes.runs import RunDetail, RunPage
from rankscope.catalog.changed_inputs import check_before_queueing
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, InvalidTransition
from rankscope.contract.presets import presets
from rankscope.contract.problems import bad_input
from rankscope.health.remedy import unavailable_actions
from rankscope.launch.method_switch import switch_method
from rankscope.launch.plan import make_plan
from rankscope.launch.preflight import check_quantization, preflight, stored_estimate
from rankscope.store import labels, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.listing import run_list

router = APIRouter(prefix="/runs", tags=["runs"])


def _examples(**more: object) -> dict[str, Example]:
    return {
        preset.key: Example(
            summary=preset.title,
            description=preset.description,
            value={"config": preset.config.model_dump(mode="json", exclude_unset=True), **more},
        )
        for preset in presets()
    }


@router.post("", status_code=201)
@needs("launch", LARGE_JSON)
def create_run(
    body: Annotated[RunCreate, Body(openapi_examples=_examples(tags=["first"]))],
    response: Response,
    engine: EngineDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    settings: SettingsDep,
    now: NowDep,
) -> RunDetail:
    """Queues a run with its fully resolved configuration.

    The run is stored even if no worker or broker is available; it then waits.
    """
    plan = make_plan(body.config, catalog)
    check_quantization(engine, plan.config, now=now, lost_after_s=settings.lease_s)
    estimate = stored_estimate(engine, plan, now=now, lost_after_s=settings.lease_s)
    with writing(engine) as session:
        run = runs.create_run(
            session,
            plan.config,
            now=now,
            name=body.name,
            tags=body.tags,
            notes=body.notes,
            project=body.project or "",
            priority=body.priority,
            environment=plan.environment | {"n_modules": plan.n_modules},
            total_steps=plan.total_steps,
            memory_estimate=estimate,
        )
    nudger.nudge()  # after the commit, so that a worker finds the run
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    return views.read_detail(engine, run.id, settings, now=now)


@router.post("/validate")
@needs("read", LARGE_JSON)
def validate_run(
    body: Annotated[RunCheck, Body(openapi_examples=_examples())],
    catalog: CatalogDep,
    engine: EngineDep,
    settings: SettingsDep,
    now: NowDep,
) -> Verdict:
    """The plan for a configuration with its memory, time and disk, or its problems. Launches nothing."""
    try:
        plan = make_plan(RunConfig.model_validate(body.config), catalog)
        check_quantization(engine, plan.config, now=now, lost_after_s=settings.lease_s)
    except ValidationError as error:
        return Verdict(problems=field_shapes(bad_input(error, prefix="config").problems), plan=None)
    except BadInput as error:
        return Verdict(problems=field_shapes(error.problems), plan=None)
    with reading(engine) as session:
        checks = preflight(session, plan, settings.data_dir, now=now, lost_after_s=settings.lease_s)
    return Verdict(problems=[], plan=views.plan_shape(plan, checks))


@router.post("/switch-method")
@needs("read", LARGE_JSON)
def switch_run_method(body: MethodSwitch) -> SwitchedMethod:
    """The draft with another method at the same budget and that method's usual learning rate; reports what changed."""
    switched = switch_method(
        body.config, body.method, earlier=body.earlier, budget=body.budget, total_steps=body.total_steps
    )
    return SwitchedMethod(
        config=switched.config,
        changes=[SwitchedFieldShape(**asdict(change)) for change in switched.changes],
        budget=switched.budget,
    )


@router.get("")
@needs("read")
def list_runs(
    engine: EngineDep,
    now: NowDep,
    filter: FilterDep,
    sort: Sort = "-created",
    limit: Annotated[int, Query(ge=1, le=500, description="Maximum number of runs on a page.")] = 100,
    cursor: Annotated[str | None, Query(max_length=4000, description="`next_cursor` of the previous page.")] = None,
) -> RunPage:
    """One page of runs. It starts after the last run of the previous page, so runs launched in the meantime don't shift it."""
    with reading(engine) as session:
        page = run_list.list_runs(session, filter, sort=sort, limit=limit, cursor=cursor)
        items = views.summaries(session, page.runs, now=now)
    return RunPage(items=items, total=page.total, next_cursor=page.next_cursor)


@router.get("/{run_id}")
@needs("read")
def get_run(run_id: RunId, engine: EngineDep, settings: SettingsDep, now: NowDep) -> RunDetail:
    """One run with configuration, modules, plan and attempts."""
    return views.read_detail(engine, run_id, settings, now=now)


@router.patch("/{run_id}")
@needs("launch", SMALL_JSON)
def update_run(run_id: RunId, body: RunPatch, engine: EngineDep, settings: SettingsDep, now: NowDep) -> RunDetail:
    """Changes name, tags, notes, project, priority, or whether the run is archived; only the given fields change."""
    changes = {name: value for name, value in body.model_dump(exclude_unset=True).items() if value is not None}
    with writing(engine) as session:
        labels.change(session, [run_id], changes, now=now)
    return views.read_detail(engine, run_id, settings, now=now)


@router.delete("/{run_id}", status_code=204)
@needs("admin")
def delete_run(run_id: RunId, engine: EngineDep, settings: SettingsDep, doorbell: DoorbellDep, now: NowDep) -> None:
    """Deletes a run with its events and files. Stop it first if it is on a worker."""
    with writing(engine) as session:
        run = runs.delete_run(session, run_id, now=now)
    shutil.rmtree(settings.runs_dir / run.id, ignore_errors=True)
    doorbell.ring(run.id, run.last_seq)


@router.post("/{run_id}/stop")
@needs("launch", SMALL_JSON)
def stop_run(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    doorbell: DoorbellDep,
    now: NowDep,
    body: StopRequest | None = None,
) -> RunDetail:
    """Stops a run: immediately if it is waiting, otherwise through its worker."""
    request = body or StopRequest()
    with writing(engine) as session:
        run = runs.request_stop(session, run_id, save=request.save, now=now)
    doorbell.ring(run_id, run.last_seq)
    return views.read_detail(engine, run_id, settings, now=now)


@router.post("/{run_id}/resume")
@needs("launch")
def resume_run(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    doorbell: DoorbellDep,
    nudger: NudgerDep,
    now: NowDep,
) -> RunDetail:
    """Puts a stopped or failed run back into the queue; it continues from its newest checkpoint.

    Refused if the files of the model or the data set have changed since the launch, and if the run failed and has no
    checkpoint: a retry starts it again from step 0.
    """
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        runs.check_resumable(run)
        kept_steps = [row.step for row in views.kept_checkpoints(session, run, settings)]
        why_not = unavailable_actions(run, kept_steps).get("resume")
        config, environment = RunConfig.stored(run.config), run.environment
    if why_not is not None:
        raise InvalidTransition(why_not, "Retry the run to start it again from step 0, or launch a new run.")
    check_before_queueing(catalog, config, environment)
    with writing(engine) as session:
        run = runs.request_resume(session, run_id, now=now)
    doorbell.ring(run_id, run.last_seq)
    nudger.nudge()
    return views.read_detail(engine, run_id, settings, now=now)
