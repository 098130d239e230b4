"""An installation to break, and the commands that then cannot start."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import Broker
from tests.forked_commands import Ended, ForkedCommands

COMMANDS = {
    "up": ["rankscope", "up", "--no-demo"],
    "api": ["rankscope", "api"],
    "worker": ["rankscope", "worker", "--name", "w"],
}
FORKED = COMMANDS | {"worker": ["rankscope_worker", "--name", "w"]}
"""`rankscope worker` replaces its process with a new Python that runs this module."""


@dataclass
class Place:
    """A broken installation; `options` are passed on the command line."""

    folder: Path
    broker: Broker
    forked: ForkedCommands
    environment: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.folder / "rankscope.db"

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.database, isolation_level=None)) as raw:
            for statement in statements:
                raw.execute(statement)

    @property
    def variables(self) -> dict[str, str]:
        settings = {
            "RANKSCOPE_DATA_DIR": str(self.folder),
            "RANKSCOPE_PORT": "0",
            "RANKSCOPE_BROKER_URL": self.broker.url,
        }
        return settings | self.environment

    def start(self, command: str) -> "subprocess.Popen[str]":
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RANKSCOPE_")}
        return subprocess.Popen(
            [sys.executable, "-m", *COMMANDS[command], *self.options],
            env=clean | self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, commands: tuple[str, ...]) -> list[Ended]:
        """Runs all of these at the same time, until each has ended."""
        return self.forked.run([[*FORKED[command], *self.options] for command in commands], self.variables)

    def run_installed(self, commands: tuple[str, ...]) -> list[Ended]:
        """Like `run`, each in a separate Python process."""
        started = [self.start(command) for command in commands]
        try:
            texts = [process.communicate(timeout=120) for process in started]
        finally:
            for process in started:
                process.kill()
        return [Ended(process.returncode, *text) for process, text in zip(started, texts, strict=True)]

    def processes(self) -> list[psutil.Process]:
        """All processes that were started with this data folder."""
        found = []
        for process in psutil.process_iter():
            try:
                of_us = str(self.folder) in " ".join(process.cmdline())
                of_us = of_us or process.environ().get("RANKSCOPE_DATA_DIR") == str(self.folder)
            except psutil.Error:
                continue
            if of_us and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found
