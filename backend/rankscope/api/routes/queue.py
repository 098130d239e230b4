"""The queue: waiting runs, in the order in which they will start."""

from fastapi import APIRouter
from sqlalchemy import Engine

from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, NudgerDep, RunId, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, SMALL_JSON, needs
from rankscope.api.shapes import views
from rankscope.api.shapes.requests import ConfigEdit, ReorderRequest
from rankscope.api.shapes.runs import Queue, RunDetail
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import InvalidTransition
from rankscope.contract.tasks import in_todays_form
from rankscope.launch.changes import differing
from rankscope.launch.plan import make_plan
from rankscope.launch.preflight import stored_estimate
from rankscope.store import config_edits, queue_positions, runs
from rankscope.store.database.engine import reading, writing

router = APIRouter(tags=["queue"])

_MAX_RUNS = 1000


@router.get("/queue")
@needs("read")
def get_queue(engine: EngineDep, now: NowDep) -> Queue:
    """Waiting runs, the next one first, at most 1,000; includes interrupted runs."""
    return _queue(engine, now)


@router.post("/queue/reorder")
@needs("launch", SMALL_JSON)
def reorder_queue(body: ReorderRequest, engine: EngineDep, nudger: NudgerDep, now: NowDep) -> Queue:
    """Reorders waiting runs within the positions that they have now; a run takes the priority of its new position.

    Refused entirely if one of the runs is no longer waiting.
    """
    with writing(engine) as session:
        queue_positions.reorder(session, body.run_ids)
    nudger.nudge()
    return _queue(engine, now)


@router.put("/runs/{run_id}/config")
@needs("launch", LARGE_JSON)
def edit_config(
    run_id: RunId,
    body: ConfigEdit,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    doorbell: DoorbellDep,
    nudger: NudgerDep,
    now: NowDep,
) -> RunDetail:
    """Changes the configuration of a run that has not started yet."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        config_edits.check_editable(run)
        old = run.config
    before, plan = RunConfig.stored(old), make_plan(body.config, catalog)
    estimate = stored_estimate(engine, plan, now=now, lost_after_s=settings.lease_s)
    differences = differing(in_todays_form(old), plan.config.model_dump(mode="json"))
    with writing(engine) as session:
        run = session.get(type(run), run_id, populate_existing=True, with_for_update=True) or runs.get_run(
            session, run_id
        )
        config_edits.check_editable(run)
        if run.config != old:
            raise InvalidTransition(f"Run {run_id} was edited in the meantime.", "Reload it and try again.")
        config_edits.change_config(
            session,
            run,
            before,
            plan.config,
            differences,
            why="edit",
            now=now,
            total_steps=plan.total_steps,
            environment=plan.environment | {"n_modules": plan.n_modules},
            memory_estimate=estimate,
        )
    doorbell.ring(run_id, run.last_seq)
    nudger.nudge()
    return views.read_detail(engine, run_id, settings, now=now)


def _queue(engine: Engine, now: float) -> Queue:
    with reading(engine) as session:
        found, total = queue_positions.waiting_runs(session, limit=_MAX_RUNS)
        return Queue(items=views.summaries(session, found, now=now), total=total)
