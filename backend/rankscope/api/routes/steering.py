"""Steers a live run: changes how its ranks are pruned while it trains."""

from fastapi import APIRouter

from rankscope.api.deps import DoorbellDep, EngineDep, NowDep, RunId, SettingsDep
from rankscope.api.guard.access import SMALL_JSON, needs
from rankscope.api.shapes import views
from rankscope.api.shapes.requests import SteerRequest
from rankscope.api.shapes.runs import RunDetail
from rankscope.store import steering
from rankscope.store.database.engine import writing

router = APIRouter(prefix="/runs", tags=["runs"])


@router.post("/{run_id}/steer", status_code=202)
@needs("launch", SMALL_JSON)
def steer_run(
    run_id: RunId, body: SteerRequest, engine: EngineDep, settings: SettingsDep, doorbell: DoorbellDep, now: NowDep
) -> RunDetail:
    """Hold or release pruning, freeze the mask, or change the target rank.

    The training applies it at the end of a step, usually within a second, and confirms it with a `steer` event. From then on,
    it is part of the run's configuration, and a resume, or a run launched with it, repeats it at the same step.
    """
    with writing(engine) as session:
        run = steering.request_steer(session, run_id, body.action, body.target_rank, now=now)
    doorbell.ring(run_id, run.last_seq)
    return views.read_detail(engine, run_id, settings, now=now)
