"""Notices an upgrade of RankScope while a worker runs: its children would run different code from the worker."""

import hashlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec

_log = logging.getLogger(__name__)

_PACKAGES = (find_spec("rankscope"), find_spec("rankscope_worker"), find_spec("dynamic_rank"))
CODE_VARIABLE = "RANKSCOPE_WORKER_CODE"
"""Environment variable of a child: the id of the code that its worker runs."""


class Installation:
    """The code that was installed when this worker started."""

    def __init__(self) -> None:
        self.code = installed_code()
        self._is_outdated = False
        self._lock = threading.Lock()

    def is_outdated(self) -> bool:
        """Whether other code has been installed since the start. Logs the first time."""
        with self._lock:
            if not self._is_outdated and installed_code() != self.code:
                self._is_outdated = True
                _log.warning(
                    "This worker runs code of an earlier installation. It takes no new runs or jobs; restart it. "
                    "Its current runs continue."
                )
            return self._is_outdated


def end_if_other_code(exit_code: int) -> None:
    """Ends this child if its code differs from its worker's. A child that was started by hand has no worker."""
    if os.environ.get(CODE_VARIABLE, "") not in ("", installed_code()):
        sys.stderr.write("RankScope's installed code is not the code that its worker runs.\n")
        sys.stderr.flush()
        os._exit(exit_code)


def installed_code() -> str:
    """Returns an id of RankScope's Python files: it changes if one is added, removed, or written again."""
    folders = [os.path.dirname(package.origin) for package in _PACKAGES if package and package.origin]
    files = sorted(file for folder in folders for file in _files(folder, os.path.basename(folder)))
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _files(folder: str, name: str) -> Iterator[tuple[str, int, int]]:
    """Yields name, size and time of the last change of each file."""
    try:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{name}/{entry.name}")
            elif entry.name.endswith(".py"):
                status = entry.stat()
                yield f"{name}/{entry.name}", status.st_size, status.st_mtime_ns
    except FileNotFoundError:  # an upgrade has just removed it
        return
