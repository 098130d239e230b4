"""The real stack, as started by hand: Valkey, API and workers as separate processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx

from rankscope.client import Client
from rankscope.embedded import Valkey, free_port, start_valkey
from rankscope.settings import Settings
from tests.forked_commands import ForkedCommand, ForkedCommands

TOKEN = "token-of-the-tests"
Value = TypeVar("Value")


def wait_for(
    what: str, condition: Callable[[], Value | None], *, deadline_s: float = 180.0, every_s: float = 0.1
) -> Value:
    """Returns the first true value of `condition`; fails with `what` once the deadline has passed."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {deadline_s:.0f} s for: {what}"
        time.sleep(every_s)
    return value


class Stack:
    """One installation in `data_dir`. Start its parts as needed; `stop` ends those that are still running.

    `forked`: starts API and workers without importing everything in each.
    """

    def __init__(
        self, data_dir: Path, *, database_url: str = "", forked: ForkedCommands | None = None, **settings: object
    ) -> None:
        self.settings = Settings.model_validate(
            {"data_dir": data_dir, "database_url": database_url, "token": TOKEN, "port": free_port(), **settings}
        )
        data_dir.mkdir(parents=True, exist_ok=True)
        self.environment: dict[str, str] = {}
        """Environment variables of every process of the stack, in addition to its settings."""
        self.valkey: Valkey | None = None
        self.processes: dict[str, subprocess.Popen[bytes] | ForkedCommand] = {}
        self._forked = forked

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def client(self) -> Client:
        return Client(self.url, TOKEN)

    def start_valkey(self) -> None:
        self.valkey = start_valkey(self.settings)
        self.settings = self.settings.model_copy(update={"broker_url": self.valkey.url})

    def start_api(self) -> None:
        self._start("api", ["rankscope", "api"])
        wait_for("the API to answer", self._answers, deadline_s=250)

    def start_worker(self, name: str = "test-worker", slots: int = 1) -> None:
        self._start(name, ["rankscope_worker", "--name", name, "--slots", str(slots)])

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(600)

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        if self.valkey:
            self.valkey.child.stop(10)

    def log(self, name: str) -> str:
        return (self.settings.data_dir / f"{name}.out").read_text(encoding="utf-8", errors="replace")

    def _answers(self) -> bool:
        assert self.processes["api"].poll() is None, f"the API ended:\n{self.log('api')}"
        try:
            return httpx.get(f"{self.url}/api/v1/system/health", timeout=2).is_success
        except httpx.TransportError:
            return False

    def _start(self, name: str, command: list[str]) -> None:
        log = self.settings.data_dir / f"{name}.out"
        environment = self.environment | self.settings.as_environment()
        if self._forked:
            self.processes[name] = self._forked.start(command, os.environ | environment, log)
            return
        with log.open("ab") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
            )
