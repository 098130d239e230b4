"""Live streams: one reader per run for all of its viewers. Events are sent as they were stored.

A viewer first catches up in pages (it pulls, so a slow one costs others nothing), then joins the run's feed at the
tail. The feed waits for the doorbell, or two seconds, reads what is new, and puts the same bytes into every viewer's
bounded queue.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.store.database.engine import reading
from rankscope.store.history import event_text, events

logger = logging.getLogger(__name__)

PAGE = 500
MAX_BYTES = 2_000_000
"""Limit of one read, unless a single event is larger: a snapshot of a large model takes a megabyte."""
POLL_S = 2.0
KEEP_ALIVE_S = 15.0
PULSE_S = 1.0
"""After two missing pulses, a page checks whether the server is reachable. It must report the result within five seconds."""
QUEUED_BATCHES = 64
RETRY = b"retry: 1000\n\n"
KEEP_ALIVE = b": still here\n\n"


@dataclass(frozen=True)
class Batch:
    """Events `first`..`last`, encoded; shared by all viewers of a run."""

    first: int
    last: int
    parts: list[bytes]
    data: bytes
    end: bytes | None = None
    """The end event, if the run has ended and these are its last events."""
    has_more: bool = False
    """Whether the run had more events when this was read."""

    def after(self, seq: int) -> bytes:
        """The bytes of the events after number `seq`."""
        if seq < self.first:
            return self.data
        return b"".join(self.parts[seq - self.first + 1 :])


def read_batch(engine: Engine, run_id: str, after: int) -> Batch:
    """Events after `after`, at most PAGE and MAX_BYTES; whether the run has ended is read in the same transaction."""
    parts: list[bytes] = []
    size, last = 0, after
    with reading(engine) as session:
        run = session.execute(
            select(col(Run.status), col(Run.last_seq)).where(col(Run.id) == run_id)  # without its configuration
        ).one_or_none()
        with contextlib.closing(events.rows_after(session, run_id, after, PAGE)) as rows:
            for row in rows:
                part = f"id: {row.seq}\ndata: {event_text.sent(row)}\n\n".encode()
                size += len(part)
                if parts and size > MAX_BYTES:
                    break
                parts.append(part)
                last = row.seq
    end = None
    if run is None:
        end = _end("deleted", last)
    elif run.status.is_terminal and last >= run.last_seq:
        end = _end(run.status, last)
    has_more = run is not None and bool(parts) and last < run.last_seq
    return Batch(after + 1, last, parts, b"".join(parts), end, has_more)


def _end(status: RunStatus | str, last_seq: int) -> bytes:
    return f"event: end\ndata: {json.dumps({'status': str(status), 'last_seq': last_seq})}\n\n".encode()


@dataclass(eq=False)
class Viewer:
    queue: "asyncio.Queue[Batch | None]" = field(default_factory=lambda: asyncio.Queue(QUEUED_BATCHES))
    """None: closed; the browser reconnects with Last-Event-ID."""

    def offer(self, batch: Batch) -> bool:
        """Returns False if the viewer is too slow; it is then closed."""
        try:
            self.queue.put_nowait(batch)
        except asyncio.QueueFull:
            self.close()
            return False
        return True

    def close(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class Feed:
    """The one reader of a run. Lives from its first viewer to its last, or until the run has ended."""

    def __init__(self, feeds: "Feeds", run_id: str, position: int) -> None:
        self._feeds, self._run_id = feeds, run_id
        self.position = position
        """Everything up to this number has been passed to the viewers that have joined."""
        self.viewers: set[Viewer] = set()
        self.bell = asyncio.Event()
        self.task = asyncio.create_task(self._live(), name=f"feed-{run_id}")

    async def _live(self) -> None:
        try:
            await self._read_on()
        except Exception:
            # Without its reader, a feed would look like a run without events.
            logger.exception("The feed of run %s failed; its viewers will reconnect to a new one.", self._run_id)
            self._feeds.forget(self._run_id, self)
            for viewer in self.viewers:
                viewer.close()

    async def _read_on(self) -> None:
        while True:
            self.bell.clear()  # before the read, so that a notification during it triggers another read
            try:
                batch = await asyncio.to_thread(read_batch, self._feeds.engine, self._run_id, self.position)
            except SQLAlchemyError as error:
                logger.warning("The feed of run %s could not read: %s", self._run_id, error)
                await asyncio.sleep(POLL_S)
                continue
            # No await from here to the end of the iteration: position and viewers must be consistent for a viewer that joins.
            self.position = batch.last
            if batch.parts or batch.end:
                self.viewers -= {viewer for viewer in self.viewers if not viewer.offer(batch)}
            if batch.end or not self.viewers:
                self._feeds.forget(self._run_id, self)
                return
            if not batch.has_more:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.bell.wait(), POLL_S)


class Feeds:
    """All feeds in this process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._feeds: dict[str, Feed] = {}
        self._catching_up: set[asyncio.Event] = set()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """The server is shutting down, and every stream with it."""
        return self._is_closed

    def __len__(self) -> int:
        return len(self._feeds)

    def ring(self, run_id: str | None = None) -> None:
        """Hints that a run (None: any run) has new events."""
        for feed in self._feeds.values() if run_id is None else filter(None, [self._feeds.get(run_id)]):
            feed.bell.set()

    def forget(self, run_id: str, feed: Feed) -> None:
        if self._feeds.get(run_id) is feed:
            del self._feeds[run_id]

    def close(self) -> None:
        """Ends every stream; browsers reconnect automatically."""
        self._is_closed = True
        for feed in self._feeds.values():
            feed.task.cancel()
            for viewer in feed.viewers:
                viewer.close()
        self._feeds.clear()

    async def stream(self, run_id: str, after: int, pulse: Callable[[], bytes] | None = None) -> AsyncGenerator[bytes]:
        """Server-sent events after number `after`, until the run ends, the viewer is too slow, or the server shuts down.

        `pulse` returns a pulse event: one is sent at the start, then one after each second without an event. None: only comments,
        to keep the connection open.
        """
        yield RETRY
        if pulse:
            yield pulse()
        position = after
        while not self._is_closed:
            batch = await asyncio.to_thread(read_batch, self.engine, run_id, position)
            if batch.parts:
                yield batch.data
                position = batch.last
            if batch.end:
                yield batch.end
                return
            if not batch.has_more:
                break
        if self._is_closed:
            return
        async with contextlib.aclosing(self._follow(run_id, position, pulse)) as rest:
            async for chunk in rest:
                yield chunk

    async def _follow(self, run_id: str, position: int, pulse: Callable[[], bytes] | None) -> AsyncGenerator[bytes]:
        timeout_s = PULSE_S if pulse else KEEP_ALIVE_S
        feed, viewer = self._join(run_id, position)
        try:
            # Send what the feed sent before this viewer joined. What it sends from now on is in the viewer's queue.
            while position < feed.position:
                gap = await asyncio.to_thread(read_batch, self.engine, run_id, position)
                if not gap.parts:
                    break  # the run was deleted, which the feed reports
                yield gap.data
                position = gap.last
            while True:
                try:
                    batch = await asyncio.wait_for(viewer.queue.get(), timeout_s)
                except TimeoutError:
                    yield pulse() if pulse else KEEP_ALIVE
                    continue
                if batch is None:
                    return
                if batch.last > position:
                    yield batch.after(position)
                    position = batch.last
                if batch.end:
                    yield batch.end
                    return
        finally:
            self._leave(run_id, feed, viewer)

    def _join(self, run_id: str, position: int) -> tuple[Feed, Viewer]:
        viewer = Viewer()
        feed = self._feeds.get(run_id)
        if feed is None:
            feed = self._feeds[run_id] = Feed(self, run_id, position)
        feed.viewers.add(viewer)
        return feed, viewer

    def _leave(self, run_id: str, feed: Feed, viewer: Viewer) -> None:
        feed.viewers.discard(viewer)
        if not feed.viewers:
            feed.task.cancel()
            self.forget(run_id, feed)
