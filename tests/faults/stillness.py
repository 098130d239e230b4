"""Holding a process still."""

import time
from contextlib import suppress
from pathlib import Path

import psutil


def hold_still(process: psutil.Process) -> None:
    """SIGSTOP, and the wait until every thread stands still. Raises psutil.NoSuchProcess when it is gone.

    The signal is taken up by one thread, which then stops the others: where cores are scarce they go on for
    milliseconds. A look at what the process holds has to come after that: in one look out of ten right after the signal a
    process that writes all the time took the database's lock afterwards (measured), and kept it for as long as it stood.
    """
    process.suspend()
    while not _stands_still(process):
        if process.status() == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(process.pid)
        time.sleep(0.001)  # nothing tells


def _stands_still(process: psutil.Process) -> bool:
    states = set()
    for path in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        with suppress(OSError):  # a thread that has just ended
            states.add(path.read_text(encoding="utf-8").rpartition(") ")[2][0])
    return states == {"T"}
