"""Background jobs, on both databases: one executor per attempt, bounded attempts and sizes, and every job ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from rankscope.contract.errors import LeaseLost, ServiceDown
from rankscope.contract.jobs import KINDS, PREDICT, JobStatus
from rankscope.contract.tables import Job
from rankscope.reaper import Reaper
from rankscope.settings import Settings
from rankscope.store import jobs
from rankscope.store.database.engine import reading, writing
from rankscope.store.jobs import JobClaim
from rankscope.store.leases import JOBS

ALL_KINDS = list(KINDS)


def submit(engine: Engine, *, now: float = 1.0, **payload: Any) -> str:
    with writing(engine) as session:
        return jobs.submit(session, PREDICT, payload, now=now).id


def claim(engine: Engine, *, worker: str = "w", now: float = 2.0) -> JobClaim:
    with writing(engine) as session:
        claimed = jobs.claim_next(session, worker=worker, kinds=ALL_KINDS, lease_s=30, now=now)
    assert claimed is not None
    return claimed


def read_job(engine: Engine, job_id: str) -> Job:
    with reading(engine) as session:
        job = jobs.get_job(session, job_id, PREDICT)
        assert job is not None
        session.expunge(job)
    return job


def test_eight_workers_that_claim_at_once_never_get_the_same_job(engine: Engine) -> None:
    wanted = {submit(engine) for _ in range(24)}
    start = Barrier(8)

    def work(number: int) -> list[str]:
        start.wait()
        mine: list[str] = []
        while True:
            with writing(engine) as session:
                claimed = jobs.claim_next(session, worker=f"w{number}", kinds=ALL_KINDS, lease_s=30, now=2)
            if claimed is None:
                return mine
            mine.append(claimed.id)

    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for mine in pool.map(work, range(8)) for job_id in mine]
    # On PostgreSQL a worker may find nothing while others hold the locks: the remaining jobs can be claimed afterwards.
    with reading(engine) as session:
        is_waiting = jobs.is_waiting(session, ALL_KINDS)
    while is_waiting:
        taken.append(claim(engine).id)
        with reading(engine) as session:
            is_waiting = jobs.is_waiting(session, ALL_KINDS)
    assert sorted(taken) == sorted(wanted)


def test_jobs_are_claimed_in_their_order_and_only_by_workers_that_know_their_kind(engine: Engine) -> None:
    later, first = submit(engine, now=2, which="later"), submit(engine, now=1, which="first")
    with writing(engine) as session:
        assert jobs.claim_next(session, worker="old", kinds=["of another version"], lease_s=30, now=3) is None
    claimed = claim(engine)
    assert (claimed.id, claimed.attempt, claimed.kind, claimed.payload) == (first, 1, PREDICT, {"which": "first"})
    assert claim(engine).id == later


def test_the_result_of_the_owner_is_stored_and_that_of_an_earlier_attempt_is_not(engine: Engine) -> None:
    job_id = submit(engine)
    frozen = claim(engine, worker="frozen")
    with writing(engine) as session:
        jobs.renew(session, frozen, lease_s=30, now=10, progress=0.5)
    assert read_job(engine, job_id).progress == 0.5
    with writing(engine) as session:
        assert jobs.reap(session, now=39) == []
        assert jobs.reap(session, now=41) == [job_id]
    second = claim(engine, worker="second", now=42)
    assert second.attempt == 2
    assert read_job(engine, job_id).progress is None
    writes: list[Callable[[Session], None]] = [
        lambda session: jobs.renew(session, frozen, lease_s=30, now=43),
        lambda session: jobs.finish(session, frozen, {"answer": "late"}, now=43),
        lambda session: jobs.fail(session, frozen, "late", None, now=43),
        lambda session: jobs.give_back(session, frozen, now=43),
    ]
    for write in writes:
        with pytest.raises(LeaseLost, match="Attempt 1 no longer owns job"), writing(engine) as session:
            write(session)
    with writing(engine) as session:
        jobs.finish(session, second, {"answer": 42}, now=44)
    job = read_job(engine, job_id)
    assert (job.status, job.result, job.progress, job.lease_expires_at) == ("done", {"answer": 42}, 1.0, None)
    with pytest.raises(LeaseLost), writing(engine) as session:
        jobs.finish(session, second, {"answer": "again"}, now=45)


def test_a_job_that_loses_its_worker_again_and_again_fails_and_says_why(engine: Engine) -> None:
    job_id = submit(engine)
    for attempt in range(1, PREDICT.max_attempts + 1):
        assert claim(engine, worker="unlucky").attempt == attempt
        with writing(engine) as session:
            assert jobs.release_worker(session, "another", now=3) == []
            assert jobs.release_worker(session, "unlucky", now=3) == [job_id]
    job = read_job(engine, job_id)
    assert job.status == JobStatus.failed
    assert job.error == {
        "message": f"Worker unlucky ended while running this job. This was attempt {PREDICT.max_attempts}, the last one.",
        "next_step": "Try again.",
    }


def test_a_job_that_is_given_back_waits_for_the_next_worker(engine: Engine) -> None:
    job_id = submit(engine)
    claimed = claim(engine)
    with writing(engine) as session:
        jobs.give_back(session, claimed, now=3)
    assert read_job(engine, job_id).status == JobStatus.queued
    assert claim(engine, worker="next").attempt == 2


def test_payload_result_and_error_are_limited_in_size(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_PAYLOAD_CHARACTERS", 100)
    monkeypatch.setattr(jobs, "MAX_RESULT_CHARACTERS", 100)
    with pytest.raises(ValueError, match="more than 100 characters"), writing(engine) as session:
        jobs.submit(session, PREDICT, {"text": "x" * 100}, now=1)
    large, wordy = submit(engine, now=1), submit(engine, now=2)
    first, second = claim(engine), claim(engine)
    with writing(engine) as session:
        jobs.finish(session, first, {"text": "x" * 100}, now=3)
        jobs.fail(session, second, "x" * 10_000, None, now=3)
    job = read_job(engine, large)
    assert job.status == JobStatus.failed
    assert job.error is not None
    assert job.error["message"] == "The result has 112 characters; at most 100 can be stored."
    error = read_job(engine, wordy).error
    assert error is not None
    assert len(error["message"]) == jobs.MAX_ERROR_CHARACTERS


def test_number_of_queued_jobs_is_limited(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_WAITING", 2)
    submit(engine)
    submit(engine)
    with pytest.raises(ServiceDown, match="2 jobs are already waiting"), writing(engine) as session:
        jobs.submit(session, PREDICT, {}, now=1)
    claim(engine)
    submit(engine)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_server_takes_back_jobs_fails_unclaimed_ones_and_deletes_old_ones(engine: Engine) -> None:
    clock = Clock()
    reaper = Reaper(engine, Settings(lease_s=30), lambda _run_id: None, clock)
    lost, done = submit(engine, now=1), submit(engine, now=2)
    claim(engine, worker="gone")
    finished = claim(engine, worker="here")
    with writing(engine) as session:
        jobs.finish(session, finished, {}, now=3)
    reaper.reap_jobs()
    clock.now += 61
    reaper.reap_jobs()
    assert read_job(engine, lost).status == JobStatus.queued
    assert read_job(engine, done).status == JobStatus.done
    reaper.reap_jobs()  # sees the job as it waits now
    clock.now += PREDICT.wait_s - 30
    reaper.reap_jobs()
    assert read_job(engine, lost).status == JobStatus.queued
    with reading(engine) as session:
        assert jobs.get_job(session, done, PREDICT) is None
    clock.now += 31
    reaper.reap_jobs()
    job = read_job(engine, lost)
    assert (job.status, job.error) == (
        "failed",
        {
            "message": "No worker started this within 10 minutes.",
            "next_step": "Start one with `rankscope worker`, then try again.",
        },
    )
    reaper.reap_jobs()
    clock.now += PREDICT.kept_s + 1
    reaper.reap_jobs()
    with reading(engine) as session:
        assert jobs.without_worker(session) == []
        assert JOBS.held(session) == []


def test_a_job_that_has_changed_since_it_was_seen_is_not_cleaned_up(engine: Engine) -> None:
    job_id = submit(engine)
    with reading(engine) as session:
        seen = jobs.without_worker(session)
    claim(engine)
    with writing(engine) as session:
        jobs.clean_up(session, seen, now=1e9)
    assert read_job(engine, job_id).status == JobStatus.running
