"""The worker's job runner without a worker: the job reports whatever happens to its child."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog.imported.folders import Folders
from rankscope.catalog.imported.uploads import read_upload
from rankscope.contract.jobs import (
    DOWNLOAD_MODEL,
    DOWNLOADS,
    IMPORT_DATA,
    KINDS,
    LANES,
    PREDICT,
    PROBE,
    PROBES,
    JobStatus,
)
from rankscope.contract.stored import Payload
from rankscope.contract.tables import Job
from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope.store import jobs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.doorbell import Doorbell
from rankscope_worker.host.celery_app import Nudger, make_celery
from rankscope_worker.host.forks import Forks
from rankscope_worker.host.gpus import Gpu, GpuReader
from rankscope_worker.host.host import Host
from rankscope_worker.host.jobs import JobRunner
from rankscope_worker.host.supervisor import child_environment
from tests.conftest import Broker
from tests.imports import put_upload
from tests.model_folders import make_folder
from tests.stack import wait_for
from tests.worker.child.hub.stand_in import StandIn, serving

QUESTION: Payload = {"run_id": "nothere", "attempt": 1, "texts": ["a film"]}


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def host(settings: Settings, database_url: str) -> Iterator[Host]:
    engine = create_engine(database_url)
    yield Host(
        name="w",
        settings=settings,
        engine=engine,
        doorbell=Doorbell(settings.broker_url),
        celery=make_celery(settings),
        nudger=Nudger(settings),
        gpus=[],
        slots=1,
        forks=Forks(may_fork=False),  # most of these jobs end before they need torch
    )
    engine.dispose()


@pytest.fixture
def submit(host: Host) -> Callable[..., str]:
    """Submits a prediction about a run that does not exist."""

    def submit(**changes: Any) -> str:
        with writing(host.engine) as session:
            return jobs.submit(session, PREDICT, QUESTION | changes, now=time.time()).id

    return submit


@pytest.fixture
def quick_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children fail immediately, for tests in which only their end matters."""
    (tmp_path / "sqlmodel.py").write_text("raise RuntimeError('short')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def read_job(host: Host, job_id: str) -> Job:
    with reading(host.engine) as session:
        job = jobs.get_job(session, job_id, PREDICT)
        assert job is not None
        session.expunge(job)
    return job


def outcome(host: Host, submit: Callable[..., str]) -> tuple[str, str, str | None]:
    """(status, message, next step) of a prediction that the runner has worked on."""
    job_id = submit()
    assert JobRunner(host).run_next()
    job = read_job(host, job_id)
    assert job.error is not None
    return job.status, job.error["message"], job.error["next_step"]


def test_an_error_of_the_job_is_stored_as_the_child_reports_it(host: Host, submit: Callable[..., str]) -> None:
    status, message, next_step = outcome(host, submit)
    assert (status, message) == ("failed", "There is no run 'nothere'.")
    assert next_step


def test_a_download_runs_in_its_own_lane(
    host: Host, submit: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ignores a waiting prediction, and the other lane does not wait for it."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # set where tests make models
    waiting = submit()
    folder = make_folder(tmp_path / "original")
    with serving(StandIn({path.name: path.read_bytes() for path in folder.iterdir()})) as hub:
        settings = host.settings.model_copy(update={"hub_endpoint": hub.url, "low_disk": 0})
        with writing(host.engine) as session:
            job_id = jobs.submit(session, DOWNLOAD_MODEL, {"hub_id": "team/tiny"}, now=time.time()).id
        assert JobRunner(replace(host, settings=settings), DOWNLOADS).run_next()
    with reading(host.engine) as session:
        job = jobs.get_job(session, job_id, DOWNLOAD_MODEL)
        assert job is not None
        assert job.status == JobStatus.done, job.error
    assert (settings.models_dir / "team--tiny" / "config.json").is_file()
    assert read_job(host, waiting).status == JobStatus.queued


def test_only_downloads_get_the_token_of_the_hub(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "RANKSCOPE_HF_TOKEN"):
        monkeypatch.setenv(name, "hf_secret_of_the_test")
    monkeypatch.setenv("HF_HUB_OFFLINE", "yes")
    runner = JobRunner(host)
    for kind in KINDS.values():
        environment = runner._environment(kind)
        assert ("hf_secret_of_the_test" in environment.values()) == (kind.name in DOWNLOADS), kind.name
        assert environment["HF_HUB_OFFLINE"] == ("yes" if kind.name in DOWNLOADS else "1")
    assert "hf_secret_of_the_test" not in child_environment(host.settings, None, 1).values()


def test_a_prediction_does_not_wait_for_an_import(host: Host, submit: Callable[..., str], quick_failure: None) -> None:
    """The import reads a pipe without a writer, so it ends only with the worker."""
    upload_id = put_upload(host.settings.data_dir, "a.csv", b"", "a-1234")
    source = Folders(host.settings.data_dir).upload(upload_id) / "source"
    source.unlink()
    os.mkfifo(source)

    def status(job_id: str) -> str:
        with reading(host.engine) as session:
            return session.get_one(Job, job_id).status

    with writing(host.engine) as session:
        import_id = jobs.submit(session, IMPORT_DATA, {"upload_id": upload_id}, now=time.time()).id
    runners = [JobRunner(host, kinds) for kinds in LANES]
    try:
        for runner in runners:
            runner.start()
        wait_for("the import to run", lambda: status(import_id) == JobStatus.running)
        predictions = [submit(), submit()]
        for job_id in predictions:
            wait_for("the prediction", partial(lambda one: status(one) == JobStatus.failed, job_id), deadline_s=120)
        assert status(import_id) == JobStatus.running
    finally:
        host.stop()
        for runner in runners:
            runner.stop()
    assert status(import_id) == JobStatus.queued, "another worker imports it"


@pytest.mark.parametrize("content", [b"text,label\na film,1\nbroken\n", b"text,label\nbroken\n"])
def test_an_import_stores_its_result_or_says_why_there_is_none(
    host: Host, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Arrow imports pandas in some of its conversions, for half a second.
    imported = tmp_path / "pandas-is-imported"
    (tmp_path / "pandas.py").write_text(f"open({str(imported)!r}, 'w').close()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folders = Folders(host.settings.data_dir)
    upload_id = put_upload(host.settings.data_dir, "a.csv", content, "a-1234")
    with writing(host.engine) as session:
        job_id = jobs.submit(session, IMPORT_DATA, {"upload_id": upload_id}, now=time.time()).id
    assert JobRunner(host).run_next()
    assert not imported.exists()
    with reading(host.engine) as session:
        job = jobs.get_job(session, job_id, IMPORT_DATA)
        assert job is not None
        if b"film" in content:
            assert (job.status, job.result) == ("done", {"set_id": "a-1234", "version": 1}), job.error
            assert (folders.versions("a-1234"), folders.upload_ids()) == ([1], [])
        else:
            assert job.error is not None
            assert (job.status, folders.set_ids()) == ("failed", [])
            assert job.error["message"].startswith("None of its rows can be read. Line 2: ")
            assert read_upload(folders.upload(upload_id)).error == job.error, "kept longer than the job"


def test_a_measurement_takes_a_slot_with_its_gpu_and_waits_for_one(
    host: Host, monkeypatch: pytest.MonkeyPatch, quick_failure: None
) -> None:
    class OneGpu(GpuReader):
        def read(self, timeout_s: float = 5.0) -> list[Gpu]:
            return [Gpu(0, "GPU-7", "a GPU", 1 << 36, 1 << 36)]

    host.gpu_reader = OneGpu()
    host.gpus = host.gpu_reader.read()
    with writing(host.engine) as session:
        job_id = jobs.submit(session, PROBE, {"needs_gpu": True}, now=time.time()).id
    runner, seen = JobRunner(host, PROBES), []

    def environment(*given: Any) -> dict[str, str]:
        seen.append(JobRunner._environment(runner, *given)["CUDA_VISIBLE_DEVICES"])
        assert host.take_slot() is None, "its slot is taken"
        return JobRunner._environment(runner, PREDICT)

    monkeypatch.setattr(runner, "_environment", environment)
    taken = host.take_slot()
    assert taken is not None
    assert not runner.run_next()
    host.release_slot(taken)
    assert runner.run_next()
    assert seen == ["GPU-7"]
    assert host.take_slot() == taken
    with reading(host.engine) as session:
        assert session.get_one(Job, job_id).status == JobStatus.failed


def test_an_unreachable_database_is_not_reported_as_out_of_memory(host: Host, submit: Callable[..., str]) -> None:
    nobody = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    host.settings = host.settings.model_copy(update={"database_url": nobody})
    status, message, next_step = outcome(host, submit)
    assert status == "failed"
    assert message.startswith("The worker can't read the database: ")
    assert next_step == "Try again once the database responds."


def test_a_child_that_crashes_is_reported_with_its_last_line(
    host: Host, submit: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sqlmodel.py").write_text("raise RuntimeError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _, message, next_step = outcome(host, submit)
    assert message == "The process that loads the models failed: RuntimeError: a broken installation"
    assert "memory" not in (next_step or "")


def test_a_child_that_was_killed_is_reported_as_killed(
    host: Host, submit: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sqlmodel.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _, message, next_step = outcome(host, submit)
    assert message == "The process that loads the models was killed by signal 9 (Killed)."
    assert next_step == "Try again."


def test_a_child_that_takes_too_long_is_ended(host: Host, submit: Callable[..., str]) -> None:
    job_id = submit()
    with writing(host.engine) as session:
        claim = jobs.claim_next(session, worker="w", kinds=["predict"], lease_s=30, now=time.time())
    assert claim is not None
    JobRunner(host)._run(replace(claim, kind=replace(PREDICT, timeout_s=0.05)))
    job = read_job(host, job_id)
    assert (job.status, job.error) == (
        "failed",
        {"message": "There was no result within 0 s.", "next_step": "Try again."},
    )


def test_a_draining_worker_returns_its_job(host: Host, submit: Callable[..., str]) -> None:
    job_id = submit()
    host.stop()
    assert JobRunner(host).run_next()
    job = read_job(host, job_id)
    assert (job.status, job.attempt, job.lease_expires_at) == (JobStatus.queued, 1, None)


def test_after_an_upgrade_of_rankscope_a_job_waits_for_a_restarted_worker(
    host: Host, submit: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    """An upgrade between the claim and the start is noticed by the child, any other by the worker."""
    job_id = submit()
    with writing(host.engine) as session:
        claim = jobs.claim_next(session, worker="w", kinds=["predict"], lease_s=30, now=time.time())
    assert claim is not None
    host.forks.installation.code = "earlier"
    JobRunner(host)._run(claim)
    job = read_job(host, job_id)
    assert (job.status, job.attempt, job.error, job.result) == (JobStatus.queued, 1, None, None)
    assert not JobRunner(host).run_next()
    assert host.take_slot() is None
    assert read_job(host, job_id).attempt == 1
    assert len([line for line in caplog.messages if "earlier installation" in line]) == 1


def test_a_job_is_done_once_and_there_is_nothing_to_do_without_one(
    host: Host, submit: Callable[..., str], quick_failure: None
) -> None:
    runner = JobRunner(host)
    assert not runner.run_next()
    submit()
    assert runner.run_next()
    assert not runner.run_next()


def test_a_runner_that_has_lost_its_job_stores_nothing_and_kills_its_child(
    host: Host, submit: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    (tmp_path / "sqlmodel.py").write_text(
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(60)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    host.settings = host.settings.model_copy(update={"lease_s": 3})
    job_id = submit()
    thread = threading.Thread(target=JobRunner(host).run_next)
    thread.start()
    wait_for("the child to work", lambda: pid_file.exists() and pid_file.read_text(), deadline_s=120)
    in_jobs_folder = Path("/proc", pid_file.read_text(), "cwd").resolve()
    assert in_jobs_folder.parent == host.jobs_folder.resolve(), "the worker's next start removes it after a SIGKILL"
    with writing(host.engine) as session:
        assert jobs.reap(session, now=time.time() + 1e6) == [job_id]
    thread.join(60)
    assert not thread.is_alive()
    wait_for("the child to be gone", lambda: not Path("/proc", pid_file.read_text()).exists())
    job = read_job(host, job_id)
    assert (job.status, job.attempt, job.error) == (JobStatus.queued, 1, None)


@pytest.mark.parametrize("with_broker", [True, False])
def test_jobs_run_without_a_broker_and_again_once_it_is_back(
    host: Host, submit: Callable[..., str], own_broker: Broker, with_broker: bool, quick_failure: None
) -> None:
    host.settings = host.settings.model_copy(update={"broker_url": own_broker.url, "lease_s": 6})
    runner, doorbell = JobRunner(host), Doorbell(own_broker.url)
    runner.start()
    own_broker.stop()
    if with_broker:
        own_broker.start()
    job_id = submit()
    doorbell.ring_for_job()
    wait_for("an answer", lambda: read_job(host, job_id).status == "failed", deadline_s=120)
    host.stop()
    runner.stop()
    assert not any(thread.name == "jobs" for thread in threading.enumerate())
    doorbell.close()
