"""Steering over the API: stored until the training responds, then part of the run's configuration."""

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import Engine

from rankscope.contract.config import stored_steering
from rankscope.contract.events import PruneEvent, SteerEvent
from rankscope.contract.status import RunStatus
from rankscope.store import runs
from rankscope.store.database.engine import writing
from rankscope.store.queue import Claim
from tests.backend.conftest import Server, config_with
from tests.backend.store_setup import append, begin, claim, read_run


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


@pytest.fixture
def training(launch: Callable[..., str], engine: Engine) -> Claim:
    launch()
    claimed = claim(engine)
    assert claimed is not None
    begin(engine, claimed)
    return claimed


def steer(api: httpx.Client, run_id: str, action: str, target_rank: int | None = None) -> httpx.Response:
    return api.post(f"/api/v1/runs/{run_id}/steer", json={"action": action, "target_rank": target_rank})


def test_a_steering_request_is_pending_until_it_is_applied_and_is_then_in_the_configuration(
    api: httpx.Client, training: Claim, engine: Engine
) -> None:
    run_id = training.run_id
    asked = steer(api, run_id, "hold")
    assert asked.status_code == 202, asked.text
    (request,) = asked.json()["steer_requests"]
    assert (request["action"], asked.json()["is_held"], asked.json()["config"]["steering"]) == ("hold", False, [])
    assert steer(api, run_id, "hold").status_code == 409  # already held, as soon as the training has received it
    append(engine, training, [SteerEvent(step=7, action="hold", request=request["id"])])
    held = api.get(f"/api/v1/runs/{run_id}").json()
    assert (held["is_held"], held["steer_requests"]) == (True, [])
    assert held["config"]["steering"] == [{"step": 7, "action": "hold", "target_rank": None}]

    (request,) = steer(api, run_id, "target", 1).json()["steer_requests"]
    append(engine, training, [SteerEvent(step=9, action="target", target_rank=1, request=request["id"], refused="No.")])
    after = api.get(f"/api/v1/runs/{run_id}").json()
    assert after["steer_requests"] == []
    assert len(after["config"]["steering"]) == 1
    # A resumed attempt repeats it, but it is listed once.
    append(engine, training, [SteerEvent(step=7, action="hold")])
    assert len(stored_steering(read_run(engine, run_id).config)) == 1


def test_later_steering_in_the_configuration_is_not_counted_as_done(
    api: httpx.Client, launch: Callable[..., str], engine: Engine
) -> None:
    run_id = launch(config=config_with() | {"steering": [{"step": 40, "action": "hold"}]})
    assert not api.get(f"/api/v1/runs/{run_id}").json()["is_held"]
    claimed = claim(engine)
    assert claimed is not None
    begin(engine, claimed)
    assert steer(api, run_id, "release").status_code == 409
    append(engine, claimed, [SteerEvent(step=40, action="hold")])
    assert api.get(f"/api/v1/runs/{run_id}").json()["is_held"]


def test_invalid_steering_is_refused_with_the_reason(
    api: httpx.Client, training: Claim, launch: Callable[..., str], engine: Engine
) -> None:
    run_id = training.run_id
    waiting = launch()
    assert "is queued; only a live run can be steered" in steer(api, waiting, "hold").json()["detail"]
    assert "is not held" in steer(api, run_id, "release").json()["detail"]
    for body, field in (
        ({"action": "melt"}, "action"),
        ({"action": "target"}, "target_rank"),
        ({"action": "target", "target_rank": 0}, "target_rank"),
        ({"action": "target", "target_rank": 4}, "target_rank"),
        ({"action": "hold", "target_rank": 2}, "target_rank"),
    ):
        answer = api.post(f"/api/v1/runs/{run_id}/steer", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["field"] == field
    final = PruneEvent(step=50, budget=8, total=12, threshold=0.1, final=True, pruned=[], regrown=[])
    append(engine, training, [final])
    late = steer(api, run_id, "freeze")
    assert late.status_code == 409
    assert "is final since step 50" in late.json()["detail"]
    assert read_run(engine, run_id).steer_requests == []


def test_other_methods_have_nothing_to_steer(api: httpx.Client, launch: Callable[..., str], engine: Engine) -> None:
    run_id = launch(config=config_with() | {"method": {"name": "lora", "rank": 2}})
    assert claim(engine) is not None
    assert "has method lora, which can't be steered" in steer(api, run_id, "hold").json()["detail"]
    steered = config_with() | {"method": {"name": "lora"}, "steering": [{"step": 1, "action": "hold"}]}
    answer = api.post("/api/v1/runs", json={"config": steered})
    assert answer.json()["errors"][0]["field"] == "config.steering"


def test_steering_requests_end_with_the_run(api: httpx.Client, training: Claim, engine: Engine) -> None:
    steer(api, training.run_id, "freeze")
    with writing(engine) as session:
        runs.transition(session, runs.get_run(session, training.run_id), RunStatus.done, now=9)
    assert read_run(engine, training.run_id).steer_requests == []
