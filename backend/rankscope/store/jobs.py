"""Background jobs: submit, claim, finish, and end those that nobody can finish."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, select
from sqlmodel import Session, col

from rankscope.contract.errors import ServiceDown
from rankscope.contract.jobs import JOB_OWNED, KINDS, PREDICT, JobKind, JobStatus
from rankscope.contract.stored import Payload, StoredError
from rankscope.contract.tables import Job
from rankscope.store.leases import JOBS, Lease
from rankscope.store.runs import new_run_id

MOST_WAITING = 1000
MOST_PAYLOAD_CHARACTERS = 1_000_000
MOST_RESULT_CHARACTERS = 4_000_000
MOST_ERROR_CHARACTERS = 4000


@dataclass(frozen=True)
class JobClaim:
    id: str
    attempt: int
    kind: JobKind
    payload: Payload


class JobState(NamedTuple):
    """A job that no worker has, as it is; any change makes another one."""

    id: str
    kind: str
    status: JobStatus
    attempt: int

    @property
    def longest_s(self) -> float:
        """For how long it may stay so."""
        kind = KINDS.get(self.kind, PREDICT)
        return kind.wait_s if self.status == JobStatus.queued else kind.kept_s


def submit(session: Session, kind: JobKind, payload: Payload, *, now: float) -> Job:
    """Stores a job for a worker. Raises ServiceDown when too many wait, ValueError for a payload above the limit."""
    if len(json.dumps(payload)) > MOST_PAYLOAD_CHARACTERS:
        raise ValueError(f"The payload of a {kind.name} job is above {MOST_PAYLOAD_CHARACTERS:,} characters.")
    waiting = select(func.count()).select_from(Job).where(col(Job.status) == JobStatus.queued)
    if (session.scalar(waiting) or 0) >= MOST_WAITING:
        raise ServiceDown(
            f"{MOST_WAITING:,} jobs already wait for a worker.",
            "Start more workers with `rankscope worker`, or try later.",
        )
    job = Job(id=new_run_id(), kind=kind.name, payload=payload, created_at=now, updated_at=now)
    session.add(job)
    session.flush()
    return job


def get_job(session: Session, job_id: str, kind: JobKind) -> Job | None:
    """The job, if it exists and is of this kind."""
    job = session.get(Job, job_id, populate_existing=True)
    return job if job is not None and job.kind == kind.name else None


def is_waiting(session: Session, kinds: Collection[str]) -> bool:
    """Whether a job of these kinds waits for a worker."""
    return session.scalar(_waiting(kinds).limit(1)) is not None


def claim_next(session: Session, *, worker: str, kinds: Collection[str], lease_s: float, now: float) -> JobClaim | None:
    """Takes the job of these kinds that has waited the longest; None when none waits."""
    claimed = JOBS.claim(
        session,
        _waiting(kinds),
        worker=worker,
        lease_s=lease_s,
        now=now,
        values={"status": JobStatus.running, "progress": None},
        returning=[col(Job.kind), col(Job.payload)],
    )
    return None if claimed is None else JobClaim(claimed[0], claimed[1], KINDS[claimed[2]], claimed[3])


def _waiting(kinds: Collection[str]) -> Select[Any]:
    return (
        select(col(Job.id))
        .where(col(Job.status) == JobStatus.queued, col(Job.kind).in_(kinds))
        .order_by(col(Job.created_at), col(Job.id))
    )


def renew(session: Session, claim: JobClaim, *, lease_s: float, now: float, progress: float | None = None) -> None:
    """Keeps the job for another `lease_s`. Raises LeaseLost when another attempt has it, or it has ended."""
    values = {"lease_expires_at": now + lease_s} | ({} if progress is None else {"progress": progress})
    JOBS.change(session, claim.id, claim.attempt, values)


def finish(session: Session, claim: JobClaim, result: Payload, *, now: float) -> None:
    """Stores the result; one above the limit fails the job. Raises LeaseLost."""
    size = len(json.dumps(result))
    if size > MOST_RESULT_CHARACTERS:
        message = f"The result has {size:,} characters; at most {MOST_RESULT_CHARACTERS:,} can be stored."
        fail(session, claim, message, "Ask for less at once.", now=now)
        return
    JOBS.change(session, claim.id, claim.attempt, _ended(JobStatus.done, now) | {"result": result, "progress": 1.0})


def fail(session: Session, claim: JobClaim, message: str, next_step: str | None, *, now: float) -> None:
    """Ends the job with an error. Raises LeaseLost."""
    JOBS.change(session, claim.id, claim.attempt, _failed(message, next_step, now))


def give_back(session: Session, claim: JobClaim, *, now: float) -> None:
    """Puts the job back into the queue, for a worker that shuts down. Raises LeaseLost."""
    JOBS.change(session, claim.id, claim.attempt, _ended(JobStatus.queued, now))


def reap(session: Session, *, now: float, lapsed: Collection[Lease] | None = None) -> list[str]:
    """Takes jobs with a lapsed lease from their workers (see `Leases.lapsed`); returns their ids."""
    return [
        _take_back(session, job, f"Worker {job.worker} has stopped renewing its lease.", now)
        for job in JOBS.lapsed(session, now=now, lapsed=lapsed)
    ]


def release_worker(session: Session, worker: str, *, now: float) -> list[str]:
    """Takes all jobs from a worker that is known to be gone; returns their ids."""
    return [
        _take_back(session, job, f"Worker {worker} ended while it had this job.", now)
        for job in JOBS.of_worker(session, worker)
    ]


def _take_back(session: Session, job: Job, why: str, now: float) -> str:
    """Queues the job again, or fails it after the last attempt."""
    kind = KINDS.get(job.kind)
    if kind is not None and job.attempt < kind.most_attempts:
        values = _ended(JobStatus.queued, now)
    else:
        retry = kind.retry if kind else None
        values = _failed(f"{why} This was attempt {job.attempt}, the last one.", retry, now)
    JOBS.change(session, job.id, job.attempt, values)
    return job.id


def resting(session: Session) -> list[JobState]:
    """Jobs that no worker has: those that wait, and those that have ended."""
    query = select(col(Job.id), col(Job.kind), col(Job.status), col(Job.attempt)).where(
        col(Job.status).not_in(JOB_OWNED)
    )
    return [JobState(*row) for row in session.execute(query)]


def clean_up(session: Session, overdue: Collection[JobState], *, now: float) -> None:
    """Fails jobs that have waited too long, and deletes those that ended long ago, if they are still as given."""
    for state in overdue:
        job = session.get(Job, state.id, populate_existing=True, with_for_update=True)
        if job is None or (job.status, job.attempt) != (state.status, state.attempt):
            continue
        if state.status == JobStatus.queued:
            minutes = state.longest_s / 60
            job.status, job.updated_at = JobStatus.failed, now
            job.error = _error(
                f"No worker has taken this within {minutes:g} minutes.",
                "Start one with `rankscope worker`, then try again.",
            )
            session.add(job)
        else:
            session.execute(delete(Job).where(col(Job.id) == state.id))
    session.flush()


def _ended(status: JobStatus, now: float) -> dict[str, object]:
    """The columns of a job that its worker no longer has."""
    return {"status": status, "updated_at": now, "lease_expires_at": None}


def _failed(message: str, next_step: str | None, now: float) -> dict[str, object]:
    return _ended(JobStatus.failed, now) | {"error": _error(message, next_step)}


def _error(message: str, next_step: str | None) -> StoredError:
    return {"message": message[:MOST_ERROR_CHARACTERS], "next_step": next_step and next_step[:MOST_ERROR_CHARACTERS]}
