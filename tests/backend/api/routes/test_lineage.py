"""Retries, forks and edits over the API: what changes, what stays, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from rankscope.contract.config import RunConfig
from rankscope.contract.events import CheckpointEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import Environment
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import writing
from rankscope.store.history import events
from tests.backend.conftest import CONFIG, Server, config_with
from tests.backend.store_setup import append, begin, claim, losses


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


@pytest.fixture
def settings(server: Server) -> Settings:
    return server.settings


def end(engine: Engine, run_id: str, status: RunStatus, reason: str, **fields: str) -> None:
    """The run is claimed, trains, and ends with this status."""
    claimed = claim(engine)
    assert claimed is not None
    assert claimed.run_id == run_id
    begin(engine, claimed)
    append(engine, claimed, losses(1, 2, 3))
    with writing(engine) as session:
        runs.transition(session, runs.get_run(session, run_id), status, now=9, reason=reason, **fields)  # type: ignore[arg-type]


def checkpoint(engine: Engine, settings: Settings, run_id: str, step: int, *, is_settled: bool = False) -> Path:
    """A checkpoint with one file, in the form in which the worker publishes it."""
    folder = settings.checkpoint_dir(run_id, 1, step)
    folder.mkdir(parents=True)
    (folder / "state.bin").write_bytes(bytes(100))
    notes = {"is_settled": is_settled}
    (folder / "manifest.json").write_text(json.dumps({"step": step, "notes": notes, "files": {"state.bin": {}}}))
    with writing(engine) as session:
        events.append_unfenced(session, run_id, [CheckpointEvent(step=step, size_bytes=100)], now=5)
    return folder


def kinds(api: httpx.Client, run_id: str, kind: str) -> list[dict[str, object]]:
    return [e for e in api.get(f"/api/v1/runs/{run_id}/events").json()["items"] if e["kind"] == kind]


def test_out_of_memory_is_retried_with_half_the_batch_in_one_call(
    api: httpx.Client, launch: Callable[..., str], engine: Engine
) -> None:
    run_id = launch(config=config_with(**{"training.batch_size": 12}))
    end(
        engine,
        run_id,
        RunStatus.failed,
        "out_of_gpu_memory",
        message="CUDA out of memory.",
        cause="OutOfMemoryError: x",
    )
    failed = api.get(f"/api/v1/runs/{run_id}").json()
    assert (failed["reason_title"], failed["cause"]) == ("out of GPU memory", "OutOfMemoryError: x")
    assert [(one["outcome"], one["outcome_title"]) for one in failed["attempts"]] == [
        ("out_of_gpu_memory", "out of GPU memory")
    ]
    remedy = failed["remedy"]
    assert (remedy["action"], remedy["label"]) == ("retry", "Retry with batch 6 and accumulation 2")
    before = len(api.get(f"/api/v1/runs/{run_id}/events").json()["items"])
    answer = api.post(f"/api/v1/runs/{run_id}/retry", json={"changes": remedy["changes"]})
    assert answer.status_code == 200, answer.text
    retried = answer.json()
    assert (retried["status"], retried["remedy"], retried["cause"]) == ("queued", None, None)
    training = retried["config"]["training"]
    assert (training["batch_size"], training["gradient_accumulation"]) == (6, 2)
    assert len(api.get(f"/api/v1/runs/{run_id}/events").json()["items"]) == before + 2
    assert kinds(api, run_id, "config")[0]["changes"] == {
        "training.batch_size": [12, 6],
        "training.gradient_accumulation": [1, 2],
    }
    assert getattr(claim(engine), "attempt", None) == 2


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"training": {"learning_rate": 0.5}}, "changes.training.learning_rate", "would be a different training"),
        ({"training": {"batch_size": 4}}, "changes.training.batch_size", "is 4 rows per step; the run has 8"),
        ({"training": {"batch_size": 0}}, "changes.training.batch_size", "must be at least 1"),
        ({"method": {"target_rank": 1}}, "changes.method.target_rank", "would be a different training"),
        ({"nothing": 1}, "changes.nothing", "is not a field"),
    ],
)
def test_a_retry_that_would_change_the_training_is_refused(
    api: httpx.Client, launch: Callable[..., str], engine: Engine, changes: object, field: str, words: str
) -> None:
    run_id = launch()
    end(engine, run_id, RunStatus.failed, "error")
    answer = api.post(f"/api/v1/runs/{run_id}/retry", json={"changes": changes})
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["field"] == field
    assert words in problem["message"]
    assert api.get(f"/api/v1/runs/{run_id}").json()["status"] == "failed"


def test_only_a_run_that_has_ended_without_being_done_is_retried(
    api: httpx.Client, launch: Callable[..., str], engine: Engine
) -> None:
    run_id = launch()
    assert api.post(f"/api/v1/runs/{run_id}/retry").status_code == 409
    end(engine, run_id, RunStatus.done, "done")
    assert api.post(f"/api/v1/runs/{run_id}/retry").status_code == 409


@pytest.mark.parametrize("reason", ["bad_data", "missing_model", "bad_input", "damaged_checkpoint"])
def test_permanent_failures_offer_no_remedy(
    api: httpx.Client, launch: Callable[..., str], engine: Engine, reason: str
) -> None:
    run_id = launch()
    end(engine, run_id, RunStatus.failed, reason)
    assert api.get(f"/api/v1/runs/{run_id}").json()["remedy"] is None


def test_failed_run_without_a_checkpoint_is_restarted_and_neither_resumed_nor_forked(
    api: httpx.Client, launch: Callable[..., str], engine: Engine, settings: Settings
) -> None:
    waiting = api.get(f"/api/v1/runs/{launch()}").json()
    assert waiting["unavailable"] == {"fork": "The run has not started, so there is no checkpoint to fork from."}
    api.delete(f"/api/v1/runs/{waiting['id']}")
    run_id = launch()
    end(engine, run_id, RunStatus.failed, "error")
    failed = api.get(f"/api/v1/runs/{run_id}").json()
    assert failed["unavailable"] == {
        "resume": "The run has no checkpoint to resume from.",
        "fork": "The run has no checkpoint to fork from.",
    }
    assert (failed["remedy"]["action"], failed["remedy"]["label"]) == ("retry", "Start again from step 0")
    refused = api.post(f"/api/v1/runs/{run_id}/resume")
    assert (refused.status_code, refused.json()["detail"]) == (409, failed["unavailable"]["resume"])
    assert "Retry the run" in refused.json()["next_step"]
    again = api.post(f"/api/v1/runs/{run_id}/retry", json={"changes": failed["remedy"]["changes"]})
    assert (again.status_code, again.json()["status"]) == (200, "queued")


@pytest.mark.parametrize("reason", ["data_changed", "model_changed", "bad_data", "missing_model"])
def test_run_that_failed_because_of_its_files_is_resumed_once_they_are_restored(
    api: httpx.Client, launch: Callable[..., str], engine: Engine, reason: str
) -> None:
    run_id = launch()
    end(engine, run_id, RunStatus.failed, reason)
    assert "resume" not in api.get(f"/api/v1/runs/{run_id}").json()["unavailable"]
    assert api.post(f"/api/v1/runs/{run_id}/resume").json()["status"] == "queued"


def test_a_fork_is_a_child_with_its_own_copy_of_the_checkpoint(
    api: httpx.Client, launch: Callable[..., str], engine: Engine, settings: Settings
) -> None:
    parent = launch(name="parent", tags=["x"])
    end(engine, parent, RunStatus.stopped, "stopped_saved")
    folders = {step: checkpoint(engine, settings, parent, step) for step in (20, 30)}
    answer = api.post(
        f"/api/v1/runs/{parent}/fork", json={"step": 20, "changes": {"training": {"learning_rate": 0.002}}}
    )
    assert answer.status_code == 201, answer.text
    child = answer.json()
    assert (child["parent_id"], child["parent_step"], child["status"], child["attempt"]) == (parent, 20, "queued", 0)
    assert (child["name"], child["tags"], child["step"]) == ("parent (from step 20)", ["x"], 20)
    assert child["config"]["training"]["learning_rate"] == 0.002
    assert answer.headers["Location"] == f"/api/v1/runs/{child['id']}"
    assert (settings.checkpoint_dir(child["id"], 0, 20) / "state.bin").read_bytes() == bytes(100)
    kept = api.get(f"/api/v1/runs/{child['id']}/checkpoints").json()["items"]
    assert [(row["attempt"], row["step"]) for row in kept] == [(0, 20)]

    newest = api.post(f"/api/v1/runs/{parent}/fork").json()
    assert newest["parent_step"] == 30
    grandchild = api.post(f"/api/v1/runs/{child['id']}/fork", json={"name": "deep"}).json()
    tree = api.get(f"/api/v1/runs/{child['id']}/tree").json()["items"]
    assert [(one["id"], one["parent_id"]) for one in tree] == [
        (parent, None),
        (child["id"], parent),
        (newest["id"], parent),
        (grandchild["id"], child["id"]),
    ]

    assert api.delete(f"/api/v1/runs/{parent}").status_code == 204
    assert not folders[20].exists()
    assert (settings.checkpoint_dir(child["id"], 0, 20) / "manifest.json").is_file()
    orphans = api.get(f"/api/v1/runs/{child['id']}/tree").json()["items"]
    assert [one["id"] for one in orphans] == [child["id"], grandchild["id"]]


def test_an_invalid_fork_or_one_without_a_checkpoint_leaves_no_files(
    api: httpx.Client, launch: Callable[..., str], engine: Engine, settings: Settings
) -> None:
    parent = launch()
    missing = api.post(f"/api/v1/runs/{parent}/fork")
    assert missing.status_code == 404
    assert "has no checkpoint to fork from" in missing.json()["detail"]
    end(engine, parent, RunStatus.stopped, "stopped_saved")
    folder = checkpoint(engine, settings, parent, 60, is_settled=True)
    refused = api.post(f"/api/v1/runs/{parent}/fork", json={"changes": {"method": {"target_rank": 1}}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "changes.method.target_rank"
    (folder / "state.bin").unlink()
    gone = api.post(f"/api/v1/runs/{parent}/fork")
    assert gone.status_code == 404
    assert "missing or damaged" in gone.json()["detail"]
    assert [path.name for path in settings.runs_dir.iterdir()] == [parent]
    assert api.get("/api/v1/runs").json()["total"] == 1


def test_a_parent_of_an_earlier_version_is_forked_unless_its_rows_are_read_otherwise_now(
    api: httpx.Client, launch: Callable[..., str], engine: Engine, settings: Settings
) -> None:
    parent = launch()
    end(engine, parent, RunStatus.stopped, "stopped")
    checkpoint(engine, settings, parent, 3)

    def stored(environment: Environment) -> None:
        """As an earlier version stored it: with the data set's short id."""
        with writing(engine) as session:
            run = runs.get_run(session, parent)
            data = RunConfig.stored(run.config).data.model_dump(mode="json")
            run.config = run.config | {"data": data | {"id": "local:reviews"}}
            run.environment = run.environment | environment
            session.add(run)

    labels = api.get(f"/api/v1/runs/{parent}").json()["environment"]["labels"]
    stored({"labels": ["", *labels]})
    answer = api.post(f"/api/v1/runs/{parent}/fork", json={"changes": {"training": {"learning_rate": 0.001}}})
    (problem,) = answer.json()["errors"]
    assert (answer.status_code, problem["field"]) == (422, "changes.data.id")
    assert (
        "launched with the classes '', 'fresh', 'rotten', but the data set now has 'fresh', 'rotten'"
        in problem["message"]
    )
    stored({"labels": labels})
    answer = api.post(f"/api/v1/runs/{parent}/fork", json={"changes": {"training": {"learning_rate": 0.001}}})
    assert answer.status_code == 201, answer.text
    assert answer.json()["data_id"] == "local:reviews.csv"


def test_a_diverged_run_offers_a_lower_rate_from_a_checkpoint_or_else_from_the_start(
    api: httpx.Client, launch: Callable[..., str], engine: Engine, settings: Settings
) -> None:
    run_id = launch(config=config_with(**{"training.learning_rate": 0.03}))
    end(engine, run_id, RunStatus.failed, "nan_loss")
    failed = api.get(f"/api/v1/runs/{run_id}").json()
    assert failed["remedy"] == {
        "action": "launch",
        "label": "Start a new run with learning rate 0.01",
        "step": None,
        "changes": {"training": {"learning_rate": 0.01}},
    }
    anew = failed["config"] | {"training": failed["config"]["training"] | failed["remedy"]["changes"]["training"]}
    assert api.post("/api/v1/runs", json={"config": anew}).status_code == 201
    checkpoint(engine, settings, run_id, 20)
    remedy = api.get(f"/api/v1/runs/{run_id}").json()["remedy"]
    assert remedy["label"] == "Fork from step 20 with learning rate 0.01"
    child = api.post(f"/api/v1/runs/{run_id}/fork", json={"step": remedy["step"], "changes": remedy["changes"]}).json()
    assert child["config"]["training"]["learning_rate"] == 0.01


def test_a_queued_run_is_edited_and_one_that_was_started_is_not(
    api: httpx.Client, launch: Callable[..., str], engine: Engine
) -> None:
    run_id = launch()
    other = config_with(**{"training.max_steps": 200}) | {"method": {"name": "lora", "rank": 3}}
    answer = api.put(f"/api/v1/runs/{run_id}/config", json={"config": other})
    assert answer.status_code == 200, answer.text
    edited = answer.json()
    assert (edited["method"], edited["total_steps"], edited["status"]) == ("lora", 200, "queued")
    assert edited["name"].startswith("LoRA 3")
    changes = kinds(api, run_id, "config")[0]["changes"]
    assert isinstance(changes, dict)
    assert changes["training.max_steps"] == [100, 200]
    bad = api.put(f"/api/v1/runs/{run_id}/config", json={"config": CONFIG | {"model": {"id": "local:none"}}})
    assert bad.status_code == 422
    assert api.get(f"/api/v1/runs/{run_id}").json()["method"] == "lora"
    assert claim(engine) is not None
    late = api.put(f"/api/v1/runs/{run_id}/config", json={"config": CONFIG})
    assert late.status_code == 409
    assert "only a run that was never started can be edited" in late.json()["detail"]


@pytest.mark.parametrize(
    ("method", "changes", "words"),
    [
        ({"name": "lora", "rank": 3}, {"lora_dropout": 0.2}, "tensors were made with the parent's"),
        ({"name": "sora", "rank": 3}, {"lora_dropout": 0.2}, "tensors were made with the parent's"),
        ({"name": "adalora", "target_rank": 2, "prune_interval": 10}, {"beta1": 0.5}, "tensors were made with"),
        (
            {"name": "adalora", "target_rank": 2, "prune_interval": 10},
            {"target_rank": 1},
            "the mask is final by step 60",
        ),
        ({"name": "adalora", "target_rank": 2, "prune_interval": 10}, {"lora_dropout": 0.2}, None),
        ({"name": "dynamic_rank", "target_rank": 2, "prune_interval": 10}, {"c_lr_scale": 2.0}, None),
    ],
)
def test_a_fork_after_pruning_changes_only_what_the_method_allows(
    api: httpx.Client,
    launch: Callable[..., str],
    engine: Engine,
    settings: Settings,
    method: dict[str, object],
    changes: dict[str, object],
    words: str | None,
) -> None:
    parent = launch(config=CONFIG | {"method": method})
    end(engine, parent, RunStatus.stopped, "stopped_saved")
    checkpoint(engine, settings, parent, 60, is_settled=True)
    answer = api.post(f"/api/v1/runs/{parent}/fork", json={"step": 60, "changes": {"method": changes}})
    if words is None:
        assert answer.status_code == 201, answer.text
        return
    (problem,) = answer.json()["errors"]
    assert (answer.status_code, problem["field"]) == (422, f"changes.method.{next(iter(changes))}")
    assert words in problem["message"]
