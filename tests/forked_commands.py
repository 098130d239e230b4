"""Runs RankScope's commands in forks of one process that has imported them: a start takes milliseconds, not two seconds.

Each command is a separate process, with its own environment, arguments and output. Only the imports are shared.
"""

import atexit
import faulthandler
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, NamedTuple


class Ended(NamedTuple):
    code: int
    """Negative: killed by this signal, as in `subprocess`."""
    output: str
    errors: str


class ForkedCommand:
    """A command that `ForkedCommands.start` has started: it has the parts of `subprocess.Popen` that tests need."""

    def __init__(self, commands: "ForkedCommands", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._commands = commands

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._commands._ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        began = time.monotonic()
        while (code := self.poll()) is None:
            if timeout is not None and time.monotonic() > began + timeout:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedCommands:
    """Use it as a context manager. Everything that `start` has started must end within the block. Thread-safe."""

    def __enter__(self) -> "ForkedCommands":
        self._lock = threading.Lock()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RANKSCOPE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked_commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def run(
        self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], *, timeout_s: float = 120.0
    ) -> list[Ended]:
        """Runs these commands at the same time, and returns how each of them ended; kills those that take too long."""
        with tempfile.TemporaryDirectory() as folder:
            outputs = [
                (Path(folder) / f"{number}.out", Path(folder) / f"{number}.err") for number in range(len(commands))
            ]
            request = {
                "commands": [list(command) for command in commands],
                "environment": dict(environment),
                "outputs": [[str(output), str(errors)] for output, errors in outputs],
                "timeout_s": timeout_s,
            }
            codes = self._ask(request)
            return [
                Ended(code, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8"))
                for code, (output, errors) in zip(codes, outputs, strict=True)
            ]

    def start(self, command: Sequence[str], environment: Mapping[str, str], output: Path) -> ForkedCommand:
        """Starts a command that runs until it is stopped; its output is appended to `output`."""
        request = {"start": list(command), "environment": dict(environment), "output": str(output)}
        return ForkedCommand(self, self._ask(request))

    def _ask(self, request: Mapping[str, object]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


def _become(command: list[str], environment: dict[str, str], output: str, errors: str) -> None:
    os.environ.update(environment)
    if "RANKSCOPE_FAULTS" in environment:
        faulthandler.register(
            signal.SIGUSR2
        )  # as faults/hook does in a new Python; otherwise it acts only in trainings
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for path, descriptor in ((output, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    sys.argv = command
    try:
        if command[0] == "rankscope":
            from rankscope.cli import app

            app(command[1:], prog_name="rankscope")
        elif command[0].startswith("tests."):
            runpy.run_module(command[0], run_name="__main__")
        else:
            from rankscope_worker.host.main import main

            sys.exit(main(command[1:]))
    finally:
        # `multiprocessing` ends the process without this. It also skips freeing every module, which took a second each.
        atexit._run_exitfuncs()


def _wait_for(processes: list[ForkProcess], timeout_s: float) -> list[int]:
    end = time.monotonic() + timeout_s
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()
    return [process.exitcode if process.exitcode is not None else -signal.SIGKILL for process in processes]


def _serve() -> None:
    for module in ("rankscope.cli", "rankscope.serve", "rankscope.up", "rankscope_worker.host.main"):
        importlib.import_module(module)
    gc.freeze()  # a collection in a fork would copy every page that is shared with this process
    started: dict[int, ForkProcess] = {}

    def fork(command: list[str], environment: dict[str, str], output: str, errors: str) -> ForkProcess:
        process = ForkProcess(target=_become, args=(command, environment, output, errors))
        process.start()
        return process

    for line in sys.stdin:
        match json.loads(line):
            case {"start": command, "environment": environment, "output": output}:
                process = fork(command, environment, output, output)
                assert process.pid is not None
                started[process.pid] = process
                answer: object = process.pid
            case {"poll": pid}:
                answer = started[pid].exitcode
            case {"commands": commands, "environment": environment, "outputs": outputs, "timeout_s": timeout_s}:
                batch = [fork(command, environment, *files) for command, files in zip(commands, outputs, strict=True)]
                answer = _wait_for(batch, timeout_s)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
