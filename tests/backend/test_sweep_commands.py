"""`rankscope sweep` and the commands that list, steer, extend and export a sweep."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from rankscope.cli import app
from tests.backend.api.routes.trials.test_sweeps import finish_all
from tests.backend.conftest import CONFIG, Server
from tests.stack import TOKEN

ASKED: dict[str, Any] = {
    "config": CONFIG,
    "parameters": {"training.learning_rate": {"values": [0.001, 0.01]}},
    "search": {"kind": "grid"},
}


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def file(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKSCOPE_URL", server.url)
    monkeypatch.setenv("RANKSCOPE_TOKEN", TOKEN)
    monkeypatch.setenv("RANKSCOPE_DATA_DIR", str(tmp_path))
    path = tmp_path / "rates.yaml"
    path.write_text(yaml.safe_dump(ASKED), encoding="utf-8")
    return path


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(part) for part in arguments])


def test_a_file_is_planned_launched_ranked_extended_and_stopped(file: Path, server: Server) -> None:
    planned = command("sweep", file, "--plan").output.splitlines()
    assert planned == ["training.learning_rate 0.001", "training.learning_rate 0.01", "2 points, 2 runs"]
    made = json.loads(command("sweep", file, "--json").output)
    assert (made["name"], made["trials"]["running"]) == ("rates", 2)
    assert command("sweeps", "change", made["id"], "pause").output.split() == [made["id"], "paused"]
    assert command("sweeps", "change", made["id"], "resume").output.split() == [made["id"], "running"]
    finish_all(server, [0.25, 0.75])
    assert command("sweeps", "extend", made["id"], "--seed", "4").output.split() == [made["id"], "running", "4", "runs"]
    board = [line.split() for line in command("sweeps", "leaderboard", made["id"]).output.splitlines()]
    assert board == [
        ["1.", "0.75", "n", "1", "training.learning_rate", "0.01"],
        ["2.", "0.25", "n", "1", "training.learning_rate", "0.001"],
    ]
    listed = command("sweeps", "list").output.split()
    assert listed == [made["id"], "running", "2", "of", "4", "runs", "best", "0.75", "rates"]
    target = file.parent / "table.md"
    command("sweeps", "table", made["id"], "--format", "markdown", "--rows", "training.learning_rate", "-o", target)
    assert target.read_text(encoding="utf-8").splitlines()[-1] == "| 0.01 | 75.00 |"
    assert command("sweeps", "change", made["id"], "stop").output.split() == [made["id"], "stopped"]


def test_a_file_that_cannot_work_is_one_sentence_for_each_field(file: Path) -> None:
    wrong = {"parameters": {"training.learning_rat": {"values": [1]}, "method.score": {"low": 1, "high": 2}}}
    file.write_text(yaml.safe_dump(ASKED | wrong), encoding="utf-8")
    for options in ([], ["--plan"]):
        refused = command("sweep", file, *options)
        assert refused.exit_code == 1
        assert "Use training.learning_rate" in refused.stderr
        assert "parameters.method.score.low: is 1, but method.score is not a number" in refused.stderr
