"""A tiny experiment and a tiny sweep on the complete stack, from a file on the command line to their results."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from rankscope.cli import app
from rankscope.client import Client
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny import make_reviews, make_tiny_bert

ASKED: dict[str, Any] = {
    "name": "Tiny",
    "config": {
        "model": {"id": "local:tiny-bert"},
        "data": {"id": "local:reviews", "eval_fraction": 0.3},
        "training": {"max_steps": 4, "batch_size": 4, "max_length": 12, "eval_every": 4, "checkpoint_every": 4},
    },
    "methods": [{"method": "gradient", "options": {"batches": 1}}],
    "budgets": [2],
    "seeds": [0, 1],
    "tuning": {"trials": 0},
    "controls": [],
}

SWEEP: dict[str, Any] = {
    "config": {**ASKED["config"], "method": {"name": "lora", "rank": 2}},
    "parameters": {"training.learning_rate": {"low": 0.001, "high": 0.1, "scale": "log"}},
    "search": {"kind": "tpe", "points": 2, "startup": 1},
}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stack = Stack(tmp_path / "data", lease_s=6)
    make_tiny_bert(stack.settings.models_dir / "tiny-bert")
    make_reviews(stack.settings.datasets_dir / "reviews.csv")
    try:
        stack.start_valkey()
        stack.start_api()
        stack.start_worker(slots=2)
        yield stack
    finally:
        stack.stop()


def test_an_experiment_from_a_file_is_trained_to_its_answer(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_URL", stack.url)
    monkeypatch.setenv("RANKSCOPE_TOKEN", TOKEN)
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(ASKED), encoding="utf-8")
    planned = CliRunner().invoke(app, ["experiment", str(file), "--plan"])
    assert planned.exit_code == 0, planned.output
    assert "4 runs" in planned.output
    launched = CliRunner().invoke(app, ["experiment", str(file), "--json"])
    assert launched.exit_code == 0, launched.output
    experiment_id = json.loads(launched.output)["id"]
    file.write_text(yaml.safe_dump(SWEEP), encoding="utf-8")
    sweep_id = json.loads(CliRunner().invoke(app, ["sweep", str(file), "--json"]).output)["id"]
    with stack.client() as client:

        def ended() -> dict[str, Any] | None:
            (item,) = client.experiments()["items"]
            assert item["status"] != "failed", item["message"]
            return item if item["status"] == "done" else None

        done = wait_for("the experiment to be done", ended, deadline_s=240)
        assert done["trials"] == {"planned": 0, "running": 0, "done": 4, "failed": 0}
        (comparison,) = client.answer(experiment_id)["comparisons"]
        ends = {
            run_id: client.run(run_id)["headline"]["last"]
            for pair in comparison["pairs"]
            for run_id in (pair["run_id"], pair["reference_run_id"])
        }
        _check_sweep(client, sweep_id)
    assert (comparison["variant"], comparison["reference"]) == ("Gradient (batches 1)", "LoRA")
    assert [pair["seed"] for pair in comparison["pairs"]] == [0, 1]
    differences = [ends[pair["run_id"]] - ends[pair["reference_run_id"]] for pair in comparison["pairs"]]
    assert comparison["difference"]["mean"] == pytest.approx(sum(differences) / 2, abs=1e-9)
    # Over the stored numbers of the evaluation rows; after four steps, a side may always predict one class.
    has_collapsed = any(all(pair[side] for pair in comparison["pairs"]) for side in ("collapse", "reference_collapse"))
    assert (comparison["difference"]["bootstrap"] is None) is has_collapsed
    assert ("collapsed" in comparison["text"]) is any(
        pair["collapse"] or pair["reference_collapse"] for pair in comparison["pairs"]
    )


def _check_sweep(client: Client, sweep_id: str) -> None:
    """Two points, the second one chosen by TPE, ranked by what their runs have measured."""
    done = wait_for("the sweep to be done", lambda: client.sweep(sweep_id)["status"] == "done", deadline_s=120)
    assert done
    board = client.leaderboard(sweep_id)["items"]
    ends = [client.run(one["trials"][0]["run_id"])["headline"]["last"] for one in board]
    assert [one["mean"] for one in board] == sorted(ends, reverse=True)
    assert len({one["values"]["training.learning_rate"] for one in board}) == 2
