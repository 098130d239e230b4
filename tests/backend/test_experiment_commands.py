"""`rankscope experiment` and the commands that pause, resume, stop and extend an experiment."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlmodel import delete
from typer.testing import CliRunner, Result

from rankscope.cli import app
from rankscope.contract.experiments.tables import Experiment
from rankscope.store.database.engine import writing
from tests.backend.conftest import CONFIG, Server
from tests.stack import TOKEN

ASKED: dict[str, Any] = {
    "config": CONFIG,
    "methods": [{"method": "eva"}],
    "budgets": [2],
    "seeds": [0],
    "tuning": {"trials": 0},
    "controls": ["found_ranks"],
}


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def file(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RANKSCOPE_URL", server.url)
    monkeypatch.setenv("RANKSCOPE_TOKEN", TOKEN)
    monkeypatch.setenv("RANKSCOPE_DATA_DIR", str(tmp_path))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(ASKED), encoding="utf-8")
    yield path
    with writing(server.app.state.resources.engine) as session:
        session.execute(delete(Experiment))


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(part) for part in arguments])


def test_a_file_is_planned_launched_paused_resumed_extended_and_stopped(file: Path) -> None:
    planned = command("experiment", file, "--plan").output.splitlines()
    assert planned[-1] == "3 runs"
    assert [line.split("  ")[-1] for line in planned[:-1]] == ["LoRA", "EVA", "LoRA, ranks of EVA"]
    made = json.loads(command("experiment", file, "--json").output)
    assert (made["name"], made["trials"]["running"]) == ("mine", 2)
    assert command("experiments", "change", made["id"], "pause").output.split() == [made["id"], "paused"]
    assert command("experiments", "change", made["id"], "resume").output.split() == [made["id"], "testing"]
    extended = command("experiments", "extend", made["id"], "--seed", "4", "--seed", "5")
    assert extended.output.split() == [made["id"], "testing", "3", "seeds"]
    assert command("experiments", "change", made["id"], "stop").output.split() == [made["id"], "stopped"]


def test_a_file_that_cannot_work_is_one_sentence_for_each_field(file: Path) -> None:
    file.write_text(yaml.safe_dump(ASKED | {"budgets": [0], "seeds": []}), encoding="utf-8")
    for options in ([], ["--plan"]):
        refused = command("experiment", file, *options)
        assert refused.exit_code == 1
        assert "budgets.0" in refused.stderr
        assert "seeds" in refused.stderr
