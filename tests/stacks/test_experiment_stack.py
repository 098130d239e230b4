"""A tiny experiment and a tiny sweep run to their results on the complete stack, from a study part and from files."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from rankscope.cli import app
from rankscope.client import Client
from scripts.study import launching, report
from scripts.study.parts import Part
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


def test_an_experiment_is_paused_and_trained_to_its_answer(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_URL", stack.url)
    monkeypatch.setenv("RANKSCOPE_TOKEN", TOKEN)
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(ASKED), encoding="utf-8")
    planned = CliRunner().invoke(app, ["experiment", str(file), "--plan"])
    assert planned.exit_code == 0, planned.output
    assert "4 runs" in planned.output
    part = Part("tiny", "A tiny part", {name: value for name, value in ASKED.items() if name != "name"})
    said: list[str] = []
    with stack.client() as client:
        launching.run(client, [part], tmp_path / "answers", until=0, say=said.append)
        (item,) = client.experiments()["items"]
        assert item["status"] == "paused"
        experiment_id = item["id"]
        assert report.overview(launching.states(client, [part])).splitlines()[1:2] == ["tiny  paused  0 of 4  unknown"]
    file.write_text(yaml.safe_dump(SWEEP), encoding="utf-8")
    sweep_id = json.loads(CliRunner().invoke(app, ["sweep", str(file), "--json"]).output)["id"]
    with stack.client() as client:
        launching.run(client, [part], tmp_path / "answers", until=time.time() + 240, say=said.append)
        done = client.experiment(experiment_id)
        assert (done["status"], len(client.experiments()["items"])) == ("done", 1), said
        assert done["trials"] == {"planned": 0, "running": 0, "done": 4, "failed": 0}
        (comparison,) = client.answer(experiment_id)["comparisons"]
        ends = {
            run_id: client.run(run_id)["headline"]["last"]
            for pair in comparison["pairs"]
            for run_id in (pair["run_id"], pair["reference_run_id"])
        }
        assert report.overview(launching.states(client, [part])).endswith("No run is missing.")
        _check_sweep(client, sweep_id)
    page = tmp_path / "page.md"
    page.write_text(f"Before\n{report.BEGIN}old\n{report.END}after\n", encoding="utf-8")
    report.write(page, tmp_path / "answers")
    of_lora = sum(ends[pair["reference_run_id"]] for pair in comparison["pairs"]) / 2
    assert f"| LoRA | 2 of 2 | {of_lora:.4f} ± " in (written := page.read_text(encoding="utf-8"))
    assert comparison["text"] in written
    assert (written.startswith("Before\n"), "old" in written, written.endswith("after\n")) == (True, False, True)
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
    """Two points, the second one chosen by TPE, ranked by their runs' measurements."""
    done = wait_for("the sweep to be done", lambda: client.sweep(sweep_id)["status"] == "done", deadline_s=120)
    assert done
    board = client.leaderboard(sweep_id)["items"]
    ends = [client.run(one["trials"][0]["run_id"])["headline"]["last"] for one in board]
    assert [one["mean"] for one in board] == sorted(ends, reverse=True)
    assert len({one["values"]["training.learning_rate"] for one in board}) == 2
