"""Background jobs that one route submits, and whose state and result another one returns."""

from typing import Annotated

from fastapi import Path
from sqlalchemy import Engine
from sqlmodel import Session

from rankscope.contract.errors import NotFound
from rankscope.contract.jobs import JobKind, JobState, JobStatus
from rankscope.contract.tables import Job
from rankscope.store import jobs
from rankscope.store.database.engine import writing

JobId = Annotated[str, Path(pattern="^[a-z0-9]{1,16}$", examples=["k7wq2m9x"])]

STATE: dict[JobStatus, JobState] = {
    JobStatus.queued: "waiting",
    JobStatus.running: "running",
    JobStatus.done: "done",
    JobStatus.failed: "failed",
}


def read_job(session: Session, job_id: str, kind: JobKind, missing: NotFound) -> Job:
    """Returns the job; raises `missing` if there is none of this kind."""
    job = jobs.get_job(session, job_id, kind)
    if job is None:
        raise missing
    return job


def cancel_job(engine: Engine, job_id: str, kind: JobKind, missing: NotFound) -> None:
    """Deletes the job; raises `missing` if there is none of this kind."""
    with writing(engine) as session:
        is_known = jobs.forget(session, job_id, kind)
    if not is_known:
        raise missing


def why(
    job: Job, *, has_worker: bool, running: str | None = None, waiting: str | None = None, then: str = "."
) -> tuple[str | None, str | None]:
    """Returns why a job failed or what it waits for, and the next step. `then` ends "Start one with `rankscope worker`"."""
    if job.error is not None:
        return job.error["message"], job.error["next_step"]
    if job.status == JobStatus.done:
        return None, None
    if not has_worker:
        return "No worker is online.", f"Start one with `rankscope worker`{then}"
    return (waiting if job.status == JobStatus.queued else running), None
