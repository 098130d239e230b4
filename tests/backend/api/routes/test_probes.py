"""Measurements before a launch: what is refused, what waits, and how plans use the result."""

import time
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from rankscope.contract.config import RunConfig
from rankscope.contract.probes import ProbeResult
from rankscope.store import jobs, probes
from rankscope.store.database.engine import writing
from rankscope.store.workers import register
from tests.backend.conftest import CONFIG, Server, config_with
from tests.backend.store_setup import claim


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


def start_worker(engine: Engine, gpus: Any = ()) -> None:
    with writing(engine) as session:
        register(session, name="w", host="h", pid=1, version="1", slots=1, gpus=list(gpus), now=time.time())


def ask(api: httpx.Client, config: dict[str, Any] = CONFIG) -> httpx.Response:
    return api.post("/api/v1/probes", json={"config": config})


def test_a_measurement_waits_for_a_slot_and_later_plans_use_it(api: httpx.Client, engine: Engine) -> None:
    nobody = ask(api)
    assert (nobody.status_code, nobody.json()["detail"]) == (503, "No worker is online.")
    start_worker(engine)
    assert "with a GPU" in ask(api, config_with(hardware={"device": "gpu"})).json()["detail"]
    probe_id = ask(api).json()["id"]
    assert ask(api).json()["id"] == probe_id

    def look() -> dict[str, Any]:
        found: dict[str, Any] = api.get(f"/api/v1/probes/{probe_id}").json()
        return found

    assert (look()["status"], look()["message"]) == ("waiting", "Waiting for a free slot.")
    with writing(engine) as session:
        claimed = jobs.claim_next(session, worker="w", kinds=["probe"], lease_s=30, now=3, has_gpu=False)
    assert claimed is not None
    with writing(engine) as session:
        jobs.renew(session, claimed, lease_s=30, now=4, progress=0.4)
    assert (look()["status"], look()["progress"]) == ("running", 0.4)
    peak = api.post("/api/v1/runs/validate", json={"config": CONFIG}).json()["plan"]["preflight"]["memory"]
    result = ProbeResult(
        steps=10,
        step_s=0.5,
        device="cpu",
        device_name="CPU (a CPU)",
        peak_bytes=peak["total_bytes"] + 100_000_000,
        longest={},
    )
    with writing(engine) as session:
        probes.add(session, RunConfig.model_validate(claimed.payload["config"]), result, now=5)
        jobs.finish(session, claimed, result.model_dump(), now=5)
    assert (look()["status"], look()["result"]["step_s"]) == ("done", 0.5)
    checks = api.post("/api/v1/runs/validate", json={"config": CONFIG}).json()["plan"]["preflight"]
    assert (checks["time"]["step_s"], checks["time"]["based_on"], checks["time"]["probe"]["steps"]) == (0.5, 0, 10)
    assert (checks["memory"]["is_measured"], checks["memory"]["based_on"]) == (True, 0)
    assert checks["memory"]["total_bytes"] > peak["total_bytes"]


def test_it_is_refused_while_every_slot_trains_and_for_an_invalid_configuration(
    api: httpx.Client, engine: Engine
) -> None:
    start_worker(engine)
    (problem,) = ask(api, config_with(**{"data.group_column": "nothere"})).json()["errors"]
    assert problem["field"] == "config.data.group_column"
    api.post("/api/v1/runs", json={"config": CONFIG}).raise_for_status()
    assert claim(engine, worker="w") is not None
    busy = ask(api)
    assert (busy.status_code, busy.json()["detail"]) == (409, "The worker's only slot is busy.")
    assert busy.json()["next_step"].startswith("Measure once a run has ended")


def test_a_measurement_for_a_gpu_is_left_to_workers_that_have_one_and_can_be_cancelled(
    api: httpx.Client, engine: Engine
) -> None:
    start_worker(engine, [{"index": 0, "name": "GPU", "memory_bytes": 1 << 34, "free_bytes": 1 << 34}])
    probe_id = ask(api).json()["id"]
    with writing(engine) as session:
        assert not jobs.is_waiting(session, ["probe"], has_gpu=False)
        assert jobs.is_waiting(session, ["probe"], has_gpu=True)
    assert api.post(f"/api/v1/probes/{probe_id}/cancel").status_code == 204
    assert api.post(f"/api/v1/probes/{probe_id}/cancel").status_code == 404
    assert api.get(f"/api/v1/probes/{probe_id}").status_code == 404


def test_only_the_newest_measurements_are_kept(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MOST", 3)
    config = RunConfig.model_validate(CONFIG)
    result = ProbeResult(steps=1, step_s=1, device="cpu", device_name="", peak_bytes=None, longest={})
    for number in range(5):
        with writing(engine) as session:
            probes.add(session, config, result, now=number)
    with writing(engine) as session:
        assert [probe.created_at for probe in probes.like(session, config)] == [4, 3, 2]
