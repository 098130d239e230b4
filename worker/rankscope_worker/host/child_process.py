"""The process of an attempt or a job, from its start to its exit code, in a separate thread.

The thread is needed for the start: the first fork waits until torch is imported, and meanwhile the lease must be
renewed and stop requests must be handled.
"""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable

from rankscope_worker.host.forks import Child, reap_group

_log = logging.getLogger(__name__)


class ChildProcess:
    """Starts immediately. The other methods may be called from any thread, even before the process exists."""

    def __init__(self, start: Callable[[Callable[[], bool]], Child | None], wake: threading.Event, name: str) -> None:
        """start: returns the process, or None if its argument returned False in the meantime.

        wake: set when the process has started and when it has ended. name: used in the log.
        """
        self.error: Exception | None = None
        """Why there is no process."""
        self._start, self._wake, self._name = start, wake, name
        self._process: Child | None = None
        self._code: int | None = None
        self._is_wanted = True
        self._lock = threading.Lock()
        """Guards `_process` and `_is_wanted`."""
        self._thread = threading.Thread(target=self._run, name=f"await-{name}", daemon=True)
        self._thread.start()

    @property
    def has_started(self) -> bool:
        return self._process is not None

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def write(self, line: bytes) -> None:
        """Writes to the standard input of a process that has started. Raises OSError if it is ending."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def send_signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Sends SIGKILL to the process and its descendants. If it hasn't started yet, it never will."""
        with self._lock:
            self._is_wanted = False
            process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def end(self) -> int | None:
        """Kills the remaining processes of its group. Returns its exit code, or None if it never started."""
        self.kill()
        self._thread.join()
        if self._process is not None:
            reap_group(self._process.pid)
            if self._process.stdin:
                self._process.stdin.close()
        return self._code

    def _run(self) -> None:
        try:
            process = self._start(lambda: self._is_wanted)
            if process is None:
                return
            with self._lock:
                self._process = process
                is_wanted = self._is_wanted
            if not is_wanted:
                self.kill()
            _log.info("%s: process %d.", self._name, process.pid)
            self._wake.set()
            self._code = process.wait()
        except Exception as error:
            self.error = error
        finally:
            self._wake.set()
