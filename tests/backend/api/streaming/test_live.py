"""The live stream over a real server: every event once, with killed, late, slow and many viewers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from rankscope.api.streaming import live
from rankscope.api.streaming.live import Batch, Feeds, Viewer, read_batch
from rankscope.contract.events import MetricsEvent
from rankscope.contract.status import RunStatus
from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import create_engine, writing
from rankscope.store.doorbell import Doorbell
from rankscope.store.history import event_text
from tests.backend.conftest import Server
from tests.backend.store_setup import append, losses, sequence, training_run
from tests.conftest import Broker
from tests.stack import TOKEN, wait_for
from tests.wide import wide


class Follower:
    """A viewer in a thread that acts like a browser: it reconnects with Last-Event-ID until the end event."""

    def __init__(self, url: str, run_id: str, *, leave_after: int | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.connections = 0
        self.has_ended = False
        self._url, self._run_id, self._leave_after = url, run_id, leave_after
        self._client = httpx.Client(timeout=20, headers={"Authorization": f"Bearer {TOKEN}"}, verify=False)
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    @property
    def sequence(self) -> list[int]:
        return [event["seq"] for event in self.events]

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _follow(self) -> None:
        with self._client:
            while not self.has_ended:
                try:
                    self._connect()
                except httpx.TransportError:
                    time.sleep(0.05)  # the browser's pause before it reconnects

    def _connect(self) -> None:
        headers = {"Last-Event-ID": str(self.events[-1]["seq"])} if self.events else {}
        address = f"{self._url}/api/v1/runs/{self._run_id}/events/stream?after=0"
        with self._client.stream("GET", address, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.connections += 1
            here, number, is_end = 0, None, False
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    number = int(line[4:])
                elif line == "event: end":
                    is_end = True
                elif line.startswith("data: ") and is_end:
                    self.has_ended = True
                    return
                elif line.startswith("data: "):
                    self.events.append(json.loads(line[6:]))
                    assert self.events[-1]["seq"] == number
                    here += 1
                    if here == self._leave_after:
                        return


def finish(engine: Engine, run_id: str) -> None:
    with writing(engine) as session:
        runs.transition(session, runs.get_run(session, run_id), RunStatus.done, now=9)


@contextmanager
def engine_of(settings: Settings) -> Iterator[Engine]:
    """A separate connection for a worker, as if in another process."""
    engine = create_engine(settings.resolved_database_url)
    yield engine
    engine.dispose()


def test_viewers_that_reconnect_see_every_event_once(server: Server) -> None:
    bell = Doorbell(server.settings.broker_url)
    with engine_of(server.settings) as engine:
        claimed = training_run(engine)
        followers = [Follower(server.url, claimed.run_id, leave_after=turn) for turn in (None, 1, 3, 7)]
        for step in range(60):
            bell.ring(claimed.run_id, append(engine, claimed, losses(step)))
        finish(engine, claimed.run_id)
        bell.ring(claimed.run_id, 0)
        for follower in followers:
            follower.join()
            assert follower.sequence == sequence(engine, claimed.run_id)
        assert followers[1].connections > 10
    bell.close()


def test_stream_loses_nothing_while_the_broker_is_down(
    catalogue: Settings, own_broker: Broker, serve: Callable[..., Server]
) -> None:
    settings = catalogue.model_copy(update={"broker_url": own_broker.url})
    server, bell = serve(settings), Doorbell(own_broker.url, pause_s=0)
    with engine_of(settings) as engine:
        claimed = training_run(engine)
        follower = Follower(server.url, claimed.run_id)
        bell.ring(claimed.run_id, append(engine, claimed, losses(1, 2)))
        wait_for("the first events", lambda: len(follower.events) >= 5, deadline_s=10)
        own_broker.stop()
        bell.ring(claimed.run_id, append(engine, claimed, losses(3)))
        wait_for("an event without a doorbell", lambda: len(follower.events) >= 6, deadline_s=10)
        own_broker.start()
        bell.ring(claimed.run_id, append(engine, claimed, losses(4)))
        finish(engine, claimed.run_id)
        follower.join()
        assert follower.sequence == sequence(engine, claimed.run_id)
    bell.close()


def test_doorbell_wakes_the_stream_before_its_poll(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_S", 3600.0)
    bell = Doorbell(server.settings.broker_url)
    with engine_of(server.settings) as engine:
        claimed = training_run(engine)
        follower = Follower(server.url, claimed.run_id)
        wait_for("the history", lambda: len(follower.events) >= 3, deadline_s=10)
        wait_for("the feed", lambda: len(server.app.state.resources.feeds) == 1, deadline_s=10)
        for step in range(20):
            bell.ring(claimed.run_id, append(engine, claimed, losses(step)))
        finish(engine, claimed.run_id)
        bell.ring(claimed.run_id, 0)
        follower.join()
        assert follower.sequence == sequence(engine, claimed.run_id)
    bell.close()


def test_one_reader_makes_each_events_bytes_once_for_many_viewers(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    original = event_text.sent

    def counted(row: event_text.EventRow) -> str:
        made.append(row.seq)
        return original(row)

    feeds: Feeds = server.app.state.resources.feeds
    with engine_of(server.settings) as engine:
        claimed = training_run(engine)
        followers = [Follower(server.url, claimed.run_id) for _ in range(12)]
        wait_for("all viewers on the feed", lambda: sum(len(f.viewers) for f in feeds._feeds.values()) == 12)
        assert len(feeds) == 1
        monkeypatch.setattr(event_text, "sent", counted)
        first = len(sequence(engine, claimed.run_id)) + 1
        for step in range(30):
            append(engine, claimed, losses(step))
        finish(engine, claimed.run_id)
        bell = Doorbell(server.settings.broker_url)
        bell.ring(claimed.run_id, 0)
        bell.close()
        for follower in followers:
            follower.join()
            assert follower.sequence == sequence(engine, claimed.run_id)
        assert made == list(range(first, first + 31))
    wait_for("the feed to end", lambda: len(feeds) == 0, deadline_s=5)


def test_feed_ends_with_its_last_viewer(server: Server) -> None:
    feeds: Feeds = server.app.state.resources.feeds
    with engine_of(server.settings) as engine:
        run_id = training_run(engine).run_id
        address = f"/api/v1/runs/{run_id}/events/stream"
        with server.client() as client, client.stream("GET", address) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 1000"
            wait_for("the feed", lambda: len(feeds) == 1, deadline_s=5)
        wait_for("the feed to end", lambda: len(feeds) == 0, deadline_s=5)


def test_failed_feed_sends_its_viewers_to_another_one(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feeds: Feeds = server.app.state.resources.feeds
    has_broken = threading.Event()

    def broken_once(engine: Engine, run_id: str, after: int) -> Batch:
        if any(feed.viewers for feed in feeds._feeds.values()) and not has_broken.is_set():
            has_broken.set()
            raise RuntimeError("a fault of the reader itself")
        return read_batch(engine, run_id, after)

    monkeypatch.setattr(live, "read_batch", broken_once)
    with engine_of(server.settings) as engine:
        claimed = training_run(engine)
        follower = Follower(server.url, claimed.run_id)
        assert has_broken.wait(10)
        append(engine, claimed, losses(0))
        finish(engine, claimed.run_id)
        follower.join()
        assert follower.sequence == sequence(engine, claimed.run_id)
    assert follower.connections > 1
    assert "its viewers will reconnect to a new one" in caplog.text


def test_stream_of_a_finished_run_ends_and_of_a_resumed_one_continues(
    api: httpx.Client, launch: Callable[..., str], server: Server
) -> None:
    run_id = launch()
    api.post(f"/api/v1/runs/{run_id}/stop")
    text = api.get(f"/api/v1/runs/{run_id}/events/stream").text
    assert text.endswith('event: end\ndata: {"status": "stopped", "last_seq": 2}\n\n')
    api.post(f"/api/v1/runs/{run_id}/resume")
    follower = Follower(server.url, run_id)
    wait_for("the resumed run's events", lambda: len(follower.events) == 3, deadline_s=5)
    api.post(f"/api/v1/runs/{run_id}/stop")
    follower.join()
    assert [event["status"] for event in follower.events] == ["queued", "stopped", "queued", "stopped"]


def test_deleted_run_ends_its_streams(api: httpx.Client, launch: Callable[..., str], server: Server) -> None:
    run_id = launch()
    follower = Follower(server.url, run_id)
    wait_for("the stream", lambda: len(server.app.state.resources.feeds) == 1, deadline_s=5)
    assert api.delete(f"/api/v1/runs/{run_id}").status_code == 204
    follower.join()


def test_number_above_the_last_event_still_streams_new_events(api: httpx.Client, launch: Callable[..., str]) -> None:
    run_id = launch()
    api.post(f"/api/v1/runs/{run_id}/stop")
    answer = api.get(f"/api/v1/runs/{run_id}/events/stream?after=999", headers={"Last-Event-ID": "1"})
    assert "id: 2\n" in answer.text
    assert "id: 1\n" not in answer.text
    assert "event: end" in api.get(f"/api/v1/runs/{run_id}/events/stream?after=999").text


def test_slow_viewer_is_closed_and_its_queue_is_bounded() -> None:
    async def fill() -> list[Batch | None]:
        viewer = Viewer()
        batch = Batch(1, 1, [b"x"], b"x")
        accepted = [viewer.offer(batch) for _ in range(live.QUEUED_BATCHES + 1)]
        assert accepted == [True] * live.QUEUED_BATCHES + [False]
        return [viewer.queue.get_nowait() for _ in range(viewer.queue.qsize())]

    assert asyncio.run(fill()) == [None]


def test_viewer_that_joins_in_the_middle_of_a_batch_gets_its_rest(engine: Engine) -> None:
    claimed = training_run(engine)
    append(engine, claimed, losses(*range(5)))
    batch = read_batch(engine, claimed.run_id, 2)
    assert (batch.first, batch.last, batch.end) == (3, 8, None)
    assert batch.after(2) == batch.data
    assert batch.after(6) == b"".join(batch.parts[4:])
    assert batch.after(8) == b""


def test_long_history_comes_in_pages_without_gap(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAGE", 7)
    with engine_of(server.settings) as engine:
        claimed = training_run(engine)
        append(engine, claimed, losses(*range(100)))
        follower = Follower(server.url, claimed.run_id)
        for step in range(100, 120):
            append(engine, claimed, losses(step, step))
        finish(engine, claimed.run_id)
        follower.join()
        assert follower.sequence == sequence(engine, claimed.run_id)


def test_read_of_large_events_is_limited_by_bytes_and_complete(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine_of(server.settings) as engine:
        claimed = training_run(engine)
        values = {f"metric_{number}_{'x' * 80}": 0.5 for number in range(1000)}
        append(engine, claimed, [MetricsEvent(step=step, values=values) for step in range(1, 61)])
        batch = read_batch(engine, claimed.run_id, 0)
        assert batch.has_more
        assert len(batch.data) <= live.MAX_BYTES
        assert 1 < len(batch.parts) < live.PAGE

        monkeypatch.setattr(live, "MAX_BYTES", 1000)  # less than the size of a single event
        alone = read_batch(engine, claimed.run_id, batch.last)
        assert (alone.first, alone.last, len(alone.parts), alone.has_more) == (batch.last + 1, batch.last + 1, 1, True)
        follower = Follower(server.url, claimed.run_id)
        finish(engine, claimed.run_id)
        follower.join()
        assert follower.sequence == sequence(engine, claimed.run_id)


@pytest.mark.parametrize("database_kind", ["sqlite", *wide("postgresql")])
def test_server_shutdown_does_not_wait_for_open_streams(catalogue: Settings) -> None:
    with engine_of(catalogue) as engine:
        run_id = training_run(engine).run_id
    port = free_port()
    environment = catalogue.model_copy(update={"port": port}).as_environment()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "tests.backend.serve_app:app", "--port", str(port)],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for("the API", lambda: _answers(url), deadline_s=20)
        with (
            httpx.Client(timeout=20, headers={"Authorization": f"Bearer {TOKEN}"}, verify=False) as client,
            client.stream("GET", f"{url}/api/v1/runs/{run_id}/events/stream") as answer,
        ):
            lines = answer.iter_lines()
            wait_for("history", lambda: next(lines).startswith("id: 3"))
            process.send_signal(signal.SIGTERM)
            # Otherwise uvicorn would wait for this stream forever, because --timeout-graceful-shutdown is not set.
            assert "event: end" not in list(lines)
            process.wait(5)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/system/health", verify=False).is_success
    except httpx.TransportError:
        return False
