"""Trainings and jobs as forks of a preloaded process. The trainings wait for a database that does not respond."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope_worker.exit_report import ExitCode
from rankscope_worker.host.forks import Child, Fork, Forks, imported_code
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
                "train",
                ["a1b2c3d4", attempt],
                folder=tmp_path,
                environment=environment | more,
                output=output.fileno(),
                may_fork=True,
                is_wanted=lambda: True,
            )
        assert child is not None
        return child

    def job(data_dir: Path) -> tuple[type, str]:
        """Asks about a run without a database. Returns how it was started, and its answer."""
        payload, answer = tmp_path / "payload.json", tmp_path / "answer.jsonl"
        payload.write_text('{"run_id": "nothere", "attempt": 1, "texts": ["a film"]}')
        given = environment | settings.model_copy(update={"data_dir": data_dir}).as_environment()
        given["RANKSCOPE_DATABASE_URL"] = f"sqlite:///{data_dir}/rankscope.db"
        with log.open("ab") as output:
            child = forks.start(
                "job",
                ["predict", str(payload), str(answer)],
                folder=tmp_path,
                environment=given,
                output=output.fileno(),
                may_fork=True,
                is_wanted=lambda: True,
            )
        assert child is not None
        assert child.wait() == 0
        assert child.stdin is not None
        child.stdin.close()
        return type(child), answer.read_text(encoding="utf-8")

    # An attempt that ends during the imports starts nothing, and doesn't affect the next one.
    nothing = forks.start(
        "train", [], folder=tmp_path, environment=environment, output=-1, may_fork=True, is_wanted=lambda: False
    )
    assert nothing is None

    started_as, answer = job(tmp_path / "other")
    assert started_as is Fork
    assert "no such table: run" in answer, "RankScope's own variables are those of the job"
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
    before = imported_code()
    assert imported_code() == before
    (tmp_path / "torch-9.9.9.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert imported_code() != before


@pytest.mark.parametrize("kind", ["probe", "hides_itself"])
def test_a_job_that_needs_what_the_fork_has_hidden_continues_in_a_new_process_once(tmp_path: Path, kind: str) -> None:
    jobs = f"import rankscope_worker.child.jobs as jobs; jobs.__path__.insert(0, {str(tmp_path)!r})"
    (tmp_path / "sitecustomize.py").write_text(jobs)
    (tmp_path / f"{kind}.py").write_text(
        "import os\n"
        "from rankscope_worker.child.fast_imports import fast_imports\n"
        "def run(settings, payload, report):\n"
        "    with fast_imports(with_quantisation=True):\n"
        "        return {'process': os.getpid(), 'asked': payload}\n"
    )
    payload, answer = tmp_path / "payload.json", tmp_path / "answer.jsonl"
    payload.write_text('{"a": 1}')
    code = (
        "import sys; sys.modules['bitsandbytes'] = None; from rankscope_worker.child import job; job.run(sys.argv[1:])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, kind, str(payload), str(answer)],
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "RANKSCOPE_DATA_DIR": str(tmp_path)},
    ) as child:
        assert child.wait(120) == 0
    answered = json.loads(answer.read_text())
    if kind == "probe":
        assert answered == {"result": {"process": child.pid, "asked": {"a": 1}}}
    else:
        message = "The job hides_itself needs bitsandbytes, which it hides when it starts."
        assert answered["error"]["message"] == message
