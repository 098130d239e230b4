"""Installation: a complete RankScope under faults. It can kill, freeze and restart Valkey, the API and workers."""

import contextlib
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine

from rankscope.client import ApiError, Client
from rankscope.contract.tables import Run
from rankscope.embedded import start_child, start_valkey
from rankscope.store import runs
from rankscope.store.database.engine import create_engine, reading
from rankscope.store.doorbell import Doorbell
from rankscope.store.history import events
from rankscope_worker.database_retries import retry_on_database_errors
from tests.faults.orders import STACKS, hooked
from tests.faults.viewers import Viewer
from tests.forked_commands import ForkedCommand
from tests.stack import TOKEN, Stack, wait_for

DEADLINE_S = 600.0
"""Ends hanging processes. Nothing is timed here, and other work may use the cores for minutes."""
_TAIL_LINES = 60
"""Lines of each log in a description."""


class Installation(Stack):
    """`catalogue`: models and data sets, which all installations of a harness share.

    `broker_database`: the one of Valkey's databases that the API uses; workers use 0.
    """

    def __init__(
        self, folder: Path, catalogue: Path, *, database_url: str = "", broker_database: int = 0, **settings: Any
    ) -> None:
        defaults = {"lease_s": 6.0, "stop_grace_s": 60.0, "max_lost_workers": 100}
        super().__init__(folder, database_url=database_url, **defaults | settings)
        for name in ("models", "datasets"):
            (folder / name).symlink_to(catalogue / name)
        self.faults = folder / "faults"
        # The same number of threads gives the same bits.
        self.environment |= hooked(self.faults) | {"OMP_NUM_THREADS": "1"}
        self.engine: Engine = create_engine(self.settings.resolved_database_url)
        self.slots = 1
        self._broker_database = broker_database
        self.viewers: dict[str, list[Viewer]] = {}
        self._workers, self._api, self._broker = threading.Lock(), threading.Lock(), threading.Lock()

    def client(self) -> Client:
        return Client(self.url, TOKEN, timeout_s=DEADLINE_S)

    def start_valkey(self) -> None:
        self.valkey = start_valkey(self.settings, timeout_s=DEADLINE_S)
        self.settings = self.settings.model_copy(update={"broker_url": self.valkey.url})

    def start(self, workers: int, slots: int = 1) -> "Installation":
        self.slots = slots
        if not self.valkey:
            self.start_valkey()
        with_workers = self.settings
        url = self.settings.broker_url.rpartition("/")[0]
        self.settings = with_workers.model_copy(update={"broker_url": f"{url}/{self._broker_database}"})
        self.start_api()
        self.settings = with_workers
        for number in range(workers):
            self.start_worker(f"w{number}", slots)
        return self

    def launch(self, config: dict[str, Any], *, viewers: Sequence[int | None] = (None,), priority: int = 0) -> str:
        """Queues a run and opens its viewers, each of which reconnects after this number of events."""
        body = {"config": config, "priority": priority}

        def post() -> str | None:
            try:
                with self._api, self.client() as client:  # not while it is being restarted
                    return str(client._json("POST", "/runs", json=body)["id"])
            except ApiError as error:
                if error.problem.get("status") != 503:
                    raise
                return None  # the database is unavailable: nothing was stored

        run_id = wait_for("the run to be accepted", post, deadline_s=DEADLINE_S, every_s=0.5)
        assert run_id is not None
        self.viewers[run_id] = [Viewer(self.url, run_id, leave_after=leave_after) for leave_after in viewers]
        return run_id

    # ------------------------------------------------------------ observing

    def run(self, run_id: str) -> Run:
        """The run's current row; waits for an unavailable database."""

        def read() -> Run:
            with reading(self.engine) as session:
                run = runs.get_run(session, run_id)
                session.expunge(run)
                return run

        return retry_on_database_errors(read, lambda: False)

    def until_ended(self, run_id: str, deadline_s: float = DEADLINE_S) -> Run:
        wait_for(
            f"run {run_id} to end", lambda: self.run(run_id).status.is_terminal, deadline_s=deadline_s, every_s=0.3
        )
        return self.run(run_id)

    def executors(self) -> Counter[tuple[str, int]]:
        """How many processes have executed each attempt: (run, attempt) -> count."""
        return Counter((run_id, attempt) for run_id, attempt, _pid in self._executions())

    def child(self, run_id: str, attempt: int | None = None) -> psutil.Process | None:
        """Returns the newest training process of a run (or of one attempt), or None once it has ended."""
        for run, number, pid in reversed(self._executions()):
            if run == run_id and attempt in (None, number):
                try:
                    process = psutil.Process(pid)
                    return process if run_id in process.cmdline() else None
                except psutil.Error:
                    return None
        return None

    def attempt_folder(self, run_id: str, attempt: int) -> Path:
        return self.settings.attempt_dir(run_id, attempt)

    def _executions(self) -> list[tuple[str, int, int]]:
        path = self.faults / "executions"
        if not path.exists():
            return []
        lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
        return [(run_id, int(attempt), int(pid)) for run_id, attempt, pid in lines]

    def describe(self, run_id: str) -> str:
        """Describes a stuck run: its row, its last events, and each process with its stacks and log."""
        run = self.run(run_id)
        with reading(self.engine) as session:
            last = events.read_after(session, run_id, max(0, run.last_seq - 10), limit=10)
        parts = [f"run {run_id}: {run.status} in attempt {run.attempt} of worker {run.worker}, step {run.step}"]
        parts += [f"  event {event}" for event in last]
        found = [*processes_of(self.settings.data_dir), *self._forked_processes()]
        for process in found:
            with contextlib.suppress(psutil.Error):
                parts.append(f"process {process.pid}, {process.status()}: {' '.join(process.cmdline())}")
                if self.faults.is_dir() and "valkey" not in process.name():
                    process.send_signal(STACKS)
        time.sleep(2)  # for the stacks, which each process writes into its log
        logs = [
            *self.settings.data_dir.glob("*.out"),
            *self.settings.data_dir.glob("logs/*"),
            *self.settings.attempt_dir(run_id, 1).parent.glob("*/log.txt"),
        ]
        for log in logs:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            parts += [f"--- {log.relative_to(self.settings.data_dir)}", *lines[-_TAIL_LINES:]]
        return "\n".join(parts)

    def _forked_processes(self) -> Iterator[psutil.Process]:
        """Forked processes, for which the kernel reports the environment of their parent."""
        for process in self.processes.values():
            if isinstance(process, ForkedCommand) and process.poll() is None:
                yield psutil.Process(process.pid)

    # ------------------------------------------------------------ faults

    def restart_worker(self, name: str) -> None:
        """Sends SIGKILL; its children live on until they notice. Then starts a new worker with the same name."""
        with self._workers:
            self.kill(name)
            self.start_worker(name, self.slots)

    def drain_worker(self, name: str) -> None:
        """Sends SIGTERM: its children save and exit. Then starts a new worker with the same name."""
        with self._workers:
            self.kill(name, signal.SIGTERM)
            self.start_worker(name, self.slots)

    def restart_api(self) -> None:
        with self._api:
            self.kill("api")
            self.start_api()

    def restart_valkey(self, away_s: float = 0.0) -> None:
        """Sends SIGKILL, and restarts the server after `away_s` with the same port, password and data file."""
        with self._broker:
            assert self.valkey
            child = self.valkey.child
            child.process.kill()
            child.process.wait()
            time.sleep(away_s)
            command = [str(argument) for argument in child.process.args]  # type: ignore[union-attr]
            self.valkey.child = start_child(self.settings, "valkey", command, {})
            wait_for("Valkey to answer", self._broker_answers, deadline_s=DEADLINE_S)

    def _broker_answers(self) -> bool:
        assert self.valkey
        process = self.valkey.child.process
        assert process.poll() is None, f"Valkey ended with {process.returncode}; see {self.valkey.child.log}"
        with contextlib.closing(Doorbell(self.valkey.url)) as bell:
            return bell.ping()

    def close(self) -> None:
        """Ends everything, including children of killed workers."""
        for run_viewers in self.viewers.values():
            for viewer in run_viewers:
                viewer.close()
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
        self.stop()
        for _run, _attempt, pid in self._executions():
            try:
                child = psutil.Process(pid)
                if "rankscope_worker.child.train" in child.cmdline():
                    child.kill()
            except psutil.Error:
                continue
        self.engine.dispose()

    def discard(self) -> None:
        self.close()
        shutil.rmtree(self.settings.data_dir, ignore_errors=True)


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Every process whose environment names this installation, which includes leaked processes."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("RANKSCOPE_DATA_DIR") == str(data_dir.absolute()):
                found.append(process)
        except psutil.Error:
            continue
    return found
