"""Runs that continue others: retries with changes, forks from a checkpoint, and the tree of runs."""

import shutil
from typing import Annotated

from fastapi import APIRouter, Body, Response

from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, NudgerDep, RunId, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, needs
from rankscope.api.shapes import views
from rankscope.api.shapes.requests import ForkRequest, RetryRequest
from rankscope.api.shapes.runs import RunDetail, RunTree
from rankscope.catalog.changed_inputs import check_before_queueing
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import InvalidTransition
from rankscope.contract.events import CheckpointEvent
from rankscope.contract.methods import METHODS
from rankscope.contract.status import RunStatus
from rankscope.launch.changes import changed, check_retry, differing
from rankscope.launch.fork import find_origin, plan_fork, take_checkpoint
from rankscope.launch.plan import make_plan
from rankscope.launch.preflight import stored_estimate
from rankscope.store import config_edits, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import events
from rankscope.store.tags import tags_of

router = APIRouter(prefix="/runs", tags=["runs"])

_MAX_RELATIVES = 1000


@router.post("/{run_id}/retry")
@needs("launch", LARGE_JSON)
def retry_run(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    doorbell: DoorbellDep,
    nudger: NudgerDep,
    now: NowDep,
    body: Annotated[RetryRequest | None, Body()] = None,
) -> RunDetail:
    """Queues a stopped or failed run again with changes, for example half the batch and twice the accumulation.

    It resumes from its newest checkpoint and keeps its history. Only changes that keep it the same training are accepted.
    """
    request = body or RetryRequest()
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        old, status, environment = run.config, run.status, run.environment
    if status not in (RunStatus.stopped, RunStatus.failed):
        raise InvalidTransition(f"Run {run_id} is {status}; only stopped or failed runs can be retried.")
    before, after = RunConfig.stored(old), changed(old, request.changes)
    differences = differing(before.model_dump(mode="json"), after.model_dump(mode="json"))
    check_retry(differences, before, after)
    check_before_queueing(catalog, before, environment)
    plan = make_plan(after, catalog)
    estimate = stored_estimate(engine, plan, now=now, lost_after_s=settings.lease_s)
    with writing(engine) as session:
        run = runs.get_run(session, run_id)
        if run.config != old or run.status != status:
            raise InvalidTransition(f"Run {run_id} has changed in the meantime.", "Reload it and try again.")
        config_edits.change_config(
            session,
            run,
            before,
            after,
            differences,
            why="retry",
            now=now,
            total_steps=plan.total_steps,
            environment={},
            memory_estimate=estimate,
        )
        runs.transition(session, run, RunStatus.queued, now=now, reason="retried")
    doorbell.ring(run_id, run.last_seq)
    nudger.nudge()
    return views.read_detail(engine, run_id, settings, now=now)


@router.post("/{run_id}/fork", status_code=201)
@needs("launch", LARGE_JSON)
def fork_run(
    run_id: RunId,
    response: Response,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    nudger: NudgerDep,
    now: NowDep,
    body: Annotated[ForkRequest | None, Body()] = None,
) -> RunDetail:
    """Queues a new run that starts from a checkpoint of this one, with a changed budget, schedule, learning rate, and so on.

    The parent is not affected. Changes that a checkpoint does not support (another model, a budget above what is live after
    the final mask) are refused with the reason.
    """
    request = body or ForkRequest()
    with reading(engine) as session:
        parent = runs.get_run(session, run_id)
        parent_tags = tags_of(session, [run_id]).get(run_id, [])
        session.expunge(parent)
    origin = find_origin(settings, parent, request.step, request.attempt)
    plan = plan_fork(parent, origin, request.changes, catalog)
    estimate = stored_estimate(engine, plan, now=now, lost_after_s=settings.lease_s)
    child_id = runs.new_run_id()
    # Files first: a run without its checkpoint could be claimed, but files without a run are harmless.
    target = settings.checkpoint_dir(child_id, 0, origin.step)
    try:
        taken = CheckpointEvent(step=origin.step, size_bytes=take_checkpoint(origin, parent, target))
        with writing(engine) as session:
            child = runs.create_run(
                session,
                plan.config,
                now=now,
                name=request.name or f"{parent.name} (from step {origin.step})"[:200],
                tags=parent_tags if request.tags is None else request.tags,
                project=parent.project,
                priority=request.priority,
                environment=plan.environment | {"n_modules": plan.n_modules},
                total_steps=plan.total_steps,
                run_id=child_id,
                parent=(parent.id, origin.step),
                memory_estimate=estimate,
            )
            child.step = origin.step
            child.settled_step = (
                origin.step if origin.is_settled and METHODS[parent.method].rank_changes == "on_schedule" else None
            )
            session.add(child)
            session.flush()
            events.append_unfenced(session, child_id, [taken], now=now)
    except BaseException:
        shutil.rmtree(settings.runs_dir / child_id, ignore_errors=True)
        raise
    nudger.nudge()
    response.headers["Location"] = f"/api/v1/runs/{child_id}"
    return views.read_detail(engine, child_id, settings, now=now)


@router.get("/{run_id}/tree")
@needs("read")
def get_tree(run_id: RunId, engine: EngineDep) -> RunTree:
    """The run, its ancestors, and all their forks."""
    with reading(engine) as session:
        tree, is_complete = runs.relatives(session, runs.get_run(session, run_id), most=_MAX_RELATIVES)
    return RunTree(items=[views.relative(one) for one in tree], is_complete=is_complete)
