"""Values in a body must have the right JSON type; runs that were launched under older rules still open."""

import time
from typing import Any

import httpx
import pytest

from rankscope.contract.config import RunConfig
from rankscope.store import runs
from rankscope.store.database.engine import writing
from tests.backend.conftest import CONFIG, Server, config_with


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"priority": False}, "priority"),
        ({"priority": "3"}, "priority"),
        ({"priority": 3.0}, "priority"),
        ({"name": 7}, "name"),
        ({"tags": "first"}, "tags"),
        ({"tags": [1]}, "tags.0"),
        ({"notes": False}, "notes"),
        ({"config": config_with(**{"training.batch_size": True})}, "config.training.batch_size"),
        ({"config": config_with(**{"training.batch_size": "8"})}, "config.training.batch_size"),
        ({"config": config_with(**{"method.target_rank": 2.0})}, "config.method.target_rank"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_field(api: httpx.Client, change: dict[str, Any], field: str) -> None:
    answer = api.post("/api/v1/runs", json={"config": CONFIG} | change)
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["errors"]
    assert problem["field"] == field
    assert problem["next_step"]
    assert api.get("/api/v1/runs").json()["total"] == 0


def test_bodies_of_actions_are_as_strict(api: httpx.Client) -> None:
    run = api.post("/api/v1/runs", json={"config": CONFIG, "priority": 3}).json()
    path = f"/api/v1/runs/{run['id']}"
    for method, where, body in (
        ("PATCH", "", {"priority": True}),
        ("POST", "/stop", {"save": "yes"}),
        ("POST", "/fork", {"step": "5"}),
        ("POST", "/steer", {"action": "target", "target_rank": "2"}),
    ):
        answer = api.request(method, path + where, json=body)
        assert answer.status_code == 422, (where, answer.text)
    assert api.get(path).json()["priority"] == 3


def test_a_run_launched_before_a_rule_came_is_shown_listed_and_resumed(server: Server, api: httpx.Client) -> None:
    config = config_with(
        **{"training.best_metric": "eval_auc", "training.keep_best": False, "training.after_done": "best"}
    )
    with pytest.raises(ValueError, match="keep_best"):
        RunConfig.model_validate(config)
    with pytest.raises(ValueError, match="eval_auc"):
        RunConfig.model_validate(config_with(**{"training.best_metric": "eval_auc"}))
    with writing(server.app.state.resources.engine) as session:
        run = runs.create_run(session, RunConfig.stored(config), now=time.time(), total_steps=100)
        runs.request_stop(session, run.id, save=True, now=time.time())
        run_id = run.id
    shown = api.get(f"/api/v1/runs/{run_id}")
    assert shown.status_code == 200, shown.text
    assert shown.json()["config"]["training"]["best_metric"] == "eval_auc"
    assert api.get("/api/v1/runs").json()["total"] == 1
    for path in ("health", "events", "ranks"):
        assert api.get(f"/api/v1/runs/{run_id}/{path}").status_code == 200, path
    for changes, field in (({"keep_checkpoints": 3}, "after_done"), ({"keep_best": True}, "best_metric")):
        refused = api.post(f"/api/v1/runs/{run_id}/retry", json={"changes": {"training": changes}})
        assert [error["field"] for error in refused.json()["errors"]] == [f"changes.training.{field}"]
    better = {"training": {"best_metric": "eval_loss", "keep_best": True}}
    assert api.post(f"/api/v1/runs/{run_id}/retry", json={"changes": better}).status_code == 200
