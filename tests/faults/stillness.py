"""Suspends a process completely."""

import time
from contextlib import suppress
from pathlib import Path

import psutil


def hold_still(process: psutil.Process) -> None:
    """Sends SIGSTOP and waits until every thread has stopped. Raises psutil.NoSuchProcess if the process has ended.

    The signal is handled by one thread, which then stops the others: on a busy machine they continue for milliseconds.
    Check the state of the process only after that: in one of ten checks right after the signal, a process that writes
    all the time took the database's lock afterwards (measured), and kept it for as long as it was stopped.
    """
    process.suspend()
    while not _stands_still(process):
        if process.status() == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(process.pid)
        time.sleep(0.001)  # polls, because nothing signals it


def _stands_still(process: psutil.Process) -> bool:
    states = set()
    for path in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        with suppress(OSError):  # a thread that has just ended
            states.add(path.read_text(encoding="utf-8").rpartition(") ")[2][0])
    return states == {"T"}
