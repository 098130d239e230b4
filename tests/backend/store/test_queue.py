"""The run queue: every attempt has exactly one executor, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Engine

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import LeaseLost
from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.leases import RUNS
from rankscope.store.queue_positions import queue_positions
from tests.backend.conftest import config_with
from tests.backend.store_setup import append, begin, claim, losses, queued_run, read_run, sequence, training_run


def test_eight_workers_that_claim_at_once_never_get_the_same_run(engine: Engine) -> None:
    wanted = {queued_run(engine) for _ in range(24)}
    start = Barrier(8)

    def work(number: int) -> list[queue.Claim]:
        start.wait()
        mine = []
        while claimed := claim(engine, worker=f"w{number}"):
            mine.append(claimed)
        return mine

    with ThreadPoolExecutor(8) as pool:
        claims = [claimed for mine in pool.map(work, range(8)) for claimed in mine]
    # A worker that finds all rows locked by others may stop early; the last one to look takes the rest.
    while claimed := claim(engine):
        claims.append(claimed)
    assert sorted(claimed.run_id for claimed in claims) == sorted(wanted)
    assert {claimed.attempt for claimed in claims} == {1}


def test_higher_priority_starts_first_and_equal_ones_in_their_order(engine: Engine) -> None:
    low = queued_run(engine, now=1, priority=-1)
    first, second = queued_run(engine, now=2), queued_run(engine, now=3)
    high = queued_run(engine, now=4, priority=5)
    with reading(engine) as session:
        assert queue_positions(session) == {high: 1, first: 2, second: 3, low: 4}
    assert [claimed.run_id for claimed in iter(lambda: claim(engine), None)] == [high, first, second, low]


def test_worker_without_gpu_leaves_runs_that_need_one(engine: Engine) -> None:
    with writing(engine) as session:
        config = RunConfig.model_validate(config_with(hardware={"device": "gpu"}))
        needs_gpu = runs.create_run(session, config, now=1).id
    either = queued_run(engine, now=2)
    assert getattr(claim(engine), "run_id", None) == either
    assert claim(engine) is None
    assert getattr(claim(engine, has_gpu=True), "run_id", None) == needs_gpu


def test_attempt_whose_run_was_taken_over_cannot_write(engine: Engine) -> None:
    old = training_run(engine)
    with writing(engine) as session:
        assert queue.reap(session, now=1000, max_lost_workers=3) == [old.run_id]
    with pytest.raises(LeaseLost):
        append(engine, old, losses(1))
    new = claim(engine, worker="other", now=1001)
    assert new is not None
    assert new.attempt == 2
    before = sequence(engine, old.run_id)
    with pytest.raises(LeaseLost):
        append(engine, old, losses(1))
    with pytest.raises(LeaseLost), writing(engine) as session:
        queue.renew_lease(session, old.run_id, old.attempt, lease_s=30, now=1001)
    with pytest.raises(LeaseLost):
        begin(engine, old)
    assert sequence(engine, old.run_id) == before
    append(engine, new, losses(1))


def test_lease_that_is_renewed_in_time_is_not_reaped(engine: Engine) -> None:
    claimed = training_run(engine)
    with writing(engine) as session:
        assert queue.renew_lease(session, claimed.run_id, claimed.attempt, lease_s=30, now=100) is None
    with writing(engine) as session:
        assert queue.reap(session, now=129, max_lost_workers=3) == []
        assert queue.reap(session, now=131, max_lost_workers=3) == [claimed.run_id]


def test_lease_renewed_after_the_check_is_not_reaped(engine: Engine) -> None:
    claimed = training_run(engine)
    with reading(engine) as session:
        seen = RUNS.held(session)
    assert [(lease.id, lease.attempt) for lease in seen] == [(claimed.run_id, 1)]
    with writing(engine) as session:
        assert queue.reap(session, now=1e9, max_lost_workers=3, lapsed=[]) == []
        queue.renew_lease(session, claimed.run_id, 1, lease_s=30, now=5)
        assert queue.reap(session, now=1e9, max_lost_workers=3, lapsed=seen) == []
        still = RUNS.held(session)
        assert queue.reap(session, now=0, max_lost_workers=3, lapsed=still) == [claimed.run_id]


def test_worker_reads_what_a_person_asked_for_when_it_renews(engine: Engine) -> None:
    claimed = training_run(engine)
    for save, wanted in ((True, "save"), (False, "now"), (True, "now")):
        with writing(engine) as session:
            runs.request_stop(session, claimed.run_id, save=save, now=10)
        with writing(engine) as session:
            assert queue.renew_lease(session, claimed.run_id, claimed.attempt, lease_s=30, now=11) == wanted


def test_run_that_keeps_losing_its_worker_fails_with_a_next_step(engine: Engine) -> None:
    run_id = queued_run(engine)
    for turn in range(3):
        now = 1000.0 * (turn + 1)
        assert claim(engine, now=now)
        with writing(engine) as session:
            queue.reap(session, now=now + 100, max_lost_workers=2)
    run = read_run(engine, run_id)
    assert run.status == RunStatus.failed
    assert run.reason == "worker_lost"
    assert run.next_step
    assert claim(engine, now=9000) is None


def test_stopping_run_that_loses_its_worker_counts_as_stopped(engine: Engine) -> None:
    claimed = training_run(engine)
    with writing(engine) as session:
        runs.request_stop(session, claimed.run_id, save=True, now=10)
    with writing(engine) as session:
        queue.reap(session, now=1000, max_lost_workers=3)
    assert read_run(engine, claimed.run_id).status == RunStatus.stopped


def test_runs_of_a_lost_worker_are_queued_again(engine: Engine) -> None:
    mine, others = training_run(engine), queued_run(engine)
    assert claim(engine, worker="other")
    with writing(engine) as session:
        assert queue.release_worker(session, "w", now=5, max_lost_workers=3) == [mine.run_id]
    assert read_run(engine, mine.run_id).status == RunStatus.interrupted
    assert read_run(engine, others).status == RunStatus.starting
