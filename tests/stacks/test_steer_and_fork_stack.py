"""Steering, a kill, a retry and forks on the complete stack: user actions are repeated bit for bit."""

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from rankscope.cli import app
from rankscope.client import ApiError, Client
from rankscope.contract.metrics import is_machine_metric
from tests.faults.orders import order
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny_stack import tiny_stack

STEPS = 120
PACE_S = 0.07
"""Each step of the run that is steered takes longer by this, so that no machine finishes it before it is steered."""
CONFIG: dict[str, Any] = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 5, "prune_end_ratio": 0.9},
    "training": {
        "max_steps": STEPS,
        "batch_size": 8,
        "max_length": 16,
        "learning_rate": 0.01,
        "eval_every": 60,
        "checkpoint_every": 10,
        "keep_checkpoints": 100,
    },
}
ADAPTER = "adapter/adapter_model.safetensors"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: ForkedCommands) -> Iterator[Stack]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with tiny_stack(tmp_path / "data", forked=forked, pace_s=0.0, lease_s=6) as stack:
        yield stack


def until(client: Client, run_id: str, what: str, **wanted: Any) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        run = client.run(run_id)
        assert run["status"] != "failed" or wanted.get("status") == "failed", run["message"]
        return run if all(run[name] == value for name, value in wanted.items()) else None

    found = wait_for(what, look, deadline_s=240)
    assert found is not None
    return found


def kill_child(stack: Stack, run_id: str) -> None:
    for process in psutil.Process(stack.processes["test-worker"].pid).children():
        if run_id in process.cmdline():
            process.kill()
            return
    raise AssertionError(f"run {run_id} has no child")


def adapter(stack: Stack, run: dict[str, Any]) -> bytes:
    return (stack.settings.attempt_dir(run["id"], run["attempt"]) / ADAPTER).read_bytes()


def bundled(client: Client, run_id: str, folder: Path) -> dict[str, Any]:
    """Configuration, ranks, prunings and evaluated rows of a run as it is exported, and its metrics without times and load."""
    with zipfile.ZipFile(client.bundle(run_id, folder / f"{run_id}.zip")) as archive:
        names = ("config.yaml", "ranks.csv", "ledger.csv", "results.jsonl")
        found: dict[str, Any] = {name: archive.read(f"{run_id}/{name}") for name in names}
        lines = csv.DictReader(archive.read(f"{run_id}/metrics.csv").decode().splitlines())
    found["metrics.csv"] = {
        (line["metric"], line["step"], line["value"]) for line in lines if not is_machine_metric(line["metric"])
    }
    return found


@pytest.mark.timeout(900)  # four short trainings, each with an import of torch
def test_steering_survives_a_kill_and_forks_continue_from_it(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack.client() as client:
        run_id = client.launch(CONFIG, name="steered")["id"]
        module, function = "rankscope_worker.child.callbacks", "Reporter.on_step_end"
        order(tmp_path / "faults", run_id, 1, module=module, function=function, do="slow", slow_s=PACE_S)
        wait_for("training to prune", lambda: client.run(run_id)["step"] >= 40, deadline_s=240)
        client.steer(run_id, "hold")
        until(client, run_id, "pruning to be held", is_held=True, steer_requests=[])
        held_at = client.run(run_id)["config"]["steering"][0]["step"]
        client.steer(run_id, "target", target_rank=1)
        client.steer(run_id, "release")
        released = until(client, run_id, "the release", is_held=False, steer_requests=[])
        last = released["config"]["steering"][-1]["step"]
        assert held_at < last
        kill_child(stack, run_id)
        done = until(client, run_id, "the run to be done", status="done")
        assert done["attempt"] == 2
        assert done["live"] == done["n_modules"]
        assert [entry["action"] for entry in done["config"]["steering"]] == ["hold", "target", "release"]

        # Launched with its stored configuration, a new run does the same without user actions and without a kill.
        original = bundled(client, run_id, tmp_path)
        file = tmp_path / "config.yaml"
        file.write_bytes(original.pop("config.yaml"))
        monkeypatch.setenv("RANKSCOPE_URL", stack.url)
        monkeypatch.setenv("RANKSCOPE_TOKEN", TOKEN)
        launched = CliRunner().invoke(app, ["launch", str(file), "--name", "copy", "--json"])
        assert launched.exit_code == 0, launched.output
        copied = until(client, json.loads(launched.output)["id"], "the copy to be done", status="done")
        assert adapter(stack, copied) == adapter(stack, done)
        repeated = bundled(client, copied["id"], tmp_path)
        assert repeated.pop("config.yaml") == file.read_bytes()
        assert repeated == original
        assert {"train_loss", "eval_accuracy"} < {metric for metric, _, _ in repeated["metrics.csv"]}

        # A fork without changes is the same run from there on; one with another budget is not.
        # Before pruning was held: a fork of a held checkpoint is held as well.
        step = max(one["step"] for one in client.checkpoints(run_id)["items"] if one["step"] < held_at)
        with pytest.raises(ApiError) as refused:
            client.fork(run_id, step=step, changes={"method": {"target_rank": 9}})
        assert "below target_rank 9" in str(refused.value)
        other = client.fork(run_id, step=step, changes={"method": {"target_rank": 2}})
        assert (other["parent_id"], other["parent_step"]) == (run_id, step)
        forked = until(client, other["id"], "the fork to be done", status="done")
        assert forked["live"] == 2 * forked["n_modules"]
        final = max(one["step"] for one in client.checkpoints(run_id)["items"] if one["step"] < STEPS)
        same = client.fork(run_id, step=final)
        again = until(client, same["id"], "the fork of the last part to be done", status="done")
        assert adapter(stack, again) == adapter(stack, done)
        assert [one["id"] for one in client.tree(again["id"])["items"]] == [run_id, other["id"], same["id"]]
