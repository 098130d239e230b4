"""Incomplete downloads: one folder each, written by one process at a time, and kept for a week to be resumed."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rankscope.contract.downloads import folder_name
from rankscope_worker.child.hub.client import HubError, HubRepository

_REPORT_EVERY_S = 0.5
_FORGOTTEN_AFTER_S = 7 * 24 * 3600.0


class Share:
    """Reports the fraction of the bytes downloaded so far, at most twice a second."""

    def __init__(self, report: Callable[[float], None], size: int) -> None:
        self._report, self._size, self._next = report, max(1, size), 0.0

    def tell(self, have: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_EVERY_S
            self._report(min(1.0, have / self._size))


@contextmanager
def alone(waiting: Path, repository: HubRepository) -> Iterator[Path]:
    """Holds a lock, so that two workers never write the same files. Yields the folder of this download in `waiting`.

    Deletes downloads that were not continued for a week.
    """
    waiting.mkdir(parents=True, exist_ok=True)
    name = folder_name(repository.hub_id)
    with open(waiting / f"{name}.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HubError(
                f"{repository.hub_id} is being downloaded by another process.", "Wait until that download has ended."
            ) from error
        _forget_old(waiting)
        folder = waiting / f"{name}-{repository.commit}"
        folder.mkdir(exist_ok=True)
        os.utime(folder)
        yield folder


def check_space(folder: Path, size: int, kept: int) -> None:
    """Raises HubError if the missing part of `size` bytes doesn't fit on the disk with `kept` bytes left free."""
    present = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    free, needed = shutil.disk_usage(folder).free, size - present
    if needed > free - kept:
        raise HubError(
            f"The download needs {needed / 1e9:,.1f} GB, and the disk of the data folder has {free / 1e9:,.1f} GB free, of "
            f"which {kept / 1e9:,.1f} GB are kept free.",
            "Free some space, then try again.",
        )


def _forget_old(waiting: Path) -> None:
    for path in waiting.iterdir():
        if path.is_dir() and path.stat().st_mtime < time.time() - _FORGOTTEN_AFTER_S:
            shutil.rmtree(path, ignore_errors=True)
