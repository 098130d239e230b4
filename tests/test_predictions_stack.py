"""Try it, on the whole stack: API, Valkey, a Celery worker, and the child that loads the models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rankscope.contract.jobs import PREDICT
from rankscope.store import jobs
from rankscope.store.database.engine import create_engine, reading
from tests.faults.orders import hooked
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny import make_reviews, make_tiny_bert

TEXTS = ["a very good film", "the plot is dull and the end is grim"]
LABELS = ["fresh", "rotten"]


def config(method: dict[str, Any], model: str = "local:tiny-bert") -> dict[str, Any]:
    return {
        "model": {"id": model},
        "data": {"id": "local:reviews"},
        "method": method,
        "training": {"max_steps": 12, "batch_size": 8, "max_length": 16, "eval_every": 12, "learning_rate": 0.01},
    }


DYNAMIC = config({"name": "dynamic_rank", "target_rank": 2, "prune_interval": 2})
LONG = DYNAMIC | {"training": DYNAMIC["training"] | {"max_steps": 1_000_000, "eval_every": 1_000_000}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack(folder / "data", lease_s=6, hardware_every_s=0.5)
    # A training at full speed would take a whole core from the predictions.
    stack.environment |= hooked(folder / "faults", pace_s=0.03)
    make_tiny_bert(stack.settings.models_dir / "tiny-bert")
    without_head(make_tiny_bert(stack.settings.models_dir / "tiny-body"))
    make_reviews(stack.settings.datasets_dir / "reviews.csv")
    try:
        stack.start_valkey()
        stack.start_api()
        stack.start_worker()
        yield stack
    finally:
        stack.stop()


def without_head(folder: Path) -> None:
    """Leaves of a saved model what a pretrained one has: all but the classifier."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    body = {name: tensor for name, tensor in load_file(file).items() if not name.startswith("classifier.")}
    save_file(body, file, metadata={"format": "pt"})


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


def probabilities(model: Any, tokenizer: Any) -> list[dict[str, float]]:
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        rows = torch.softmax(model.eval()(**inputs).logits.double(), -1).tolist()
    return [dict(zip(LABELS, row, strict=True)) for row in rows]


def assert_says(items: list[dict[str, Any]], which: str, expected: list[dict[str, float]]) -> None:
    for item, wanted in zip(items, expected, strict=True):
        assert item[which]["probabilities"] == pytest.approx(wanted, abs=1e-6)
        assert item[which]["label"] == max(wanted, key=lambda label: wanted[label])


@pytest.mark.timeout(900)  # three short trainings and four answers, each with an import of torch
def test_base_and_tuned_predictions_equal_those_of_peft_and_transformers(
    stack: Stack, api: httpx.Client, run: dict[str, Any]
) -> None:
    found = answered(api, run["id"], ask(api, run["id"]))
    assert found["status"] == "done", found["message"]
    assert [item["text"] for item in found["items"]] == TEXTS
    assert found["note"] is None
    folder = stack.settings.models_dir / "tiny-bert"
    adapter = stack.settings.attempt_dir(run["id"], run["attempt"]) / "adapter"
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    base = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    assert_says(found["items"], "base", probabilities(base, tokenizer))
    assert_says(found["items"], "tuned", probabilities(PeftModel.from_pretrained(base, adapter), tokenizer))
    assert found["items"][0]["base"] != found["items"][0]["tuned"]

    full = finished(stack, config({"name": "full"}))
    found = answered(api, full["id"], ask(api, full["id"]))
    model = stack.settings.attempt_dir(full["id"], 1) / "model"
    whole = AutoModelForSequenceClassification.from_pretrained(model)
    assert_says(found["items"], "tuned", probabilities(whole, AutoTokenizer.from_pretrained(model)))

    headless = finished(stack, config({"name": "lora", "rank": 2}, "local:tiny-body"))
    found = answered(api, headless["id"], ask(api, headless["id"], ["good " * 40]))
    assert "no trained head" in found["note"]
    assert "Text 1 was truncated to 16 tokens" in found["note"]


@pytest.mark.timeout(600)
def test_a_prediction_works_while_every_slot_trains_and_problems_are_reported(
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

        adapter = stack.settings.attempt_dir(run["id"], run["attempt"]) / "adapter" / "adapter_model.safetensors"
        whole = adapter.read_bytes()
        adapter.write_bytes(whole[: len(whole) // 2])
        failed = answered(api, run["id"], ask(api, run["id"]))
        adapter.write_bytes(whole)
        assert failed["status"] == "failed"
        assert failed["message"].startswith("The run's result can't be loaded: ")
        assert failed["next_step"]

        stack.kill("test-worker")
        lost = ask(api, run["id"])
        waiting = wait_for("the worker to count as lost", lambda: no_worker(api, run["id"], lost), deadline_s=60)
        assert waiting["next_step"].startswith("Start one with")
        stack.start_worker()
        assert answered(api, run["id"], lost)["status"] == "done"
        client.stop(busy, save=False)  # or it would keep the one slot from the runs of other tests


def no_worker(api: httpx.Client, run_id: str, prediction_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] = api.get(f"/runs/{run_id}/predictions/{prediction_id}").json()
    assert found["status"] == "waiting"
    return found if found["message"] == "No worker is online." else None


@pytest.mark.timeout(600)
def test_a_job_whose_worker_is_killed_in_the_middle_is_done_by_the_next_one(
    stack: Stack, api: httpx.Client, run: dict[str, Any]
) -> None:
    prediction_id = ask(api, run["id"])

    def status() -> str:
        found: str = api.get(f"/runs/{run['id']}/predictions/{prediction_id}").json()["status"]
        return found

    wait_for("a worker to take the job", lambda: status() == "running", deadline_s=60)
    stack.kill("test-worker")
    assert status() == "running"
    # No worker is left: the server takes the job back after two leases.
    wait_for("the job to wait again", lambda: status() == "waiting", deadline_s=60)
    stack.start_worker("another-worker")
    assert answered(api, run["id"], prediction_id)["status"] == "done"
    engine = create_engine(stack.settings.resolved_database_url)
    with reading(engine) as session:
        job = jobs.get_job(session, prediction_id, PREDICT)
        assert job is not None
        assert (job.attempt, job.worker) == (2, "another-worker")
    engine.dispose()
