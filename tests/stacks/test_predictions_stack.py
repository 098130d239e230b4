"""Try it, on the complete stack: API, Valkey, a Celery worker, and the child that loads the models."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rankscope.contract.jobs import PREDICT
from rankscope.store import jobs
from rankscope.store.database.engine import create_engine, reading
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny_stack import tiny_stack

TEXTS = ["a very good film", "the plot is dull and the end is grim"]


DYNAMIC: dict[str, Any] = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 2},
    "training": {"max_steps": 12, "batch_size": 8, "max_length": 16, "eval_every": 12, "learning_rate": 0.01},
}
LONG = DYNAMIC | {"training": DYNAMIC["training"] | {"max_steps": 1_000_000, "eval_every": 1_000_000}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, forked: ForkedCommands) -> Iterator[Stack]:
    # A training at full speed would take a core away from the predictions.
    folder = tmp_path_factory.mktemp("stack") / "data"
    with tiny_stack(folder, forked=forked, pace_s=0.03, lease_s=6, hardware_every_s=0.5) as stack:
        yield stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, timeout=20, verify=False) as client:
        yield client


@pytest.fixture(scope="module")
def run(stack: Stack) -> dict[str, Any]:
    """A finished run with an adapter."""
    return finished(stack, DYNAMIC)


def finished(stack: Stack, wanted: dict[str, Any]) -> dict[str, Any]:
    with stack.client() as client:
        run_id = client.launch(wanted)["id"]
        run = wait_for(
            "the run to end",
            lambda: r if (r := client.run(run_id))["status"] in ("done", "failed") else None,
            deadline_s=240,
        )
    assert run is not None
    assert run["status"] == "done", run["message"]
    return run


def ask(api: httpx.Client, run_id: str, texts: list[str] = TEXTS) -> str:
    answer = api.post(f"/runs/{run_id}/predictions", json={"texts": texts})
    assert answer.status_code == 202, answer.text
    prediction_id: str = answer.json()["id"]
    return prediction_id


def answered(api: httpx.Client, run_id: str, prediction_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = api.get(f"/runs/{run_id}/predictions/{prediction_id}").json()
        return found if found["status"] in ("done", "failed") else None

    found = wait_for("an answer", look, deadline_s=240, every_s=0.2)
    assert found is not None
    return found


@pytest.mark.timeout(600)
def test_predictions_work_while_every_slot_trains_and_survive_their_worker(
    stack: Stack, api: httpx.Client, run: dict[str, Any]
) -> None:
    with stack.client() as client:
        busy = client.launch(LONG)["id"]
        wait_for("memory to be recorded", lambda: "host_memory_bytes" in client.run(busy)["metrics"], deadline_s=240)
        refused = api.post(f"/runs/{busy}/predictions", json={"texts": TEXTS})
        assert refused.status_code == 409
        assert "no result yet; it is running" in refused.json()["detail"]
        assert refused.json()["next_step"] == "Wait until it is done."
        assert answered(api, run["id"], ask(api, run["id"]))["status"] == "done"
        client.stop(busy, save=False)
        wait_for("its slot to be free", lambda: client.run(busy)["status"] == "stopped", deadline_s=60)

        adapter = stack.settings.attempt_dir(run["id"], run["attempt"]) / "adapter" / "adapter_model.safetensors"
        whole = adapter.read_bytes()
        adapter.write_bytes(whole[: len(whole) // 2])
        failed = answered(api, run["id"], ask(api, run["id"]))
        adapter.write_bytes(whole)
        assert failed["status"] == "failed"
        assert failed["message"].startswith("The run's result can't be loaded: ")
        assert failed["next_step"]

        # A worker that is killed in the middle of a job, while another prediction waits.
        cut_off, waiting = ask(api, run["id"]), ask(api, run["id"])
        wait_for("a worker to take the job", lambda: status(api, run["id"], cut_off) == "running", deadline_s=60)
        stack.kill("test-worker")
        assert status(api, run["id"], cut_off) == "running"
        lost = wait_for("the worker to count as lost", lambda: no_worker(api, run["id"], waiting), deadline_s=60)
        assert lost["next_step"].startswith("Start one with")
        # The server takes the job back after two leases.
        wait_for("the job to wait again", lambda: status(api, run["id"], cut_off) == "waiting", deadline_s=60)
        stack.start_worker("another-worker")
        assert answered(api, run["id"], cut_off)["status"] == "done"
        assert answered(api, run["id"], waiting)["status"] == "done"
    engine = create_engine(stack.settings.resolved_database_url)
    with reading(engine) as session:
        for prediction_id, attempts in ((cut_off, 2), (waiting, 1)):
            job = jobs.get_job(session, prediction_id, PREDICT)
            assert job is not None
            assert (job.attempt, job.worker) == (attempts, "another-worker")
    engine.dispose()


def status(api: httpx.Client, run_id: str, prediction_id: str) -> str:
    found: str = api.get(f"/runs/{run_id}/predictions/{prediction_id}").json()["status"]
    return found


def no_worker(api: httpx.Client, run_id: str, prediction_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] = api.get(f"/runs/{run_id}/predictions/{prediction_id}").json()
    assert found["status"] == "waiting"
    return found if found["message"] == "No worker is online." else None
