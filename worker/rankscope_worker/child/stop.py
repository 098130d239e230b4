"""Stop requests to the training process: SIGTERM, SIGUSR1, or the end of standard input, whose data is passed on."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from rankscope_worker.exit_report import ExitCode


class StopFlag:
    """Set once the process should write a checkpoint and exit. Install it before slow imports."""

    def __init__(self) -> None:
        self._save = False
        self._now = threading.Event()
        self.supervisor_is_gone = False

    def __call__(self) -> bool:
        return self._save

    def listen(self) -> None:
        """SIGTERM: stop with a checkpoint. SIGUSR1: stop without. Ctrl-C in a terminal is handled by the supervisor."""
        signal.signal(signal.SIGTERM, self._on_save)
        signal.signal(signal.SIGUSR1, self._on_now)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch_stdin(self, grace_s: float, on_data: Callable[[bytes], None] = lambda _data: None) -> None:
        """The supervisor keeps standard input open. When it closes, the supervisor has ended: save and exit.

        Data from the supervisor goes to `on_data`, in a thread.

        After `grace_s` the lease has expired and another attempt may run: then this process ends immediately.
        """

        def watch() -> None:
            while data := os.read(sys.stdin.fileno(), 4096):
                on_data(data)
            self.supervisor_is_gone = self._save = True
            threading.Event().wait(grace_s)
            os._exit(ExitCode.lease_lost)

        threading.Thread(target=watch, name="stdin", daemon=True).start()

    def when_now(self, leave: Callable[[], None]) -> None:
        """Calls `leave` from a thread after SIGUSR1: immediately, whatever the main thread is doing."""

        def wait() -> None:
            self._now.wait()
            leave()

        threading.Thread(target=wait, name="stop-now", daemon=True).start()

    def _on_save(self, _signal: int, _frame: FrameType | None) -> None:
        self._save = True

    def _on_now(self, _signal: int, _frame: FrameType | None) -> None:
        self._now.set()
