"""The supervisor with small processes instead of a training, which ignore signals, die, or lose their lease."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from rankscope.contract.config import RunConfig
from rankscope.contract.presets import presets
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.doorbell import Doorbell
from rankscope.store.history import events
from rankscope_worker.host import supervisor as module
from rankscope_worker.host.forks import Forks
from rankscope_worker.host.memory import host_memory, oom_kills
from rankscope_worker.host.supervisor import Supervisor
from tests.stack import wait_for

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
WAIT = "print('ready', flush=True); input()"
"""Ends, by an error, when the supervisor closes its standard input."""


class Small(Supervisor):
    """Supervises a few lines of Python."""

    code = "pass"

    def _start(self, output: int, is_wanted: Callable[[], bool]) -> "subprocess.Popen[bytes]":
        self.child = subprocess.Popen(
            [sys.executable, "-c", self.code],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self.child


class Slow(Small):
    """Its child starts only when the test says so, like one that waits for imports."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.may_start = threading.Event()

    def _start(self, output: int, is_wanted: Callable[[], bool]) -> "subprocess.Popen[bytes] | None":  # type: ignore[override]
        while not self.may_start.wait(0.05):
            if not is_wanted():
                return None
        return super()._start(output, is_wanted)


class Case:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine: Engine = create_engine(settings.resolved_database_url)
        with writing(self.engine) as session:
            runs.create_run(session, presets()[0].config, now=time.time())
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=settings.lease_s, now=time.time())
        assert claim is not None
        self.claim = claim
        self.folder = settings.attempt_dir(claim.run_id, claim.attempt)
        self.threads: list[threading.Thread] = []

    def start(self, code: str, kind: type[Small] | None = None) -> Small:
        supervisor = (kind or Small)(self.engine, Doorbell("redis://127.0.0.1:1/0"), self.settings, self.claim, None, 1)
        supervisor.code = code
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        self.threads.append(thread)
        return supervisor

    def end(self) -> Run:
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()
        with reading(self.engine) as session:
            run = runs.get_run(session, self.claim.run_id)
            session.expunge(run)
            return run

    def begin(self) -> None:
        with writing(self.engine) as session:
            queue.begin_training(session, self.claim.run_id, self.claim.attempt, start_step=0, now=time.time())

    def until_ready(self) -> None:
        log = self.folder / "log.txt"
        wait_for("the child", lambda: log.exists() and "ready" in log.read_text(), deadline_s=20)


@pytest.fixture
def case(tmp_path: Path, sqlite_url: str) -> Iterator[Callable[..., Case]]:
    made: list[Case] = []

    def make(**changes: float) -> Case:
        made.append(Case(Settings(data_dir=tmp_path, database_url=sqlite_url, **changes)))  # type: ignore[arg-type]
        return made[0]

    yield make
    for one in made:
        one.engine.dispose()


def test_a_child_that_does_not_respond_is_killed_after_the_grace_period(case: Callable[..., Case]) -> None:
    one = case(stop_grace_s=0.5, lease_s=4)
    one.start(f"{DEAF}; {WAIT}")
    one.until_ready()
    with writing(one.engine) as session:
        runs.request_stop(session, one.claim.run_id, save=True, now=time.time())
    run = one.end()
    assert (run.status, run.reason) == (RunStatus.stopped, "stopped_unsaved")
    assert run.message == "It did not stop within 0.5 s and was killed."


def test_the_second_signal_to_the_worker_kills_children_and_requeues_their_runs(case: Callable[..., Case]) -> None:
    one = case(lease_s=4)
    supervisor = one.start(f"{DEAF}; {WAIT}")
    one.until_ready()
    supervisor.drain()
    supervisor.kill()
    run = one.end()
    assert (run.status, run.reason, run.lost_workers) == (RunStatus.interrupted, "worker_drained", 0)
    assert supervisor.child.returncode == -9


def test_a_drain_before_the_child_starts_starts_none(case: Callable[..., Case]) -> None:
    one = case()
    supervisor = Small(one.engine, Doorbell("redis://127.0.0.1:1/0"), one.settings, one.claim, None, 1)
    supervisor.drain()
    supervisor.run()
    assert one.end().status == RunStatus.interrupted
    assert not one.folder.exists()


def test_the_lease_is_renewed_and_a_stop_is_kept_while_the_child_waits_for_imports(case: Callable[..., Case]) -> None:
    one = case(lease_s=0.8)
    supervisor = one.start(WAIT, Slow)
    assert isinstance(supervisor, Slow)
    with writing(one.engine) as session:
        runs.request_stop(session, one.claim.run_id, save=True, now=time.time())
    time.sleep(1.2)  # longer than the lease
    with writing(one.engine) as session:
        assert not queue.reap(session, now=time.time(), max_lost_workers=3)
    supervisor.may_start.set()
    run = one.end()
    assert (run.status, run.attempt) == (RunStatus.stopped, 1)
    assert supervisor.child.returncode == -signal.SIGTERM


@pytest.mark.parametrize("how", ["drain", "kill", "lease"])
def test_a_child_that_waits_for_imports_never_starts_after_an_end(case: Callable[..., Case], how: str) -> None:
    one = case(lease_s=0.8)
    supervisor = one.start(WAIT, Slow)
    if how == "lease":
        with writing(one.engine) as session:
            run = runs.get_run(session, one.claim.run_id)
            queue.give_up_lease(
                session, run, now=time.time(), reason="worker_lost", message="Gone.", max_lost_workers=3
            )
    else:
        getattr(supervisor, how)()
    run = one.end()
    assert (run.status, run.lost_workers) == (RunStatus.interrupted, int(how == "lease"))
    assert not hasattr(supervisor, "child")


def test_a_lost_lease_kills_the_child_with_its_children_and_writes_nothing(case: Callable[..., Case]) -> None:
    one = case(lease_s=1)
    supervisor = one.start(
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE);" + WAIT
    )
    one.until_ready()
    (grandchild,) = psutil.Process(supervisor.child.pid).children()
    with writing(one.engine) as session:
        run = runs.get_run(session, one.claim.run_id)
        queue.give_up_lease(session, run, now=time.time(), reason="worker_lost", message="Gone.", max_lost_workers=3)
        assert queue.claim_next(session, worker="other", has_gpu=False, lease_s=60, now=time.time())
        before = events.last_seq(session, one.claim.run_id)
    run = one.end()
    assert (run.status, run.attempt, run.worker, run.last_seq) == (RunStatus.starting, 2, "other", before)
    assert supervisor.child.returncode == -9
    wait_for(
        "the grandchild to be gone",
        lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE,
        deadline_s=10,
    )


def test_a_database_that_is_unreachable_for_a_lease_period_ends_the_child(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = case(lease_s=1)
    supervisor = one.start(WAIT)
    one.until_ready()

    def away(*_arguments: object, **_options: object) -> str | None:
        raise OperationalError("UPDATE", {}, Exception("server closed the connection"))

    monkeypatch.setattr(module, "renew_lease", away)
    run = one.end()
    assert supervisor.child.returncode == -9
    assert run.status == RunStatus.starting  # nothing was written: another worker's reaper releases the run


def test_a_killed_child_is_retried_until_it_has_happened_too_often(case: Callable[..., Case]) -> None:
    one = case(max_lost_workers=0)
    supervisor = one.start(WAIT)
    one.until_ready()
    supervisor.child.kill()
    run = one.end()
    assert (run.status, run.reason, run.lost_workers) == (RunStatus.failed, "child_killed", 1)
    assert run.message == "The training process was killed by signal 9 (Killed). It is not retried again (1 of 1)."
    assert run.cause == "ready"  # the last line of its log


def test_a_child_killed_by_the_oom_killer_is_distinguished_from_other_kills(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([3, 4])
    monkeypatch.setattr(module, "oom_kills", lambda: next(kills))
    one = case(max_lost_workers=0)
    supervisor = one.start(WAIT)
    one.until_ready()
    supervisor.child.kill()
    run = one.end()
    assert (run.status, run.reason) == (RunStatus.failed, "out_of_memory")
    assert (run.message or "").startswith("The host ran out of memory, and the kernel killed the training process.")
    batch = RunConfig.stored(run.config).training.batch_size // 2
    assert (run.next_step or "").startswith(f"Retry with batch_size {batch} and gradient_accumulation 2")


@pytest.mark.parametrize("version", ["group", "host"])
def test_the_kernels_count_of_killed_processes_is_read(tmp_path: Path, version: str) -> None:
    assert oom_kills(tmp_path) == 0
    if version == "group":
        (tmp_path / "proc" / "self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text("0::/job\n")
        group = tmp_path / "sys/fs/cgroup/job"
        group.mkdir(parents=True)
        (group / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n")
    else:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/vmstat").write_text("nr_free_pages 12\noom_kill 2\n")
    assert oom_kills(tmp_path) == 2
    assert oom_kills() >= 0


def test_a_process_of_another_group_that_was_killed_for_memory_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc/vmstat").write_text("oom_kill 5\n")
    for line, file in (("0::/job", "job/memory.events"), ("4:memory:/job", "memory/job/memory.oom_control")):
        (tmp_path / "proc/self/cgroup").write_text(f"9:name=systemd:/\n{line}\n")
        path = tmp_path / "sys/fs/cgroup" / file
        path.parent.mkdir(parents=True)
        path.write_text("under_oom 0\noom_kill 1\n")
        assert oom_kills(tmp_path) == 1


def test_limit_of_a_control_group_counts_as_memory(tmp_path: Path) -> None:
    whole = host_memory(tmp_path)
    assert whole.total_bytes == psutil.virtual_memory().total
    assert 0 < whole.free_bytes <= whole.total_bytes
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/group\n")
    group = tmp_path / "sys/fs/cgroup/group"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("900000\n")
    assert host_memory(tmp_path).total_bytes == whole.total_bytes
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.stat").write_text("anon 5\ninactive_file 50000\n")
    assert host_memory(tmp_path) == (1_000_000, 150_000)


def test_an_error_without_a_note_is_explained_by_the_log(case: Callable[..., Case]) -> None:
    one = case()
    one.begin()
    one.start("raise RuntimeError('no such thing')")
    run = one.end()
    assert (run.status, run.reason) == (RunStatus.failed, "error")
    assert run.message == (
        "The training process ended with exit code 1 without giving a reason. "
        "The last line of its log: RuntimeError: no such thing"
    )
    assert "report it with the end of the log" in (run.next_step or "")


def test_a_data_folder_that_cannot_be_written_fails_the_run(case: Callable[..., Case]) -> None:
    one = case()
    one.settings.runs_dir.write_text("a file in the way")
    one.start("pass")
    run = one.end()
    assert run.status == RunStatus.failed
    assert "can't be started" in (run.message or "")


def test_a_child_with_endless_output_does_not_fill_the_disk(case: Callable[..., Case]) -> None:
    one = case(lease_s=0.4, stop_grace_s=5)
    Small.max_log_bytes, before = 100_000, Small.max_log_bytes
    try:
        supervisor = one.start(
            "import sys, time\nprint('ready', flush=True)\n"
            "while True: print('line of a loop ' * 60, flush=True); time.sleep(0.0005)"
        )
        one.until_ready()
        log = one.folder / "log.txt"
        wait_for("the log to be cut", lambda: b"were removed from this log" in log.read_bytes(), deadline_s=20)
        assert log.read_bytes().startswith(b"ready\n")
        assert supervisor.child.poll() is None
        wait_for("the child to go on writing", lambda: log.read_bytes().endswith(b"loop \n"), deadline_s=20)
        # Each check may find bytes written since the previous one; they don't accumulate.
        assert log.stat().st_size < 5_000_000
        with writing(one.engine) as session:
            runs.request_stop(session, one.claim.run_id, save=False, now=time.time())
        assert one.end().status == RunStatus.stopped
    finally:
        Small.max_log_bytes = before


@pytest.mark.parametrize("kind", [Supervisor, Small])
def test_a_run_that_starts_during_an_upgrade_waits_for_a_restarted_worker(
    case: Callable[..., Case], kind: type[Supervisor]
) -> None:
    """The real child ends at once; the small one fails as if its imports met a mixture of old and new files."""
    one = case()
    forks = Forks(may_fork=False)
    forks.installation.code = "earlier"
    supervisor = kind(one.engine, Doorbell("redis://127.0.0.1:1/0"), one.settings, one.claim, None, 1, forks)
    if isinstance(supervisor, Small):
        supervisor.code = "import rankscope.removed"
    supervisor.run()
    run = one.end()
    assert (run.status, run.reason, run.lost_workers) == (RunStatus.interrupted, "worker_outdated", 0)
    assert "Error" not in (one.folder / "log.txt").read_text() or kind is Small
