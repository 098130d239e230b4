"""Recorder: takes events from the training thread and writes them to the database in a background thread.

`record()` only adds to a queue. A thread writes batches, each in one transaction that the attempt number fences, and
rings the doorbell after the commit. Events are never lost: when the database is slower than training, training waits.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import Engine

from rankscope.contract.errors import LeaseLost
from rankscope.contract.events import RunEvent, WarningEvent
from rankscope.store import queue as store_queue
from rankscope.store.database.engine import writing
from rankscope.store.doorbell import Doorbell
from rankscope.store.history import events
from rankscope_worker.database_retries import DATABASE_ERRORS, retry_on_database_errors

_log = logging.getLogger(__name__)


class _Recorded(NamedTuple):
    event: RunEvent
    at: float
    """When it was recorded, in seconds since 1970, even if the database was unreachable."""


class Recorder:
    """Writes one attempt's events in order. `on_lost` is called from its thread when the lease is lost."""

    def __init__(
        self,
        engine: Engine,
        doorbell: Doorbell,
        run_id: str,
        attempt: int,
        *,
        on_lost: Callable[[], None] = lambda: None,
        capacity: int = 10_000,
        batch_size: int = 500,
        pause_s: float = 0.045,
    ) -> None:
        self._engine = engine
        self._doorbell = doorbell
        self._run_id = run_id
        self._attempt = attempt
        self._on_lost = on_lost
        self._batch_size = batch_size
        self._pause_s = pause_s
        self._waiting: queue.Queue[_Recorded] = queue.Queue(capacity)
        self._begun_at = 0.0
        """When the newest batch was taken."""
        self._last_seq = 0
        """Number of the last event that is known to be stored."""
        self._is_unsure = False
        """Whether a commit was interrupted, so that its batch may or may not be in the database."""
        self._has_blocked = False
        self._closing = threading.Event()
        self.lost = threading.Event()
        """Set once another attempt owns the run: nothing more is written."""
        self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
        self._thread.start()

    def record(self, event: RunEvent) -> None:
        """Queues one event. Returns immediately unless the queue is full; raises LeaseLost once the lease is lost."""
        recorded = _Recorded(event, time.time())
        if isinstance(event, WarningEvent):
            _log.warning("%s", " ".join(filter(None, (event.message, event.next_step))))
        try:
            self._waiting.put_nowait(recorded)
        except queue.Full:
            self._wait_and_put(recorded)

    def begin_training(self, start_step: int, trained_with: Mapping[str, str] | None = None) -> None:
        """Marks the run as running from `start_step` on, after all events recorded so far.

        trained_with: versions and device of this attempt.
        """
        self.flush()

        def begin() -> None:
            with writing(self._engine) as session:
                store_queue.begin_training(
                    session,
                    self._run_id,
                    self._attempt,
                    start_step=start_step,
                    now=time.time(),
                    trained_with=trained_with,
                )

        retry_on_database_errors(begin, self.lost.is_set)

    def flush(self) -> None:
        """Returns when everything recorded so far is committed; raises LeaseLost once the lease is lost."""
        with self._waiting.all_tasks_done:
            while self._waiting.unfinished_tasks:
                self._check_lease()
                self._waiting.all_tasks_done.wait(0.2)

    def close(self) -> None:
        """Flushes and ends the thread."""
        self._closing.set()
        self._thread.join()

    def _wait_and_put(self, recorded: _Recorded) -> None:
        began = time.monotonic()
        while True:
            self._check_lease()
            try:
                self._waiting.put(recorded, timeout=0.2)
                break
            except queue.Full:
                continue
        if not self._has_blocked:
            self._has_blocked = True
            waited_s = time.monotonic() - began
            warning = WarningEvent(
                code="events_blocked",
                message=f"Training waited {waited_s:.1f} s because the database stores events too slowly.",
                next_step="Check the database's disk and load. No events are lost.",
            )
            self.record(warning)

    def _check_lease(self) -> None:
        if self.lost.is_set():
            raise LeaseLost(f"Attempt {self._attempt} no longer owns run {self._run_id}.")

    def _write_all(self) -> None:
        while not self.lost.is_set():
            batch = self._next_batch()
            if not batch:
                if self._closing.is_set():
                    return
                continue
            try:
                self._last_seq = retry_on_database_errors(lambda batch=batch: self._append(batch), self.lost.is_set)  # type: ignore[misc]
                self._doorbell.ring(self._run_id, self._last_seq)
            except LeaseLost:
                _log.error("Run %s now belongs to another attempt; this one stops.", self._run_id)
                self._stop()
                return
            except Exception:
                # Don't continue training without recording it.
                _log.exception("Failed to write events of run %s.", self._run_id)
                self._stop()
                return
            for _ in batch:
                self._waiting.task_done()

    def _stop(self) -> None:
        self.lost.set()
        self._on_lost()

    def _next_batch(self) -> list[_Recorded]:
        """Returns up to `batch_size` events that arrived while the previous batch was written, or waits for the next one.

        An event after a pause is written immediately. Batches begin at least `pause_s` apart, so that a fast trainer
        costs the database a bounded number of transactions.
        """
        if not self._closing.is_set():
            self._closing.wait(self._begun_at + self._pause_s - time.monotonic())
        try:
            batch = [self._waiting.get(timeout=0.1)]
        except queue.Empty:
            return []
        self._begun_at = time.monotonic()
        while len(batch) < self._batch_size:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    def _append(self, batch: list[_Recorded]) -> int:
        """Writes the batch once. If the connection was lost during COMMIT, the outcome is unknown, so it checks first.

        The check locks the run's row, so that it waits for a commit that the server has not finished yet.
        """
        new, times = [recorded.event for recorded in batch], [recorded.at for recorded in batch]
        try:
            with writing(self._engine) as session:
                last_seq = None
                if self._is_unsure:
                    store_queue.owned_run(session, self._run_id, self._attempt)
                    last_seq = events.find_batch(session, self._run_id, self._attempt, new, after=self._last_seq)
                if last_seq is None:
                    now = time.time()
                    last_seq = events.append(session, self._run_id, self._attempt, new, now=now, times=times)
        except DATABASE_ERRORS:
            self._is_unsure = True
            raise
        self._is_unsure = False
        return last_seq
