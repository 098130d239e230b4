"""Trainings as forks of a process which has imported the training stack (see `child/preloaded.py`). Linux only.

Every start falls back to a new process: where the kernel lacks what is needed, the preloaded process can't start or does
not respond, or the training needs another environment than the first one.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_log = logging.getLogger(__name__)

GO = b"\n"
"""What a fork waits for on its standard input."""
_PR_SET_CHILD_SUBREAPER = 36
_ANSWER_S = 120.0
_MOST_BYTES = 1 << 16


class Fork:
    """A child of this process that was not started by `subprocess`: the same methods, as far as they are needed."""

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
            # Ends at once where another thread has closed it meanwhile.
            with contextlib.suppress(OSError, ValueError):
                select.select([self._ended], [], [], 1.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Child = Fork | subprocess.Popen[bytes]


class Forks:
    """Starts children; one for each worker. Threads may use it at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._environment: Mapping[str, str] = {}
        self._is_possible = sys.platform == "linux"

    def start(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: int,
        may_fork: bool,
    ) -> Child:
        """Starts `python -m rankscope_worker.child.train arguments` in `folder`, in a new session. Raises OSError.

        output: descriptor for standard output and errors. may_fork: whether a process that has imported the training stack
        without quantisation and without GPUs will do. Standard input is a pipe that closes when this process ends.
        """
        if may_fork and self._is_possible:
            with self._lock:
                fork = self._fork(arguments, folder, environment, output)
            if fork is not None:
                return fork
        return subprocess.Popen(
            [sys.executable, "-m", "rankscope_worker.child.train", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Ends the preloaded process. Children go on."""
        with self._lock:
            self._end()

    def _fork(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: int) -> Fork | None:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        try:
            if self._process is None:
                self._is_possible = _adopt_orphans() and self._preload(environment)
            if not self._is_possible:
                return None
            if environment != self._environment:
                return None
            read, write = os.pipe()
            stdin = os.fdopen(write, "wb", buffering=0)
            try:
                pid = self._ask(arguments, folder, read, output)
                if pid is not None:
                    # Only now it begins: a fork of which this process doesn't know reads the end of its input, and ends.
                    stdin.write(GO)
                    return Fork(pid, stdin)
            except BaseException:
                stdin.close()
                raise
            finally:
                os.close(read)
            stdin.close()
            _log.warning("A fork of the preloaded process died; the training is started as a new process.")
        except (OSError, ValueError, KeyError) as error:
            _log.warning("The preloaded process does not respond; the training is started as a new process: %s", error)
            self._end()
        return None

    def _ask(self, arguments: Sequence[str], folder: Path, read: int, output: int) -> int | None:
        """Returns the process id of a new fork, or None if it died at once."""
        assert self._socket is not None
        request = {"arguments": list(arguments), "folder": str(folder)}
        socket.send_fds(self._socket, [json.dumps(request).encode()], [read, output])
        pid = self._receive()["pid"]
        return None if pid is None else int(pid)

    def _preload(self, environment: Mapping[str, str]) -> bool:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rankscope_worker.child.preloaded", str(theirs.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ours.settimeout(_ANSWER_S)
        self._socket, self._environment = ours, dict(environment)
        problem = self._receive().get("problem")
        if problem is not None:
            _log.warning("Trainings are started as new processes, because %s.", problem)
            self._end()
        return problem is None

    def _receive(self) -> dict[str, Any]:
        assert self._socket is not None
        answer = self._socket.recv(_MOST_BYTES)
        if not answer:
            raise ConnectionError("It has ended.")
        found: dict[str, Any] = json.loads(answer)
        return found

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._socket = None


def reap_group(group: int) -> None:
    """Takes the exit codes of processes that a child has started and left behind, which became this process's children."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass


def _adopt_orphans() -> bool:
    """Makes this process the parent of descendants whose parent has ended. Returns whether the kernel can do that."""
    return hasattr(os, "pidfd_open") and bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
