"""Runs RankScope's commands in forks of one process that has imported them: a start takes milliseconds, not two seconds.

Each command is a process of its own, with its own environment, arguments and output. Only importing is shared.
"""

import atexit
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    code: int
    """Negative: killed by this signal, as in `subprocess`."""
    output: str
    errors: str


class ForkedCommands:
    """Use as a context; `run` takes one batch at a time."""

    def __enter__(self) -> "ForkedCommands":
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
        """Runs these commands at the same time, and returns how each of them ended; kills what takes too long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
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
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            codes = json.loads(self._process.stdout.readline())
            return [
                Ended(code, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8"))
                for code, (output, errors) in zip(codes, outputs, strict=True)
            ]


def _become(command: list[str], environment: dict[str, str], output: str, errors: str) -> None:
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for path, descriptor in ((output, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    sys.argv = command
    try:
        if command[0] == "rankscope":
            from rankscope.cli import app

            app(command[1:], prog_name="rankscope")
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
    for line in sys.stdin:
        request = json.loads(line)
        processes = [
            ForkProcess(target=_become, args=(command, request["environment"], output, errors))
            for command, (output, errors) in zip(request["commands"], request["outputs"], strict=True)
        ]
        for process in processes:
            process.start()
        sys.stdout.write(json.dumps(_wait_for(processes, request["timeout_s"])) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
