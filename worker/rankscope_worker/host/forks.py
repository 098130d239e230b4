"""Starts trainings and jobs as forks of a process that has imported torch (see `child/preloaded.py`). Linux only.

A start falls back to a new process if the kernel lacks a required feature, if the preloaded process can't start or
doesn't respond, or if the child needs a different environment from the first one.
"""

import contextlib
import ctypes
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from rankscope.settings import ENV_PREFIX
from rankscope_worker.installation import CODE_VARIABLE, Installation, installed_code

_log = logging.getLogger(__name__)

GO = b"\n"
"""The line that a fork waits for on its standard input."""
_PR_SET_CHILD_SUBREAPER = 36
_IMPORTS_S = 120.0
_FORK_S = 20.0
_LOOK_EVERY_S = 0.1
_MOST_BYTES = 1 << 16


class Fork:
    """A child of this process that was not started by `subprocess`, with the methods of Popen that are needed."""

    def __init__(self, pid: int, stdin: IO[bytes]) -> None:
        self.pid = pid
        self.stdin: IO[bytes] | None = stdin
        self.returncode: int | None = None
        self._ended = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
                    os.close(self._ended)
            return self.returncode

    def wait(self) -> int:
        while (code := self.poll()) is None:
            # Ends immediately if another thread has closed it.
            with contextlib.suppress(OSError, ValueError):
                select.select([self._ended], [], [], 1.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Child = Fork | subprocess.Popen[bytes]
Module = Literal["train", "job"]
"""What a child runs: a module of `rankscope_worker.child`."""


class _Wanted(NamedTuple):
    """A child to start, as in `Forks.start`."""

    module: Module
    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    output: int


class Forks:
    """Starts children. Each worker has one instance, which is thread-safe."""

    def __init__(self, *, may_fork: bool = True) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._is_ready = False
        self._environment: Mapping[str, str] = {}
        self._code = ""
        """The id, from `imported_code`, of the code that the process has imported."""
        self.installation = Installation()
        self._is_possible = may_fork and sys.platform == "linux"

    def start(
        self,
        module: Module,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: int,
        may_fork: bool,
        is_wanted: Callable[[], bool],
    ) -> Child | None:
        """Starts `python -m rankscope_worker.child.MODULE arguments` in `folder`, in a new session. Raises OSError.

        output: descriptor for standard output and errors. may_fork: whether a fork of a process that imported the
        training stack without quantisation and without GPUs is suitable. is_wanted: called while waiting, which takes
        seconds at the first start; if it returns False, nothing is started. Standard input is a pipe that closes when
        this process ends.
        """
        environment = {**environment, CODE_VARIABLE: self.installation.code}
        if may_fork and self._is_possible:
            fork = self._fork_in_turn(_Wanted(module, arguments, folder, environment, output), is_wanted)
            if fork is not None:
                return fork
        if not is_wanted():
            return None
        return subprocess.Popen(
            [sys.executable, "-m", f"rankscope_worker.child.{module}", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Ends the preloaded process. Its children continue."""
        with self._lock:
            self._end()

    def _fork_in_turn(self, wanted: _Wanted, is_wanted: Callable[[], bool]) -> Fork | None:
        while not self._lock.acquire(timeout=_LOOK_EVERY_S):
            if not is_wanted():
                return None
        try:
            if not self._is_preloaded(wanted.environment, is_wanted):
                return None
            return self._fork(wanted, is_wanted)
        except (OSError, ValueError, KeyError) as error:
            _log.warning("The preloaded process does not respond; the child is started as a new process: %s", error)
            self._end()
            return None
        finally:
            self._lock.release()

    def _is_preloaded(self, environment: Mapping[str, str], is_wanted: Callable[[], bool]) -> bool:
        """Waits for the imports, unless this child can't use the process or is no longer wanted."""
        code = imported_code()
        if self._process is not None and (self._process.poll() is not None or code != self._code):
            self._end()
        if self._process is None:
            self._is_possible = _adopt_orphans()
            if not self._is_possible:
                return False
            self._preload(environment, code)
        if _at_import(environment) != _at_import(self._environment):
            return False
        if not self._is_ready:
            answer = self._receive(_IMPORTS_S, is_wanted)
            if answer is None:
                return False
            if "problem" in answer:
                _log.warning("Trainings and jobs are started as new processes, because %s.", answer["problem"])
                self._is_possible = False
                self._end()
                return False
            self._is_ready = True
        return True

    def _fork(self, wanted: _Wanted, is_wanted: Callable[[], bool]) -> Fork | None:
        assert self._socket is not None
        read, write = os.pipe()
        stdin = os.fdopen(write, "wb", buffering=0)
        try:
            request = {
                "module": wanted.module,
                "arguments": list(wanted.arguments),
                "folder": str(wanted.folder),
                "settings": _settings(wanted.environment),
            }
            socket.send_fds(self._socket, [json.dumps(request).encode()], [read, wanted.output])
            answer = self._receive(_FORK_S, is_wanted)
            if answer is None:
                self._end()  # otherwise the next start would read the response to this one
            elif answer["pid"] is None:
                _log.warning("The preloaded process can't be forked; the child is started as a new process.")
            else:
                # The fork begins only now: one that this process doesn't know of reads the end of its input, and ends.
                stdin.write(GO)
                return Fork(int(answer["pid"]), stdin)
        except BaseException:
            stdin.close()
            raise
        finally:
            os.close(read)
        stdin.close()
        return None

    def _preload(self, environment: Mapping[str, str], code: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rankscope_worker.child.preloaded", str(theirs.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._socket, self._environment, self._code, self._is_ready = ours, dict(environment), code, False

    def _receive(self, limit_s: float, is_wanted: Callable[[], bool]) -> dict[str, Any] | None:
        """Returns the next message, or None if `is_wanted` returns False before it arrives. Raises OSError."""
        assert self._socket is not None
        until = time.monotonic() + limit_s
        while not select.select([self._socket], [], [], _LOOK_EVERY_S)[0]:
            if not is_wanted():
                return None
            if time.monotonic() > until:
                raise TimeoutError(f"no message within {limit_s:.0f} s")
        answer = self._socket.recv(_MOST_BYTES)
        if not answer:
            raise ConnectionError("it has ended")
        found: dict[str, Any] = json.loads(answer)
        return found

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._socket = None
        self._is_ready = False


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns RankScope's own variables. A child reads them when it starts, so a fork can be given its own."""
    return {name: value for name, value in environment.items() if name.startswith(ENV_PREFIX)}


def _at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the other variables: libraries read some of them when they are imported."""
    return {name: value for name, value in environment.items() if not name.startswith(ENV_PREFIX)}


def imported_code() -> str:
    """Returns an id of the code that a new process would import: it changes with every installed package.

    A fork must not run older code.
    """
    times = [_changed_at(info) for folder in sys.path for info in sorted(Path(folder).glob("*.dist-info"))]
    return f"{installed_code()} {times}"


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def reap_group(group: int) -> None:
    """Collects the exit codes of processes that a child started and left behind, which this process has adopted."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass


def _adopt_orphans() -> bool:
    """Makes this process the parent of descendants whose parent has ended. Returns whether the kernel supports it."""
    return hasattr(os, "pidfd_open") and bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
