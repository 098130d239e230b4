"""Memory, time and disk over HTTP: in the response of validate, and a run's measured peak next to its estimate."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rankscope.api.shapes.preflight import PreflightShape
from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs, workers
from rankscope.store.database.engine import writing
from tests.backend.conftest import CONFIG, Server, config_with
from tests.backend.store_setup import append, claim, metric

TOTAL, FREE = 16 << 30, 8 << 30


def check(api: httpx.Client, **hardware: Any) -> Any:
    answer = api.post("/api/v1/runs/validate", json={"config": {**CONFIG, "hardware": hardware}}).json()
    assert answer["problems"] == []
    return answer["plan"]["preflight"]


@pytest.fixture
def finish(server: Server, launch: Callable[..., str]) -> Callable[..., str]:
    """Launches CONFIG and ends it with these metrics, as a worker would."""
    engine = server.app.state.resources.engine

    def finish(started: float, ended: float, **metrics: float) -> str:
        run_id = launch()
        claimed = claim(engine, now=started)
        assert claimed is not None
        with writing(engine) as session:
            queue.begin_training(
                session, run_id, claimed.attempt, start_step=0, now=started, trained_with={"device": "CPU (a CPU)"}
            )
        append(engine, claimed, [metric(name, 100, value) for name, value in metrics.items()], now=ended)
        with writing(engine) as session:
            runs.transition(session, runs.get_run(session, run_id), RunStatus.done, now=ended, reason="done")
        return run_id

    return finish


def test_validate_compares_with_the_worker_that_is_online(api: httpx.Client, server: Server) -> None:
    before = check(api)
    assert (before["memory"]["fit"], before["memory"]["device"], before["time"]) == ("unknown", "cpu", None)
    with writing(server.app.state.resources.engine) as session:
        workers.register(
            session,
            name="w",
            host="a-host",
            pid=1,
            version="1",
            slots=1,
            gpus=[],
            now=time.time(),
            memory=workers.HostMemory(TOTAL, FREE),
        )
    memory = check(api)["memory"]
    assert (memory["device_name"], memory["device_bytes"], memory["free_bytes"]) == ("a-host", TOTAL, FREE)
    assert memory["fit"] == "fits"
    assert sum(memory["parts"].values()) == memory["total_bytes"]
    disk = check(api)["disk"]
    assert disk["needed_bytes"] <= disk["free_bytes"]
    listed = api.get("/api/v1/workers").json()["items"]
    assert [(worker["memory_bytes"], worker["free_memory_bytes"]) for worker in listed] == [(TOTAL, FREE)]


def test_finished_runs_give_the_time_and_correct_the_estimate(api: httpx.Client, finish: Callable[..., str]) -> None:
    first = check(api)["memory"]
    peak = first["total_bytes"] + 300_000_000
    ids = [finish(10.0, 60.0 + number, steps_per_second=4.0, peak_memory_bytes=peak) for number in range(3)]
    after = check(api)
    assert after["time"] == {
        "step_s": 0.25,
        "total_s": 51.0,
        "includes_evaluations": True,
        "based_on": 3,
        "probe": None,
    }
    memory = after["memory"]
    assert memory["based_on"] == 3
    assert memory["total_bytes"] == pytest.approx(peak, rel=0.001)
    run = api.get(f"/api/v1/runs/{ids[0]}").json()
    assert run["memory"] == {"device": "cpu", "estimated_bytes": first["total_bytes"], "measured_bytes": peak}
    # Another device or precision is another measurement.
    assert check(api, device="gpu")["time"] is None
    assert check(api, precision="bf16")["memory"]["based_on"] == 0


def test_a_quantised_base_needs_a_worker_with_a_gpu(api: httpx.Client, server: Server) -> None:
    def register(*gpus: Any) -> None:
        with writing(server.app.state.resources.engine) as session:
            workers.register(session, name="w", host="h", pid=1, version="1", slots=1, gpus=list(gpus), now=time.time())

    config = config_with(**{"model.quantization": "4-bit"})
    register()
    (problem,) = api.post("/api/v1/runs/validate", json={"config": config}).json()["problems"]
    assert (problem["field"], problem["value"]) == ("config.model.quantization", "4-bit")
    assert "no worker that is online has one" in problem["message"]
    assert "Set it to none" in problem["next_step"]
    assert api.post("/api/v1/runs", json={"config": config}).status_code == 422
    register({"index": 0, "name": "GPU", "memory_bytes": 1 << 34, "free_bytes": 1 << 34})
    memory = api.post("/api/v1/runs/validate", json={"config": config}).json()["plan"]["preflight"]["memory"]
    assert memory["device"] == "gpu"
    assert memory["parts"]["weights"] < check(api)["memory"]["parts"]["weights"]
    run_id = api.post("/api/v1/runs", json={"config": config}).raise_for_status().json()["id"]
    with writing(server.app.state.resources.engine) as session:
        assert runs.get_run(session, run_id).needs_gpu
    for changes in ({"hardware": {"device": "cpu"}}, {"method": {"name": "full"}}):
        refused = api.post("/api/v1/runs", json={"config": config | changes}).json()["errors"]
        assert refused[0]["field"] == "config.model.quantization", refused


def test_the_recorded_answer_of_the_page_tests_has_todays_shape() -> None:
    recorded = Path(__file__).parents[4] / "frontend/src/features/new-run/plan/preflight.recorded.json"
    assert PreflightShape.model_validate_json(recorded.read_bytes()).memory is not None
