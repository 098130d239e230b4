"""Prediction requests: what is refused, and what waits. For the answers, see tests/stacks/test_predictions_stack.py."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis
from pydantic import JsonValue
from sqlalchemy import Engine

from rankscope.contract.events import ArtifactEvent
from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope.store import jobs
from rankscope.store.database.engine import writing
from rankscope.store.doorbell import JOBS_CHANNEL
from rankscope.store.queue import Claim
from rankscope.store.workers import register
from tests.backend.conftest import CONFIG, Server, config_with
from tests.backend.store_setup import append, begin, claim


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


def with_result(settings: Settings, engine: Engine) -> str:
    """Gives the waiting run a result that can be queried, without training."""
    claimed = claim(engine)
    assert claimed
    begin(engine, claimed)
    settings.attempt_dir(claimed.run_id, 1).joinpath("adapter").mkdir(parents=True)
    done = ArtifactEvent(name="adapter", step=100, size_bytes=1, kept_parameters=1)
    append(engine, Claim(claimed.run_id, 1, {}), [done])
    return claimed.run_id


def ask(api: httpx.Client, run_id: str, texts: Any) -> httpx.Response:
    return api.post(f"/api/v1/runs/{run_id}/predictions", json={"texts": texts})


def test_a_prediction_waits_as_a_job_until_a_worker_has_finished_it(
    api: httpx.Client, launch: Callable[..., str], server: Server, engine: Engine
) -> None:
    launch()
    run_id = with_result(server.settings, engine)
    with redis.Redis.from_url(server.settings.broker_url) as broker, broker.pubsub() as heard:
        heard.subscribe(JOBS_CHANNEL)
        assert heard.get_message(timeout=10)
        asked = ask(api, run_id, ["a film", "a plot"])
        assert asked.status_code == 202, asked.text
        assert heard.get_message(timeout=10)
    prediction_id = asked.json()["id"]

    def look() -> dict[str, Any]:
        found: dict[str, Any] = api.get(f"/api/v1/runs/{run_id}/predictions/{prediction_id}").json()
        return found

    waiting = look()
    assert (waiting["status"], waiting["message"], waiting["items"]) == ("waiting", "No worker is online.", [])
    assert (waiting["attempt"], waiting["texts"]) == (1, ["a film", "a plot"])
    with writing(engine) as session:
        register(session, name="w", host="h", pid=1, version="1", slots=1, gpus=[], now=1e12)
    waiting = look()
    assert (waiting["message"], waiting["next_step"]) == ("Waiting for a worker.", None)
    with writing(engine) as session:
        claimed = jobs.claim_next(session, worker="w", kinds=["predict"], lease_s=30, now=3)
    assert claimed is not None
    assert (look()["status"], look()["message"]) == ("running", "A worker is loading the models.")
    with writing(engine) as session:
        jobs.fail(session, claimed, "It broke.", "Fix it.", now=4)
    failed = look()
    assert (failed["status"], failed["message"], failed["next_step"]) == ("failed", "It broke.", "Fix it.")
    assert api.get(f"/api/v1/runs/{run_id}/predictions/nothere").status_code == 404
    other = launch()
    assert api.get(f"/api/v1/runs/{other}/predictions/{prediction_id}").status_code == 404


def test_an_answer_has_what_the_job_has_found(
    api: httpx.Client, launch: Callable[..., str], server: Server, engine: Engine
) -> None:
    launch()
    run_id = with_result(server.settings, engine)
    prediction_id = ask(api, run_id, ["a film"]).json()["id"]
    guess: dict[str, JsonValue] = {"label": "good", "probabilities": {"good": 0.75, "bad": 0.25}}
    items: JsonValue = [{"text": "a film", "base": guess, "tuned": guess}]  # as an earlier version stores them
    with writing(engine) as session:
        claimed = jobs.claim_next(session, worker="w", kinds=["predict"], lease_s=30, now=3)
        assert claimed is not None
        jobs.finish(session, claimed, {"items": items, "note": "Text 1 was cut."}, now=4)
    found = api.get(f"/api/v1/runs/{run_id}/predictions/{prediction_id}").json()
    read = {"kind": "class", **guess}
    assert found == {
        "id": prediction_id,
        "run_id": run_id,
        "attempt": 1,
        "status": "done",
        "texts": ["a film"],
        "items": [{"inputs": {}, "text": "a film", "base": read, "tuned": read}],
        "note": "Text 1 was cut.",
        "message": None,
        "next_step": None,
    }


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ([], "texts"),
        (["a"] * 9, "texts"),
        (["a", "  \n"], "texts.1"),
        ([""], "texts.0"),
        (["a" * 10_001], "texts.0"),
        ([3], "texts.0"),
        ("a film", "texts"),
    ],
)
def test_texts_that_cannot_be_predicted_are_named(
    api: httpx.Client, launch: Callable[..., str], texts: Any, field: str
) -> None:
    refused = ask(api, launch(), texts)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["field"] == field
    assert error["next_step"]


def test_a_run_without_a_result_is_refused(
    api: httpx.Client, launch: Callable[..., str], server: Server, engine: Engine
) -> None:
    run_id = launch()
    early = ask(api, run_id, ["a film"])
    assert early.status_code == 409
    assert early.json()["detail"] == f"Run {run_id} has no result yet; it is queued."
    assert early.json()["next_step"] == "Wait until it is done."
    api.post(f"/api/v1/runs/{run_id}/stop")
    assert ask(api, run_id, ["a film"]).json()["next_step"].startswith("Resume it")


def test_an_input_has_a_text_for_each_column(
    api: httpx.Client, launch: Callable[..., str], server: Server, engine: Engine
) -> None:
    rows = "".join(f"a{number},b{number},{'yes' if number % 2 else 'no'}\n" for number in range(40))
    (server.settings.datasets_dir / "pairs.csv").write_text(f"premise,hypothesis,label\n{rows}")
    launch(config=config_with(**{"data.id": "local:pairs", "data.text_columns": ["premise", "hypothesis"]}))
    run_id = with_result(server.settings, engine)
    url = f"/api/v1/runs/{run_id}/predictions"
    form = api.get(url).json()
    assert [field["name"] for field in form["fields"]] == ["premise", "hypothesis"]
    pair = {"hypothesis": "It rains.", "premise": "Rain falls."}
    asked = api.post(url, json={"inputs": [pair]})
    assert asked.status_code == 202, asked.text
    found = api.get(f"{url}/{asked.json()['id']}").json()
    assert found["texts"] == ["Rain falls. | It rains."]
    refused = {
        "texts": {"texts": ["a film"]},
        "inputs": {},
        "inputs.0.hypothesis": {"inputs": [pair | {"hypothesis": " "}]},
        "inputs.1.premise": {"inputs": [pair, {"hypothesis": "It rains."}]},
        "inputs.0.label": {"inputs": [pair | {"label": "yes"}]},
    }
    for field, body in refused.items():
        answer = api.post(url, json=body)
        assert answer.status_code == 422, (field, answer.text)
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert all(error["next_step"] for error in answer.json()["errors"])


def test_without_a_broker_a_prediction_still_waits(catalogue: Settings, serve: Callable[..., Server]) -> None:
    server = serve(catalogue.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port()}/0"}))
    with server.client() as api:
        api.post("/api/v1/runs", json={"config": CONFIG})
        run_id = with_result(server.settings, server.app.state.resources.engine)
        asked = ask(api, run_id, ["a film"])
        assert asked.status_code == 202
        found = api.get(f"/api/v1/runs/{run_id}/predictions/{asked.json()['id']}")
        assert found.json()["status"] == "waiting"
