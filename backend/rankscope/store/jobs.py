"""Background jobs: submit, claim, finish, and fail those that no worker finishes."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, false, func, or_, select
from sqlmodel import Session, col

from rankscope.contract.errors import ServiceDown
from rankscope.contract.jobs import JOB_ENDED, JOB_OWNED, KINDS, PREDICT, JobKind, JobStatus
from rankscope.contract.stored import Payload, StoredError
from rankscope.contract.tables import Job
from rankscope.store.leases import JOBS, Lease
from rankscope.store.runs import new_run_id

MAX_WAITING = 1000
MAX_PAYLOAD_CHARACTERS = 1_000_000
MAX_RESULT_CHARACTERS = 4_000_000
MAX_ERROR_CHARACTERS = 4000


@dataclass(frozen=True)
class JobClaim:
    id: str
    attempt: int
    kind: JobKind
    payload: Payload


class JobState(NamedTuple):
    """The state of a job without a worker. Any change results in a different value."""

    id: str
    kind: str
    status: JobStatus
    attempt: int

    @property
    def longest_s(self) -> float:
        """How long the job may stay in this state, in seconds."""
        kind = KINDS.get(self.kind, PREDICT)
        return kind.wait_s if self.status == JobStatus.queued else kind.kept_s


def submit(session: Session, kind: JobKind, payload: Payload, *, now: float) -> Job:
    """Stores and returns a job for a worker. Raises ServiceDown if too many are queued, ValueError if the payload is too large."""
    if len(json.dumps(payload)) > MAX_PAYLOAD_CHARACTERS:
        raise ValueError(f"The payload of a {kind.name} job has more than {MAX_PAYLOAD_CHARACTERS:,} characters.")
    waiting = select(func.count()).select_from(Job).where(col(Job.status) == JobStatus.queued)
    if (session.scalar(waiting) or 0) >= MAX_WAITING:
        raise ServiceDown(
            f"{MAX_WAITING:,} jobs are already waiting for a worker.",
            "Start more workers with `rankscope worker`, or try again later.",
        )
    job = Job(id=new_run_id(), kind=kind.name, payload=payload, created_at=now, updated_at=now)
    session.add(job)
    session.flush()
    return job


def submit_once(session: Session, kind: JobKind, payload: Payload, *, now: float) -> Job:
    """Returns the job with this payload that waits or runs; submits one if there is none."""
    for job in of_kind(session, kind):
        if job.status not in JOB_ENDED and job.payload == payload:
            return job
    return submit(session, kind, payload, now=now)


def find_done(session: Session, kind: JobKind, payload: Payload) -> Job | None:
    """Returns a job with this payload that is done and still kept."""
    for job in of_kind(session, kind):
        if job.status == JobStatus.done and job.payload == payload:
            return job
    return None


def get_job(session: Session, job_id: str, kind: JobKind) -> Job | None:
    """Returns the job if it exists and is of this kind; otherwise None."""
    job = session.get(Job, job_id, populate_existing=True)
    return job if job is not None and job.kind == kind.name else None


def of_kind(session: Session, kind: JobKind, limit: int = 100) -> list[Job]:
    """Returns the jobs of a kind, newest first."""
    query = select(Job).where(col(Job.kind) == kind.name).order_by(col(Job.created_at).desc(), col(Job.id))
    return list(session.scalars(query.limit(limit)))


def forget(session: Session, job_id: str, kind: JobKind) -> bool:
    """Deletes a job. One on a worker ends there when its lease is renewed. Returns False if there is none."""
    query = delete(Job).where(col(Job.id) == job_id, col(Job.kind) == kind.name)
    return bool(session.execute(query.returning(col(Job.id))).first())


def is_waiting(session: Session, kinds: Collection[str], *, has_gpu: bool = True) -> bool:
    """Whether a job of these kinds is waiting for a worker with or without GPUs."""
    return session.scalar(_waiting(kinds, has_gpu).limit(1)) is not None


def claim_next(
    session: Session, *, worker: str, kinds: Collection[str], lease_s: float, now: float, has_gpu: bool = True
) -> JobClaim | None:
    """Claims the job of these kinds that has waited the longest; returns None if there is none.

    Without GPUs, none whose payload has `needs_gpu`.
    """
    claimed = JOBS.claim(
        session,
        _waiting(kinds, has_gpu),
        worker=worker,
        lease_s=lease_s,
        now=now,
        values={"status": JobStatus.running, "progress": None},
        returning=[col(Job.kind), col(Job.payload)],
    )
    return None if claimed is None else JobClaim(claimed[0], claimed[1], KINDS[claimed[2]], claimed[3])


def _waiting(kinds: Collection[str], has_gpu: bool) -> Select[Any]:
    found = select(col(Job.id)).where(col(Job.status) == JobStatus.queued, col(Job.kind).in_(kinds))
    if not has_gpu:
        needs_gpu = col(Job.payload)["needs_gpu"].as_boolean()
        found = found.where(or_(needs_gpu.is_(None), needs_gpu == false()))
    return found.order_by(col(Job.created_at), col(Job.id))


def renew(session: Session, claim: JobClaim, *, lease_s: float, now: float, progress: float | None = None) -> None:
    """Extends the lease by `lease_s` seconds. Raises LeaseLost if another attempt owns the job or it has ended."""
    values = {"lease_expires_at": now + lease_s} | ({} if progress is None else {"progress": progress})
    JOBS.change(session, claim.id, claim.attempt, values)


def finish(session: Session, claim: JobClaim, result: Payload, *, now: float) -> None:
    """Stores the result; one above the limit fails the job. Raises LeaseLost."""
    size = len(json.dumps(result))
    if size > MAX_RESULT_CHARACTERS:
        message = f"The result has {size:,} characters; at most {MAX_RESULT_CHARACTERS:,} can be stored."
        fail(session, claim, message, "Send less at a time.", now=now)
        return
    JOBS.change(session, claim.id, claim.attempt, _ended(JobStatus.done, now) | {"result": result, "progress": 1.0})


def fail(session: Session, claim: JobClaim, message: str, next_step: str | None, *, now: float) -> None:
    """Fails the job with an error. Raises LeaseLost."""
    JOBS.change(session, claim.id, claim.attempt, _failed(message, next_step, now))


def give_back(session: Session, claim: JobClaim, *, now: float) -> None:
    """Returns the job to the queue because its worker is shutting down. Raises LeaseLost."""
    JOBS.change(session, claim.id, claim.attempt, _ended(JobStatus.queued, now))


def reap(session: Session, *, now: float, lapsed: Collection[Lease] | None = None) -> list[str]:
    """Takes back jobs with a lapsed lease (see `Leases.lapsed`). Returns their ids."""
    return [
        _take_back(session, job, f"Worker {job.worker} has stopped renewing its lease.", now)
        for job in JOBS.lapsed(session, now=now, lapsed=lapsed)
    ]


def release_worker(session: Session, worker: str, *, now: float) -> list[str]:
    """Takes back all jobs of a worker that has ended. Returns their ids."""
    return [
        _take_back(session, job, f"Worker {worker} ended while running this job.", now)
        for job in JOBS.of_worker(session, worker)
    ]


def _take_back(session: Session, job: Job, why: str, now: float) -> str:
    """Requeues the job, or fails it after the last attempt."""
    kind = KINDS.get(job.kind)
    if kind is not None and job.attempt < kind.max_attempts:
        values = _ended(JobStatus.queued, now)
    else:
        retry = kind.retry if kind else None
        values = _failed(f"{why} This was attempt {job.attempt}, the last one.", retry, now)
    JOBS.change(session, job.id, job.attempt, values)
    return job.id


def without_worker(session: Session) -> list[JobState]:
    """Returns the jobs without a worker: queued ones and those that have ended."""
    query = select(col(Job.id), col(Job.kind), col(Job.status), col(Job.attempt)).where(
        col(Job.status).not_in(JOB_OWNED)
    )
    return [JobState(*row) for row in session.execute(query)]


def clean_up(session: Session, overdue: Collection[JobState], *, now: float) -> None:
    """Fails `overdue` jobs that have waited too long, and deletes those that have ended, if they have not changed since."""
    for state in overdue:
        job = session.get(Job, state.id, populate_existing=True, with_for_update=True)
        if job is None or (job.status, job.attempt) != (state.status, state.attempt):
            continue
        if state.status == JobStatus.queued:
            minutes = state.longest_s / 60
            job.status, job.updated_at = JobStatus.failed, now
            next_step = KINDS.get(state.kind, PREDICT).not_taken
            job.error = _error(f"No worker started this within {minutes:g} minutes.", next_step)
            session.add(job)
        else:
            session.execute(delete(Job).where(col(Job.id) == state.id))
    session.flush()


def _ended(status: JobStatus, now: float) -> dict[str, object]:
    """Returns the column values of a job without a worker."""
    return {"status": status, "updated_at": now, "lease_expires_at": None}


def _failed(message: str, next_step: str | None, now: float) -> dict[str, object]:
    return _ended(JobStatus.failed, now) | {"error": _error(message, next_step)}


def _error(message: str, next_step: str | None) -> StoredError:
    return {"message": message[:MAX_ERROR_CHARACTERS], "next_step": next_step and next_step[:MAX_ERROR_CHARACTERS]}
