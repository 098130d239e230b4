"""An attempt trains on the model and data of its launch or not at all. Other files in the folders don't matter."""

import gzip
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.errors import InputsChanged
from rankscope.contract.reasons import UNCHANGED_WOULD_FAIL
from rankscope.contract.stored import Environment
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import events
from rankscope_worker.child.inputs import changed_libraries, find_inputs
from tests.forked_commands import ForkedCommands
from tests.stack import Stack
from tests.worker.host.test_worker import Bench

Plan = Callable[..., RunPlan]


@pytest.fixture(scope="module")
def bench(data_dir: Path, forked: ForkedCommands) -> Iterator[Bench]:
    fill_with_junk(data_dir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Bench(Stack(data_dir, forked=forked, lease_s=6, stop_grace_s=30))
        made.stack.start_worker()
        yield made
        made.stack.stop()
        made.engine.dispose()


def fill_with_junk(data_dir: Path) -> None:
    """Files that are not data sets and folders that are not models, sorted before the good ones."""
    datasets, models = data_dir / "datasets", data_dir / "models"
    (datasets / "a-latin.csv").write_bytes("text,label\ncaf\xe9,a\n".encode("latin-1"))
    (datasets / "a-wide.csv").write_bytes("text,label\nx,a\n".encode("utf-16"))
    (datasets / "a-ragged.csv").write_text("text,label\none\n")
    (datasets / "a-zip.csv").write_bytes(gzip.compress(b"text,label\n"))
    (datasets / "a-lists.jsonl").write_text("[1, 2]\n3\n")
    (datasets / "a-long.csv").write_text("text,label\n" + "x" * (17 << 20) + ",a\n")
    (datasets / "._reviews.csv").write_bytes(b"\x00\x05\x16\x07")
    os.mkfifo(datasets / "a-pipe.csv")
    for name, config, weights in (
        ("a-pointer", "{}", b"version https://git-lfs.github.com/spec/v1\n"),
        ("a-empty", "{}", b""),
        ("a-list", "[]", b"\x02" + bytes(7) + b"{}"),
        ("a-broken", "{", b"x"),
        ("a-huge", '{"model_type": "bert"}', (1 << 62).to_bytes(8, "little") + b"{}"),
    ):
        (models / name).mkdir()
        (models / name / "config.json").write_text(config)
        (models / name / "model.safetensors").write_bytes(weights)


def submit(bench: Bench, plan: RunPlan) -> str:
    """As the API stores a run: with the fingerprints of its model and data."""
    with writing(bench.engine) as session:
        run = runs.create_run(
            session, plan.config, now=time.time(), total_steps=plan.total_steps, environment=plan.environment
        )
    bench.nudger.nudge()
    return run.id


@pytest.mark.timeout(600)  # four children that import torch
def test_a_run_is_resumed_only_once_its_inputs_are_restored(bench: Bench, plan: Plan) -> None:
    data_dir = bench.stack.settings.data_dir
    weights, table = data_dir / "models/tiny-bert/model.safetensors", data_dir / "datasets/reviews.csv"
    model, data = weights.read_bytes(), table.read_bytes()
    made = plan("lora", max_steps=400, checkpoint_every=400, eval_every=400)
    # One number of the last tensor changes: shapes and size stay the same.
    weights.write_bytes(model[:-1] + bytes([model[-1] ^ 1]))
    run_id = submit(bench, made)
    failed = bench.until_status(run_id, "failed")
    assert failed.reason == "model_changed"
    before, now = (
        made.environment["model_fingerprint"],
        Catalog(bench.stack.settings).model("local:tiny-bert").fingerprint,
    )
    assert (failed.message or "").startswith("The model local:tiny-bert has changed since the run was launched")
    assert before[:12] in (failed.message or "")
    assert now[:12] in (failed.message or "")
    assert "Restore the model's files and resume the run" in (failed.next_step or "")
    assert before in (failed.cause or "")
    assert now in (failed.cause or "")
    assert (failed.lost_workers, failed.step) == (0, 0)

    weights.write_bytes(model)
    bench.resume(run_id)
    bench.until_step(run_id, 2, 2)
    bench.stop(run_id, save=True)
    stopped = bench.until_status(run_id, "stopped")
    # All labels are swapped; otherwise the file is unchanged.
    table.write_bytes(data.replace(b",fresh", b",other").replace(b",rotten", b",fresh").replace(b",other", b",rotten"))
    bench.resume(run_id)
    failed = bench.until_status(run_id, "failed")
    assert (failed.reason, failed.step) == ("data_changed", stopped.step)
    assert made.environment["data_fingerprint"][:12] in (failed.message or "")
    assert made.environment["data_fingerprint"] in (failed.cause or "")
    assert "Restore the file and resume the run" in (failed.next_step or "")

    table.write_bytes(data)
    with writing(bench.engine) as session:
        run = runs.get_run(session, run_id)
        here = run.environment["trained_with"]
        # As a worker with another torch would have stored its attempt, the run's first.
        run.environment = run.environment | {"trained_with": here | {"torch": "2.0.0"}}
        session.add(run)
    bench.resume(run_id)
    done = bench.until_status(run_id, "done")
    assert (done.attempt, done.attempt_start_step) == (4, stopped.step)
    assert done.environment["first_trained_with"]["torch"] == "2.0.0"
    assert done.environment["trained_with"]["torch"] == here["torch"]
    sentence = f"This attempt trains with torch {here['torch']} (2.0.0 in the first attempt)."
    with reading(bench.engine) as session:
        warned = [one for one in events.read_after(session, run_id, 0) if one["kind"] == "warning"]
    assert [(one["code"], one["message"], one["attempt"]) for one in warned] == [("libraries_changed", sentence, 4)]
    log = bench.stack.settings.attempt_dir(run_id, 4) / "log.txt"
    assert sentence in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        ({}, None),
        ({"trained_with": {"torch": "2.1"}}, "This attempt trains with torch 2.2 (2.1 in the first attempt)."),
        ({"trained_with": {"torch": "2.2", "device": "CPU"}}, None),
        (
            {"first_trained_with": {"peft": "0.1", "torch": "2.0"}, "trained_with": {"peft": "0.2", "torch": "2.2"}},
            "This attempt trains with torch 2.2 (2.0 in the first attempt), peft 0.2 (0.1 in the first attempt).",
        ),
    ],
)
def test_libraries_are_compared_with_those_of_the_first_attempt(stored: Environment, sentence: str | None) -> None:
    here = {"torch": "2.2", "transformers": "5", "peft": "0.2", "device": "a GPU"}
    assert changed_libraries(stored, here) == sentence


def test_changed_inputs_are_never_retried_automatically() -> None:
    assert {"data_changed", "model_changed"} <= UNCHANGED_WOULD_FAIL


@pytest.fixture
def installation(tiny_data: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_data, tmp_path / "data")
    return tmp_path / "data"


def test_runs_of_earlier_versions_have_less_information_and_continue(installation: Path, plan: Plan) -> None:
    made, catalog = plan("lora"), Catalog(Settings(data_dir=installation))
    assert len(find_inputs(catalog, made.config, {}).rows.train) == made.train_rows
    first: Environment = {
        "labels": made.environment["labels"],
        "train_rows": made.environment["train_rows"],
    }
    assert find_inputs(catalog, made.config, first).rows.labels == made.environment["labels"]
    others: list[Environment] = [{"labels": ["", "fresh", "rotten"]}, {"train_rows": 7}, {"eval_rows": 7}]
    for other in others:
        with pytest.raises(InputsChanged, match="reads it differently") as found:
            find_inputs(catalog, made.config, made.environment | other)
        assert found.value.reason == "data_changed"


def test_a_model_that_changes_while_it_is_loaded_is_seen(installation: Path, plan: Plan) -> None:
    inputs = find_inputs(Catalog(Settings(data_dir=installation)), plan("lora").config, {})
    inputs.check_model()
    weights = installation / "models/tiny-bert/model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputsChanged, match="The model local:tiny-bert has changed"):
        inputs.check_model()
