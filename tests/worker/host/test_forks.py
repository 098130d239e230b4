"""Trainings as forks of a preloaded process: real processes, which wait for a database that does not respond."""

import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope_worker.exit_report import ExitCode
from rankscope_worker.host.forks import Child, Fork, Forks, installed_code
from rankscope_worker.host.supervisor import child_environment
from tests.stack import wait_for


@pytest.fixture
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.stop()
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # this process no longer adopts orphans


def test_forks_are_children_of_the_worker_and_outlive_the_preloaded_process(forks: Forks, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url=f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none?connect_timeout=2",
        lease_s=0.5,
    )
    environment = child_environment(settings, None, 1)
    log = tmp_path / "log.txt"

    def start(attempt: str, **more: str) -> Child:
        with log.open("ab") as output:
            child = forks.start(
                ["a1b2c3d4", attempt],
                folder=tmp_path,
                environment=environment | more,
                output=output.fileno(),
                may_fork=True,
                is_wanted=lambda: True,
            )
        assert child is not None
        return child

    # An attempt that ends during the imports starts nothing, and doesn't affect the next one.
    nothing = forks.start(
        [], folder=tmp_path, environment=environment, output=-1, may_fork=True, is_wanted=lambda: False
    )
    assert nothing is None

    first, second, foreign = start("1"), start("2"), start("3", CUDA_VISIBLE_DEVICES="GPU-1")
    try:
        assert isinstance(first, Fork)
        assert isinstance(second, Fork)
        assert not isinstance(foreign, Fork), "a training with another environment must not get the first one's"
        process = psutil.Process(first.pid)
        assert process.ppid() == os.getpid()
        assert process.cmdline()[-3:] == ["rankscope_worker.child.train", "a1b2c3d4", "1"]
        assert os.getsid(first.pid) == first.pid
        assert Path(process.cwd()) == tmp_path
        assert str(log) in {file.path for file in process.open_files()}
        assert not process.net_connections("unix"), "the worker's requests are for the preloaded process alone"
        (preloaded,) = [
            child for child in psutil.Process().children() if "rankscope_worker.child.preloaded" in child.cmdline()
        ]
        preloaded.kill()
        preloaded.wait()
        assert first.poll() is None
        first.kill()
        assert first.wait() == -signal.SIGKILL
        # Like every child, the fork treats the end of its standard input as the end of its supervisor.
        wait_for("the fork to wait for the database", lambda: b"database" in log.read_bytes().lower(), deadline_s=60)
        assert second.stdin is not None
        second.stdin.close()
        assert second.wait() == ExitCode.error, log.read_text(encoding="utf-8")
        assert "Ended after" in log.read_text(encoding="utf-8")
        assert not psutil.pid_exists(second.pid)
    finally:
        for child in (first, second, foreign):
            child.kill()
            child.wait()
            assert child.stdin is not None
            child.stdin.close()


def test_an_update_of_a_package_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = installed_code()
    assert installed_code() == before
    (tmp_path / "torch-9.9.9.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed_code() != before
