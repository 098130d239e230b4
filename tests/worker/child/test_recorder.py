"""Every event is stored once and in order, despite any database failure; a lost lease stops the writer."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import LeaseLost
from rankscope.contract.events import MetricsEvent
from rankscope.contract.presets import presets
from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import events
from rankscope_worker.child import recorder as module
from rankscope_worker.child.recorder import Recorder
from rankscope_worker.database_retries import retry_on_database_errors
from tests.stack import wait_for


class Bell:
    """A doorbell that records its rings."""

    def __init__(self) -> None:
        self.rings: list[int] = []

    def ring(self, run_id: str, seq: int) -> None:
        self.rings.append(seq)


@pytest.fixture
def claim(engine: Engine) -> queue.Claim:
    config: RunConfig = presets()[0].config
    with writing(engine) as session:
        runs.create_run(session, config, now=time.time())
        found = queue.claim_next(session, worker="w", has_gpu=False, lease_s=60, now=time.time())
    assert found is not None
    return found


def make(engine: Engine, claim: queue.Claim, **options: Any) -> Recorder:
    return Recorder(engine, options.pop("bell", Bell()), claim.run_id, claim.attempt, **options)


def metric(step: int) -> MetricsEvent:
    return MetricsEvent(step=step, values={"m": float(step)})


def stored_steps(engine: Engine, claim: queue.Claim) -> list[int]:
    with reading(engine) as session:
        found = events.read_after(session, claim.run_id, 0, limit=100_000)
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    return [event["step"] for event in found if event["kind"] == "metrics"]


def test_events_are_stored_in_order_and_the_bell_rings_after_the_commit(engine: Engine, claim: queue.Claim) -> None:
    bell = Bell()
    recorder = make(engine, claim, bell=bell, batch_size=100)
    for step in range(1234):
        recorder.record(metric(step))
    recorder.close()
    assert stored_steps(engine, claim) == list(range(1234))
    with reading(engine) as session:
        assert bell.rings[-1] == events.last_seq(session, claim.run_id)
    assert len(bell.rings) >= 13


def test_flush_returns_when_everything_is_committed(engine: Engine, claim: queue.Claim) -> None:
    recorder = make(engine, claim)
    for step in range(50):
        recorder.record(metric(step))
    recorder.flush()
    assert stored_steps(engine, claim) == list(range(50))
    recorder.close()


class Flaky:
    """Replaces `writing`: fails at random, before the commit or after it, and then stays unavailable for a while."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.away = 0
        self.broken: Counter[str] = Counter()

    @contextmanager
    def __call__(self, engine: Engine) -> Iterator[Session]:
        if self.away:
            self.away -= 1
            raise OperationalError("BEGIN", {}, Exception("the database system is starting up"))
        breaks = self.chance.choice(["before the commit", "after the commit", "not"])
        with writing(engine) as session:
            yield session
            if breaks == "before the commit":
                self._break(breaks)
        if breaks == "after the commit":
            self._break(breaks)

    def _break(self, when: str) -> None:
        self.broken[when] += 1
        self.away = self.chance.choice([0, 0, 1, 2])
        raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))


@pytest.mark.parametrize("seed", range(3))
def test_a_lost_database_connection_neither_loses_nor_duplicates_events(
    engine: Engine, claim: queue.Claim, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    flaky = Flaky(seed)
    monkeypatch.setattr(module, "writing", flaky)
    monkeypatch.setattr(module, "retry_on_database_errors", partial(retry_on_database_errors, longest_wait_s=0.001))
    recorder = make(engine, claim, batch_size=5, pause_s=0.001)
    for step in range(150):
        # Includes equal batches: a batch must not be mistaken for the previous one.
        recorder.record(metric(step if step < 100 else 100))
    recorder.close()
    assert stored_steps(engine, claim) == [*range(100), *[100] * 50]
    assert min(flaky.broken["before the commit"], flaky.broken["after the commit"]) > 3


def test_a_full_queue_blocks_the_caller_and_is_reported(engine: Engine, claim: queue.Claim) -> None:
    with writing(engine) as session:
        queue.owned_run(session, claim.run_id, claim.attempt)  # locks the run's row; SQLite: the whole file
        recorder = make(engine, claim, capacity=5, batch_size=2, pause_s=0.01)

        def write() -> None:
            for step in range(20):
                recorder.record(metric(step))

        writer = threading.Thread(target=write)
        writer.start()
        wait_for("the queue to be full", recorder._waiting.full)
    writer.join(30)
    recorder.close()
    assert stored_steps(engine, claim) == list(range(20))
    with reading(engine) as session:
        found = events.read_after(session, claim.run_id, 0)
    assert [event["code"] for event in found if event["kind"] == "warning"] == ["events_blocked"]


def test_an_event_has_its_recording_time_even_if_it_is_written_late(engine: Engine, claim: queue.Claim) -> None:
    times = []
    with writing(engine) as session:
        queue.owned_run(session, claim.run_id, claim.attempt)  # nothing is written before this block ends
        recorder = make(engine, claim)
        for step in range(3):
            before = time.time()
            recorder.record(metric(step))
            times.append((before, time.time()))
            time.sleep(0.02)
    recorder.close()
    with reading(engine) as session:
        found = [event["time"] for event in events.read_after(session, claim.run_id, 0) if event["kind"] == "metrics"]
    assert len(found) == 3
    for (before, after), at in zip(times, found, strict=True):
        assert before <= at <= after


def test_a_writer_that_lost_its_lease_writes_nothing_and_is_notified(engine: Engine, claim: queue.Claim) -> None:
    told = threading.Event()
    recorder = make(engine, claim, capacity=3, on_lost=told.set)
    recorder.record(metric(1))
    recorder.flush()
    with writing(engine) as session:
        run = runs.get_run(session, claim.run_id)
        runs.transition(session, run, RunStatus.interrupted, now=time.time(), reason="worker_lost")
        assert queue.claim_next(session, worker="other", has_gpu=False, lease_s=60, now=time.time())
    recorder.record(metric(2))
    assert told.wait(10)
    assert recorder.lost.is_set()
    for step in range(3, 3 + recorder._waiting.maxsize - recorder._waiting.qsize()):
        recorder.record(metric(step))
    with pytest.raises(LeaseLost):
        recorder.record(metric(9))
    with pytest.raises(LeaseLost):
        recorder.flush()
    recorder.close()
    assert stored_steps(engine, claim) == [1]


def test_a_bug_in_the_recorder_stops_the_training_instead_of_blocking_it(
    engine: Engine, claim: queue.Claim, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Bell):
        def ring(self, run_id: str, seq: int) -> None:
            raise RuntimeError("not of the broker's kind")

    stopped = threading.Event()
    recorder = make(engine, claim, bell=Broken(), on_lost=stopped.set)
    recorder.record(metric(1))
    with pytest.raises(LeaseLost):
        recorder.flush()
    assert stopped.wait(10)
    recorder.close()
    assert "Failed to write" in caplog.text


def test_begin_training_comes_after_earlier_records(engine: Engine, claim: queue.Claim) -> None:
    recorder = make(engine, claim)
    recorder.record(metric(0))
    recorder.begin_training(7)
    recorder.close()
    with reading(engine) as session:
        found = events.read_after(session, claim.run_id, 0)
        run = runs.get_run(session, claim.run_id)
    assert [event.get("status", event["kind"]) for event in found] == ["queued", "starting", "metrics", "running"]
    assert (run.status, run.step, run.attempt_start_step) == (RunStatus.running, 7, 7)
