"""Runs of an installation written by an earlier version (schema 0003) continue as they began.

`tests/data/installation-0003.tar.xz` is its data folder: three runs of 20 steps that were stopped at step 7, a waiting
one, and `expected.json` with the events that the old version recorded for each without a stop. Its `init: paper` drew
smaller A and B, it pruned at multiples of the interval (window 3 to 10: 4, 6, 8, 10) and rounded the learning rate's
warm-up up.
"""

import ctypes
import json
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.methods import DynamicRankMethod
from rankscope.contract.tables import Run
from rankscope.launch.fork import find_origin, plan_fork
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.schema import migrate
from rankscope.store.history import events
from rankscope_worker.host.forks import Forks
from rankscope_worker.host.supervisor import child_environment

ARCHIVE = Path(__file__).parents[2] / "data" / "installation-0003.tar.xz"


class Old:
    """The unpacked installation, brought up to date."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        self.forks = forks
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(folder, filter="data")
        self.settings = Settings(_env_file=None, data_dir=folder, broker_url="redis://127.0.0.1:1/0")
        self.engine: Engine = create_engine(self.settings.resolved_database_url)
        migrate(self.engine)
        self.expected: dict[str, Any] = json.loads((folder / "expected.json").read_text())
        self.ids: dict[str, str] = self.expected["ids"]

    def run(self, name: str) -> Run:
        with reading(self.engine) as session:
            run = runs.get_run(session, self.ids[name])
            session.expunge(run)
            return run

    def train(self, name: str) -> list[dict[str, Any]]:
        """Lets a worker's child run the next attempt. Returns all visible events of the run."""
        run_id = self.ids[name]
        with writing(self.engine) as session:
            if name != "queued":
                runs.delete_run(session, self.ids["queued"], now=9)
                runs.request_resume(session, run_id, now=time.time())
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=600, now=time.time())
        assert claim is not None
        assert claim.run_id == run_id
        folder = self.settings.attempt_dir(run_id, claim.attempt)
        folder.mkdir(parents=True)
        environment = child_environment(self.settings, None, 1)
        del environment["PYTEST_CURRENT_TEST"]  # a fork has the environment of the first one
        log = folder / "log.txt"
        with log.open("wb") as output:
            child = self.forks.start(
                "train",
                [run_id, str(claim.attempt)],
                folder=folder,
                environment=environment,
                output=output.fileno(),
                may_fork=True,
                is_wanted=lambda: True,
            )
        assert child is not None
        assert child.stdin is not None
        with child.stdin:
            child.wait()
        with reading(self.engine) as session:
            recorded = events.read_after(session, run_id, 0, 100_000)
        assert any(event["kind"] == "artifact" for event in recorded), log.read_text(encoding="utf-8")
        return recorded


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.stop()
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # this process no longer adopts orphans


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder for every test, so that one preloaded process has the right environment for all trainings."""
    return tmp_path_factory.mktemp("old") / "data"


@pytest.fixture
def old(folder: Path, forks: Forks) -> Iterator[Old]:
    old = Old(folder, forks)
    yield old
    old.engine.dispose()
    shutil.rmtree(folder)


def compare(recorded: list[dict[str, Any]], expected: dict[str, Any], method: str) -> None:
    def of(name: str) -> dict[str, float]:
        return {
            str(event["step"]): event["values"][name]
            for event in recorded
            if event["kind"] == "metrics" and name in event["values"]
        }

    # Other processors may add in another order; on the one that wrote the archive, these are bit-identical.
    assert of("train_loss") == pytest.approx(expected["losses"], rel=1e-4)
    assert of("learning_rate") == pytest.approx(expected["rates"])
    prunings = [[event["step"], event["budget"]] for event in recorded if event["kind"] == "prune"]
    assert prunings == expected["prunings"]
    assert [step for step, _ in prunings] == [4, 6, 8, 10], method
    masks = {str(event["step"]): event["mask"] for event in recorded if event["kind"] == "ranks"}
    assert masks == expected["masks"]


@pytest.mark.parametrize("name", ["paper", "zero_b", "adalora"])
def test_a_stopped_run_continues_as_it_began(old: Old, name: str) -> None:
    recorded = old.train(name)
    assert [event["step"] for event in recorded if event["kind"] == "status" and event["status"] == "running"] == [0, 7]
    compare(recorded, old.expected[name], name)
    assert not any("tokens_seen" in event["values"] for event in recorded if event["kind"] == "metrics")


def test_a_waiting_run_is_the_run_that_was_launched(old: Old) -> None:
    compare(old.train("queued"), old.expected["paper"], "queued")


def test_stored_configurations_say_what_the_runs_were_launched_with(old: Old) -> None:
    methods = {name: RunConfig.model_validate(old.run(name).config).method for name in old.ids}
    found = {
        name: (method.init, method.pruning_phase)
        for name, method in methods.items()
        if isinstance(method, DynamicRankMethod)
    }
    assert found == {
        "paper": ("small_random", "absolute"),
        "zero_b": ("zero_b", "absolute"),
        "queued": ("small_random", "absolute"),
    }


def test_a_fork_of_an_old_run_keeps_its_start_and_its_phase_unless_the_phase_is_changed(old: Old) -> None:
    parent = old.run("paper")
    catalog = Catalog(old.settings)
    origin = find_origin(old.settings, parent, 7, None)
    same = plan_fork(parent, origin, {}, catalog)
    assert same.config.method == RunConfig.model_validate(parent.config).method
    assert same.curve.prunings == [4, 6, 8, 10]
    changed = plan_fork(parent, origin, {"method": {"pruning_phase": "window"}}, catalog)
    assert changed.curve.prunings == [3, 5, 7, 9, 10]
