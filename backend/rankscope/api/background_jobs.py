"""Background jobs that one route submits, and another one reads or cancels."""

from typing import Annotated

from fastapi import Path
from sqlalchemy import Engine
from sqlmodel import Session

from rankscope.contract.errors import NotFound
from rankscope.contract.jobs import JobKind
from rankscope.contract.tables import Job
from rankscope.store import jobs
from rankscope.store.database.engine import writing

JobId = Annotated[str, Path(pattern="^[a-z0-9]{1,16}$", examples=["k7wq2m9x"])]


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
