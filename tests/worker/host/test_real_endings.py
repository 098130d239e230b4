"""Real training children that end in every possible way, and the reported endings."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen

import psutil
import pytest
from sqlmodel import col, update

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.settings import Settings
from rankscope.store.database.engine import reading, writing
from rankscope.store.runs import get_run
from rankscope_worker.host.supervisor import Supervisor, child_environment
from tests.stack import wait_for
from tests.tiny import make_reviews
from tests.worker.host.test_supervisor import Case

Plan = Callable[..., RunPlan]

TRAIN = "import os, sys; from rankscope_worker.child.train import main; code = main(sys.argv[1:]); os._exit(code)"
LITTLE_MEMORY = f"""
import psutil, resource
from rankscope_worker.child import training
known = training.training_arguments
def limited(*arguments):
    most = psutil.Process().memory_info().vms + 60_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    return known(*arguments)
training.training_arguments = limited
{TRAIN}"""
A_BUG = f"""
from rankscope_worker.child import training
def broken(*arguments): raise IndexError("list index out of range (CUDA out of memory? no)")
training.training_arguments = broken
{TRAIN}"""


class Real(Supervisor):
    """Supervises a training child that first runs a test's lines."""

    code = TRAIN

    def _start(self, output: int, is_wanted: Callable[[], bool]) -> "Popen[bytes]":
        self.child = Popen(
            [sys.executable, "-c", self.code, self.claim.run_id, str(self.claim.attempt)],
            cwd=self._folder,
            stdin=PIPE,
            stdout=output,
            stderr=STDOUT,
            start_new_session=True,
            env=child_environment(self._settings, None, 1),
        )
        return self.child


@pytest.fixture
def case(data_dir: Path, sqlite_url: str) -> Iterator[Case]:
    made = Case(Settings(data_dir=data_dir, database_url=sqlite_url, max_lost_workers=0))
    yield made
    made.engine.dispose()


def start(case: Case, plan: RunPlan, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(case.engine) as session:
        values = {"config": plan.config.model_dump(mode="json"), "environment": plan.environment}
        session.execute(update(Run).where(col(Run.id) == case.claim.run_id).values(**values))
    monkeypatch.setattr("tests.worker.host.test_supervisor.Small", Real)
    case.start(code)


def ended(case: Case) -> Run:
    for thread in case.threads:
        thread.join(120)
    return case.end()


def test_an_allocation_that_fails_is_out_of_memory(case: Case, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    make_reviews(case.settings.datasets_dir / "many.csv", rows=5000)
    config = plan("full", batch_size=4096).config.model_dump()
    config["data"] = {"id": "local:many"}
    start(case, make_plan(RunConfig.model_validate(config), Catalog(case.settings)), LITTLE_MEMORY, monkeypatch)
    run = ended(case)
    assert (run.status, run.reason) == (RunStatus.failed, "out_of_memory"), run.message
    assert (run.message or "").startswith("The worker's memory ran out")
    assert "Retry with batch_size" in (run.next_step or "")


def test_an_unexpected_error_is_reported_as_one(case: Case, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    start(case, plan("lora"), A_BUG, monkeypatch)
    run = ended(case)
    assert (run.status, run.reason) == (RunStatus.failed, "error")
    assert (run.message or "").startswith("The training failed with an unexpected error: IndexError: list index")
    assert "report it with the end of the log" in (run.next_step or "")


def test_a_child_killed_from_outside_is_reported_as_killed(
    case: Case, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(case, plan("lora", max_steps=100_000, eval_every=100_000, checkpoint_every=100_000), TRAIN, monkeypatch)

    def is_running() -> bool:
        with reading(case.engine) as session:
            return get_run(session, case.claim.run_id).status == RunStatus.running

    wait_for("the training", is_running, deadline_s=120)
    (child,) = [process for process in children() if case.claim.run_id in process.cmdline()]
    child.kill()
    run = ended(case)
    assert (run.status, run.reason) == (RunStatus.failed, "child_killed")
    assert "memory" not in (run.message or "")


def children() -> list[psutil.Process]:
    return psutil.Process().children()
