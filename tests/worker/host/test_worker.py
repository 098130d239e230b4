"""The worker as in production: real Valkey, a real Celery worker process, real training processes."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine

import dynamic_rank
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.launch.plan import RunPlan
from rankscope.store import runs, workers
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.schema import migrate
from rankscope.store.history import events
from rankscope.store.history.series import read_curves
from rankscope_worker.host.celery_app import Nudger
from tests.conftest import Broker
from tests.forked_commands import ForkedCommands
from tests.stack import Stack, wait_for
from tests.worker.child.test_training import Life

Plan = Callable[..., RunPlan]


class Bench:
    """A stack without the API, and its database."""

    def __init__(self, stack: Stack, *, own_valkey: bool = True) -> None:
        self.stack = stack
        self.engine: Engine = create_engine(stack.settings.resolved_database_url)
        migrate(self.engine)
        if own_valkey:
            stack.start_valkey()
        self.nudger = Nudger(stack.settings)

    def submit(self, plan: RunPlan, *, nudge: bool = True) -> str:
        with writing(self.engine) as session:
            run = runs.create_run(session, plan.config, now=time.time(), total_steps=plan.total_steps)
        if nudge:
            self.nudger.nudge()
        return run.id

    def run(self, run_id: str) -> Run:
        with reading(self.engine) as session:
            run = runs.get_run(session, run_id)
            session.expunge(run)
            return run

    def until(self, run_id: str, condition: Callable[[Run], bool], what: str) -> Run:
        def look() -> Run | None:
            run = self.run(run_id)
            if run.status == RunStatus.failed and not condition(run):
                pytest.fail(f"run {run_id} failed: {run.message}\n{self.log(run)}")
            return run if condition(run) else None

        found = wait_for(f"{what}; worker: {self.stack.log('test-worker')}", look, deadline_s=240)
        assert found is not None
        return found

    def until_status(self, run_id: str, *statuses: str) -> Run:
        return self.until(run_id, lambda run: run.status in statuses, f"run {run_id} to be {' or '.join(statuses)}")

    def until_step(self, run_id: str, attempt: int, step: int) -> Run:
        return self.until(
            run_id,
            lambda run: run.attempt == attempt and run.status == RunStatus.running and run.step >= step,
            f"step {step} of attempt {attempt}",
        )

    def stop(self, run_id: str, *, save: bool) -> None:
        with writing(self.engine) as session:
            runs.request_stop(session, run_id, save=save, now=time.time())

    def resume(self, run_id: str) -> None:
        with writing(self.engine) as session:
            runs.request_resume(session, run_id, now=time.time())
        self.nudger.nudge()

    def events(self, run_id: str) -> list[dict[str, Any]]:
        with reading(self.engine) as session:
            return events.read_after(session, run_id, 0, limit=100_000)

    def folder(self, run: Run) -> Path:
        return self.stack.settings.attempt_dir(run.id, run.attempt)

    def log(self, run: Run) -> str:
        path = self.folder(run) / "log.txt"
        return path.read_text(encoding="utf-8") if path.exists() else "(no log)"

    def child(self, run_id: str) -> psutil.Process:
        """The training process of the run's newest attempt."""
        attempt = str(self.run(run_id).attempt)
        for process in psutil.Process(self.stack.processes["test-worker"].pid).children():
            if process.cmdline()[-3:] == ["rankscope_worker.child.train", run_id, attempt]:
                return process
        raise AssertionError(f"run {run_id} has no child; worker: {self.stack.log('test-worker')}")


@pytest.fixture(scope="module")
def bench(data_dir: Path, forked: ForkedCommands) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Bench(Stack(data_dir, forked=forked, lease_s=6, stop_grace_s=30))
        made.stack.start_worker()
        yield made
        made.stack.stop()
        made.engine.dispose()


def assert_numbered_without_gap(recorded: list[dict[str, Any]]) -> None:
    assert [event["seq"] for event in recorded] == list(range(1, len(recorded) + 1))


def test_a_run_survives_a_stop_a_drain_and_kills_of_child_and_worker_bit_for_bit(
    bench: Bench, plan: Plan, tmp_path: Path
) -> None:
    made = plan(max_steps=120, eval_every=40, checkpoint_every=7)
    run_id = bench.submit(made)
    waiting = bench.submit(plan("lora", max_steps=2))

    bench.until_step(run_id, 1, 10)
    bench.stop(waiting, save=True)
    assert bench.run(waiting).status == RunStatus.stopped
    assert bench.run(waiting).attempt == 0
    bench.stop(run_id, save=True)
    stopped = bench.until_status(run_id, "stopped")
    assert stopped.reason == "stopped_saved"
    step = int(re.findall(r"Stopped after step (\d+)", stopped.message or "")[0])
    assert (bench.folder(stopped) / "checkpoints" / f"step-{step}").is_dir()

    bench.resume(run_id)
    assert bench.until_step(run_id, 2, step + 5).attempt_start_step == step
    bench.child(run_id).kill()
    bench.until_step(run_id, 3, 40)
    assert bench.run(run_id).lost_workers == 1

    drained = bench.stack.processes.pop("test-worker")
    drained.terminate()
    assert drained.wait(60) == 0
    after_drain = bench.run(run_id)
    assert (after_drain.status, after_drain.reason) == (RunStatus.interrupted, "worker_drained")
    assert after_drain.lost_workers == 1
    assert (bench.folder(after_drain) / "checkpoints" / f"step-{after_drain.step}").is_dir()
    bench.stack.start_worker()

    bench.until_step(run_id, 4, 80)
    orphan = bench.child(run_id)
    bench.stack.kill("test-worker")
    bench.stack.start_worker()
    done = bench.until_status(run_id, "done")
    assert done.attempt == 5
    assert done.lost_workers == 2
    wait_for("the orphan to leave", lambda: not orphan.is_running(), deadline_s=20)

    whole = Life(bench.stack.settings.data_dir, made.config, tmp_path)
    name = "adapter/adapter_model.safetensors"
    assert (bench.folder(done) / name).read_bytes() == (whole.folder / name).read_bytes()
    recorded = bench.events(run_id)
    assert_numbered_without_gap(recorded)
    for metric in ("train_loss", "grad_norm", "learning_rate", "dem", "eval_loss", "eval_accuracy"):
        with reading(bench.engine) as session:
            points = read_curves(session, run_id, [metric])[metric].points
        expected = [(step, value) for (name, step), value in whole.metrics().items() if name == metric]
        assert list(zip(points.steps.tolist(), points.values.tolist(), strict=True)) == expected, metric
    assert all(event["live"] == event["budget"] for event in recorded if event["kind"] == "ranks" and event["pruning"])
    statuses = [event["status"] for event in recorded if event["kind"] == "status"]
    assert statuses == [
        "queued",
        "starting",
        "running",
        "stopping",
        "stopped",
        "queued",
        "starting",
        "running",
        "interrupted",
        "starting",
        "running",
        "interrupted",
        "starting",
        "running",
        "interrupted",
        "starting",
        "running",
        "done",
    ]


def test_full_fine_tuning_finishes_and_stop_now_leaves_no_checkpoint(bench: Bench, plan: Plan) -> None:
    first = bench.submit(plan("full", max_steps=4))
    second = bench.submit(plan("lora", max_steps=5000, checkpoint_every=5000, eval_every=5000))
    done = bench.until_status(first, "done")
    assert (done.artifact, done.live, done.n_modules) == ("model", None, 0)
    assert (bench.folder(done) / "model" / "model.safetensors").is_file()
    bench.until_step(second, 1, 3)
    bench.stop(second, save=False)
    stopped = bench.until_status(second, "stopped")
    assert stopped.reason == "stopped_unsaved"
    assert not list(bench.folder(stopped).glob("checkpoints/step-*"))
    assert_numbered_without_gap(bench.events(second))


def test_data_that_changed_since_the_run_was_made_fails_it_with_the_cause(bench: Bench, plan: Plan) -> None:
    run_id = submit_with_other_data(bench, plan)
    failed = bench.until_status(run_id, "failed")
    assert failed.reason == "bad_data"
    assert failed.message == "config.task.text_columns: is 'text', which local:changed.csv does not have"
    assert failed.next_step == "Use one of its columns: sentence, label."
    assert failed.lost_workers == 0


def submit_with_other_data(bench: Bench, plan: Plan, *, nudge: bool = True) -> str:
    """A run whose data set lacks its columns: it fails within a second or two."""
    made = plan("lora")
    table = bench.stack.settings.datasets_dir / "changed.csv"
    table.write_text("sentence,label\ngood,fresh\n", encoding="utf-8")
    data = made.config.data.model_copy(update={"id": "local:changed"})
    return bench.submit(RunPlan(**vars(made) | {"config": made.config.model_copy(update={"data": data})}), nudge=nudge)


def test_a_worker_outlives_its_broker_and_can_be_stopped_without_it(
    data_dir: Path, plan: Plan, tmp_path: Path, own_broker: Broker, forked: ForkedCommands
) -> None:
    for name in ("models", "datasets"):
        (tmp_path / name).symlink_to(data_dir / name)
    bench = Bench(Stack(tmp_path, forked=forked, broker_url=own_broker.url, lease_s=3), own_valkey=False)
    try:
        own_broker.stop()
        left_by_a_killed_worker = tmp_path / "worker-test-worker.jobs" / "tmp1"
        left_by_a_killed_worker.mkdir(parents=True)
        bench.stack.start_worker()
        first = submit_with_other_data(bench, plan)
        wait_for("the worker to see no broker", lambda: "roker does not respond" in bench.stack.log("test-worker"))
        assert not left_by_a_killed_worker.exists()
        assert bench.run(first).status == RunStatus.queued
        own_broker.start()
        bench.until_status(first, "failed")
        own_broker.stop()
        second = submit_with_other_data(bench, plan)
        own_broker.start()
        bench.until_status(second, "failed")
        own_broker.stop()
        worker = bench.stack.processes.pop("test-worker")
        worker.terminate()
        assert worker.wait(30) == 0
    finally:
        bench.stack.stop()
        bench.engine.dispose()


def test_a_second_worker_of_the_same_name_is_refused_in_one_sentence(bench: Bench, forked: ForkedCommands) -> None:
    command = ["rankscope_worker", "--name", "test-worker"]
    (refused,) = forked.run([command], bench.stack.settings.as_environment())
    assert refused.code == 1
    assert refused.errors == (
        "A worker named 'test-worker' is already running; stop it, or give this one another name with --name.\n"
    )


def test_a_run_on_postgresql_is_claimed_without_a_nudge_unless_rankscope_was_upgraded(
    data_dir: Path, plan: Plan, new_postgres: Callable[[str], str], tmp_path: Path
) -> None:
    installed = Path(dynamic_rank.__file__).parent
    shutil.copytree(installed, tmp_path / "new" / "dynamic_rank", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("models", "datasets"):
        (tmp_path / name).symlink_to(data_dir / name)
    bench = Bench(Stack(tmp_path, database_url=new_postgres("template1"), lease_s=3))
    try:
        run_id = submit_with_other_data(bench, plan, nudge=False)
        bench.stack.environment["PYTHONPATH"] = os.pathsep.join(
            [str(tmp_path / "new"), os.environ.get("PYTHONPATH", "")]
        )
        bench.stack.start_worker(slots=2)
        assert bench.until_status(run_id, "failed").reason == "bad_data"
        assert_numbered_without_gap(bench.events(run_id))

        (tmp_path / "new" / "dynamic_rank" / "upgraded.py").touch()
        waiting = submit_with_other_data(bench, plan)
        wait_for("the worker to report it", lambda: worker_state(bench) == "outdated", deadline_s=60)
        assert (bench.run(waiting).status, bench.run(waiting).attempt) == (RunStatus.queued, 0)
        assert bench.stack.log("test-worker").count("This worker runs code of an earlier installation.") == 1
        bench.stack.kill("test-worker", signal.SIGINT)
        with reading(bench.engine) as session:
            ((worker, held),) = workers.list_workers(session)
        assert (worker.slots, worker.stopped_at is not None, held) == (2, True, [])
    finally:
        bench.stack.stop()
        bench.engine.dispose()


def worker_state(bench: Bench) -> workers.WorkerState:
    with reading(bench.engine) as session:
        ((worker, _),) = workers.list_workers(session)
        return workers.state(worker, now=time.time())
