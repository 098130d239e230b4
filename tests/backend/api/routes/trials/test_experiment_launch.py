"""Launching experiments over the API: the plan, the first runs, and what is refused."""

from typing import Any

import httpx
import pytest
from sqlmodel import delete

from rankscope.contract.experiments.tables import Experiment
from rankscope.store import runs
from rankscope.store.database.engine import reading, writing
from tests.backend.conftest import CONFIG, Server

ASKED: dict[str, Any] = {
    "config": CONFIG,
    "methods": [{"method": "dynamic_rank"}, {"method": "eva"}],
    "budgets": [2, 3],
    "seeds": [0, 1],
    "tuning": {"trials": 3, "seeds": [9]},
}


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture(autouse=True)
def without_experiments(server: Server) -> Any:
    yield
    with writing(server.app.state.resources.engine) as session:
        session.execute(delete(Experiment))


def test_the_plan_says_how_many_runs_and_launches_nothing(api: httpx.Client) -> None:
    found = api.post("/api/v1/experiments/validate", json=ASKED).json()
    assert found["problems"] == []
    plan = found["plan"]
    by_name = {item["variant"]: (item["tuning"], item["test"]) for item in plan["items"]}
    assert by_name["LoRA"] == by_name["Dynamic rank"] == by_name["EVA"] == (6, 4)
    assert len(by_name) == 3 + 5 + 4  # a random score applies only to methods that select by score
    assert plan["trials"] == 3 * 6 + 12 * 4
    assert plan["total_s"] is None
    parameters = {item["variant"]: item["kept_parameters"] for item in plan["items"]}
    assert parameters["LoRA"] == parameters["EVA"] == [2 * 4 * 16, 3 * 4 * 16]
    assert api.get("/api/v1/experiments").json()["items"] == []
    assert api.get("/api/v1/runs").json()["items"] == []


def test_an_experiment_is_launched_paused_resumed_stopped_and_extended(api: httpx.Client, server: Server) -> None:
    made = api.post("/api/v1/experiments", json=ASKED | {"name": "Does it help?", "budgets": [2]})
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["name"], body["status"], body["trials"]["running"]) == ("Does it help?", "tuning", 9)
    url = made.headers["Location"]
    items = api.get("/api/v1/runs").json()["items"]
    assert {tuple(item["tags"]) for item in items} == {(f"experiment {body['id']}",)}
    with reading(server.app.state.resources.engine) as session:
        config: Any = runs.get_run(session, items[0]["id"]).config
    assert config["data"]["validation_fraction"] == 0.15
    paused = api.post(f"{url}/pause").json()
    assert (paused["status"], paused["trials"]["planned"], paused["trials"]["running"]) == ("paused", 9, 0)
    assert api.get("/api/v1/runs").json()["items"] == []
    assert api.post(f"{url}/pause").status_code == 409
    assert api.post(f"{url}/resume").json()["trials"]["running"] == 9
    assert api.post(f"{url}/extend", json={"seeds": [5]}).json()["design"]["seeds"] == [0, 1, 5]
    assert api.post(f"{url}/stop").json()["status"] == "stopped"
    assert api.post("/api/v1/experiments/nothing/stop").status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"methods": []}, "methods"),
        ({"budgets": [0]}, "budgets.0"),
        ({"margin": -1}, "margin"),
        ({"tuning": {"lowest_rate": 1, "highest_rate": 0.5}}, "tuning.highest_rate"),
        ({"methods": [{"method": "dynamic_rank", "options": {"beta": 2}}]}, "methods.0.options.beta"),
        ({"config": CONFIG | {"model": {"id": "local:none"}}}, "config.model.id"),
        ({"config": {"model": {"id": "local:tiny"}}}, "config.data"),
        ({"seed": [1]}, "seed"),
    ],
)
def test_a_wrong_request_is_refused_at_its_field_by_both_routes(
    api: httpx.Client, changes: dict[str, Any], field: str
) -> None:
    checked = api.post("/api/v1/experiments/validate", json=ASKED | changes).json()
    refused = api.post("/api/v1/experiments", json=ASKED | changes | {"name": "x"})
    assert checked["plan"] is None
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == checked["problems"][0]["field"] == field
    assert checked["problems"][0]["next_step"]


def test_a_run_without_its_own_ranks_or_without_result_gets_no_experiment(api: httpx.Client, launch: Any) -> None:
    queued = api.post(f"/api/v1/runs/{launch()}/experiment", json={"seeds": 2})
    assert (queued.status_code, "has no result yet" in queued.json()["detail"]) == (409, True)
    plain = launch(config=CONFIG | {"method": {"name": "lora"}})
    assert "does not choose ranks" in api.post(f"/api/v1/runs/{plain}/experiment").json()["detail"]
