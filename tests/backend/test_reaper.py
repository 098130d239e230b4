"""Runs of lost workers: detected by their unchanged leases, and by the server if no other worker is online."""

import gc
import threading
import warnings
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from rankscope.contract.errors import LeaseLost
from rankscope.reaper import Reaper
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, writing
from rankscope.store.lease_watch import LeaseWatch
from rankscope.store.leases import Lease
from tests.backend.conftest import start_server
from tests.backend.store_setup import append, losses, read_run, training_run
from tests.stack import wait_for


def test_leases_lapse_by_observation_and_not_by_a_wall_clock() -> None:
    watch = LeaseWatch(after_s=10)
    # The other host's clock is a day behind: its leases look long expired, but are not.
    renewed = [Lease("a", 1, 100.0 + beat) for beat in range(8)]
    for beat, lease in enumerate(renewed):
        assert watch.lapsed([lease], now=1000.0 + 5 * beat) == []
    last, lost = renewed[-1], Lease("b", 2, 9e9)  # and this one a day ahead
    assert watch.lapsed([last, lost], now=1040.0) == []
    assert watch.lapsed([last, lost], now=1046.0) == [last]
    assert watch.lapsed([lost], now=1051.0) == [lost]
    assert watch.lapsed([lost._replace(attempt=3)], now=1052.0) == []


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_server_takes_back_a_run_after_two_lease_periods_without_a_worker(engine: Engine) -> None:
    clock = Clock()
    reaper = Reaper(engine, Settings(lease_s=30), lambda _run_id: None, clock)
    lost, renewed = training_run(engine), training_run(engine)

    def renew() -> None:
        with writing(engine) as session:
            queue.renew_lease(session, renewed.run_id, renewed.attempt, lease_s=30, now=clock.now)

    for _ in range(4):
        assert reaper.reap() == []
        renew()
        clock.now += 20
    assert reaper.reap() == [lost.run_id]
    run = read_run(engine, lost.run_id)
    assert (run.status, run.reason, run.lost_workers) == ("interrupted", "worker_lost", 1)
    assert read_run(engine, renewed.run_id).status == "running"
    with pytest.raises(LeaseLost):
        append(engine, lost, losses(1))
    assert reaper.reap() == []


def test_stop_of_a_run_that_lost_its_worker_completes(engine: Engine) -> None:
    clock = Clock()
    reaper = Reaper(engine, Settings(lease_s=30), lambda _run_id: None, clock)
    lost = training_run(engine)
    with writing(engine) as session:
        runs.request_stop(session, lost.run_id, now=5, save=True)
    assert reaper.reap() == []
    clock.now += 61
    assert reaper.reap() == [lost.run_id]
    assert read_run(engine, lost.run_id).status == "stopped"


def test_server_keeps_reaping_after_any_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reap: Callable[[Reaper], list[str]] = Reaper.reap
    looks = 0

    def flaky(self: Reaper) -> list[str]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise OperationalError("SELECT", {}, Exception("the database is unreachable"))
        if looks == 2:
            raise RuntimeError("an unexpected error")
        return reap(self)

    monkeypatch.setattr(Reaper, "reap", flaky)
    server = start_server(settings.model_copy(update={"lease_s": 0.3}))
    engine = create_engine(settings.resolved_database_url)
    try:
        run_id = training_run(engine).run_id
        wait_for("the run to be taken back", lambda: read_run(engine, run_id).status == "interrupted", deadline_s=20)
    finally:
        server.stop()
        engine.dispose()
    assert "leases are not checked" in caplog.text
    assert "Checking the leases failed" in caplog.text


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_query_that_outlasts_the_shutdown_leaves_no_connection_open(
    settings: Settings, recwarn: pytest.WarningsRecorder
) -> None:
    warnings.simplefilter("always", ResourceWarning)
    server = start_server(settings.model_copy(update={"lease_s": 0.3}))
    stopping = threading.Thread(target=server.stop)
    with (
        psycopg.connect(settings.resolved_database_url) as lock,
        psycopg.connect(lock.info.dsn, autocommit=True) as eye,
    ):

        def is_waiting() -> bool:
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            found = eye.execute(waiting).fetchone()
            return found is not None and found[0] > 0

        lock.execute("LOCK TABLE run IN ACCESS EXCLUSIVE MODE")
        wait_for("the reaper to wait for the table", is_waiting, deadline_s=20)
        stopping.start()
        resources = server.app.state.resources
        wait_for("the shutdown", lambda: resources.feeds.is_closed, deadline_s=20, every_s=0.01)
    stopping.join()
    gc.collect()
    assert [str(one.message) for one in recwarn if one.category is ResourceWarning] == []
