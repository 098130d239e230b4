"""Measure a configuration before its launch: a worker trains a few steps of it, in a slot like that of a run."""

from fastapi import APIRouter
from sqlmodel import Session

from rankscope.api.background_jobs import JobId, cancel_job, read_job
from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, needs
from rankscope.api.shapes.base import RequestBody, Shape
from rankscope.api.shapes.jobs import STATE, why
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import InUse, NotFound, ServiceDown
from rankscope.contract.jobs import PROBE
from rankscope.contract.probes import ProbeAnswer, ProbePayload, ProbeResult
from rankscope.launch.plan import make_plan
from rankscope.launch.preflight import find_device_kind
from rankscope.store import jobs, workers
from rankscope.store.database.engine import reading, writing

router = APIRouter(prefix="/probes", tags=["runs"])


class ProbeRequest(RequestBody):
    config: RunConfig


class ProbeAccepted(Shape):
    id: str


@router.post("", status_code=202)
@needs("launch", LARGE_JSON)
def start_probe(
    body: ProbeRequest,
    engine: EngineDep,
    catalog: CatalogDep,
    settings: SettingsDep,
    doorbell: DoorbellDep,
    now: NowDep,
) -> ProbeAccepted:
    """Requests a measurement of the first steps of a training, which must be valid. Later plans of this shape use it.

    Refused while no worker has a free slot on the kind of device that the run would get: a training next to others is slower.
    """
    plan = make_plan(body.config, catalog)
    with reading(engine) as session:
        kind = find_device_kind(session, plan.config, now=now, lost_after_s=settings.lease_s)
        _check_slots(session, needs_gpu=kind == "gpu", now=now, lost_after_s=settings.lease_s)
    payload = ProbePayload(
        config=plan.config.model_dump(mode="json"), environment=plan.environment, needs_gpu=kind == "gpu"
    ).model_dump(mode="json")
    with writing(engine) as session:
        job_id = jobs.submit_once(session, PROBE, payload, now=now).id
    doorbell.ring_for_job()
    return ProbeAccepted(id=job_id)


@router.get("/{probe_id}")
@needs("read")
def get_probe(probe_id: JobId, engine: EngineDep, settings: SettingsDep, now: NowDep) -> ProbeAnswer:
    """The measurement, or its progress. It is kept for ten minutes; what it has measured is part of later plans."""
    missing = NotFound(
        f"There is no measurement {probe_id!r}; measurements are kept for ten minutes.", "Measure again."
    )
    with reading(engine) as session:
        job = read_job(session, probe_id, PROBE, missing)
        message, next_step = why(
            job,
            has_worker=workers.is_any_online(session, now=now, lost_after_s=settings.lease_s),
            waiting="Waiting for a free slot.",
            running="A worker is training some steps.",
            then="; the measurement then begins.",
        )
        return ProbeAnswer(
            id=job.id,
            status=STATE[job.status],
            progress=job.progress,
            result=None if job.result is None else ProbeResult.model_validate(job.result),
            message=message,
            next_step=next_step,
        )


@router.post("/{probe_id}/cancel", status_code=204)
@needs("launch")
def cancel_probe(probe_id: JobId, engine: EngineDep) -> None:
    """Cancels a measurement. The process of one that is running ends when the worker renews its lease."""
    missing = NotFound(f"There is no measurement {probe_id!r}; it may have ended.", "Nothing to do.")
    cancel_job(engine, probe_id, PROBE, missing)


def _check_slots(session: Session, *, needs_gpu: bool, now: float, lost_after_s: float) -> None:
    """Raises ServiceDown if there is no worker that could measure, InUse if all of them are training."""
    online = [
        (worker, run_ids)
        for worker, run_ids in workers.list_workers(session)
        if workers.state(worker, now=now, lost_after_s=lost_after_s) == "online" and (worker.gpus or not needs_gpu)
    ]
    if not online:
        raise ServiceDown(
            f"No worker{' with a GPU' if needs_gpu else ''} is online.",
            "Start one with `rankscope worker`, then measure again.",
        )
    if all(len(run_ids) >= worker.slots for worker, run_ids in online):
        slots = sum(worker.slots for worker, _ in online)
        raise InUse(
            f"All {slots} slots of the workers are busy." if slots > 1 else "The worker's only slot is busy.",
            "Measure once a run has ended, or launch this one; it then waits in the queue.",
        )
