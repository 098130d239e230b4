"""Runs and their status: only the changes that TRANSITIONS allows, each with its event."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Engine, update
from sqlmodel import col

from rankscope.contract.errors import InvalidTransition, NotFound
from rankscope.contract.status import CLAIMABLE, OWNED, TERMINAL, TRANSITIONS, RunStatus
from rankscope.contract.tables import Run
from rankscope.store import runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import events
from rankscope.store.queue_positions import queue_positions
from tests.backend.store_setup import append, losses, queued_run, read_run, training_run


def put(engine: Engine, run_id: str, status: RunStatus) -> None:
    with writing(engine) as session:
        session.execute(update(Run).where(col(Run.id) == run_id).values(status=status))


def test_every_status_is_waiting_owned_or_terminal() -> None:
    assert set(RunStatus) == CLAIMABLE | OWNED | TERMINAL
    assert len(CLAIMABLE) + len(OWNED) + len(TERMINAL) == len(RunStatus)
    assert set(TRANSITIONS) == set(RunStatus)


def test_each_of_the_64_transitions_is_allowed_or_refused_as_the_table_says(engine: Engine) -> None:
    run_id = queued_run(engine)
    for before in RunStatus:
        for after in RunStatus:
            put(engine, run_id, before)
            seq = read_run(engine, run_id).last_seq
            if after in TRANSITIONS[before]:
                with writing(engine) as session:
                    runs.transition(session, runs.get_run(session, run_id), after, now=5, reason="because")
                run = read_run(engine, run_id)
                assert (run.status, run.reason, run.last_seq) == (after, "because", seq + 1)
                assert not after.is_terminal or run.ended_at == 5
            else:
                with pytest.raises(InvalidTransition, match=f"is {before}"), writing(engine) as session:
                    runs.transition(session, runs.get_run(session, run_id), after, now=5)
                assert read_run(engine, run_id).last_seq == seq
                assert read_run(engine, run_id).status == before


def test_two_concurrent_stops_of_a_waiting_run_leave_one_event(engine: Engine) -> None:
    run_id = queued_run(engine)
    start = Barrier(2)

    def stop(_: int) -> bool:
        start.wait()
        try:
            with writing(engine) as session:
                runs.request_stop(session, run_id, save=True, now=5)
        except InvalidTransition:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(stop, range(2))) == [False, True]
    with reading(engine) as session:
        assert [event["status"] for event in events.read_after(session, run_id, 0)] == ["queued", "stopped"]


def test_stop_of_a_finished_run_is_refused_with_the_reason(engine: Engine) -> None:
    run_id = queued_run(engine)
    put(engine, run_id, RunStatus.done)
    with (
        pytest.raises(InvalidTransition, match="only queued, interrupted, starting or running"),
        writing(engine) as session,
    ):
        runs.request_stop(session, run_id, save=True, now=5)


def test_resumed_run_is_queued_behind_the_others(engine: Engine) -> None:
    first = queued_run(engine, now=1)
    with writing(engine) as session:
        runs.request_stop(session, first, save=True, now=2)
    second = queued_run(engine, now=3)
    with writing(engine) as session:
        runs.request_resume(session, first, now=4)
    with reading(engine) as session:
        assert queue_positions(session) == {second: 1, first: 2}
    assert read_run(engine, first).ended_at is None
    with pytest.raises(InvalidTransition), writing(engine) as session:
        runs.request_resume(session, first, now=5)


def test_deleted_run_leaves_no_row_behind(engine: Engine) -> None:
    claimed = training_run(engine)
    append(engine, claimed, losses(1, 2))
    with pytest.raises(InvalidTransition), writing(engine) as session:
        runs.delete_run(session, claimed.run_id, now=9)
    put(engine, claimed.run_id, RunStatus.done)
    with writing(engine) as session:
        runs.delete_run(session, claimed.run_id, now=9)
    with reading(engine) as session:
        assert events.count(session, claimed.run_id) == 0
        assert runs.attempts_of(session, claimed.run_id) == []
        with pytest.raises(NotFound):
            runs.get_run(session, claimed.run_id)
