"""Questions to a finished run: what is refused, and what waits. tests/test_predictions_stack.py has them answered."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import Engine

from rankscope.contract.events import ArtifactEvent
from rankscope.contract.predictions import Prediction
from rankscope.embedded import free_port
from rankscope.launch.enqueue import PREDICTIONS_QUEUE
from rankscope.settings import Settings
from rankscope.store.database.engine import writing
from rankscope.store.predictions import KEPT_S, PredictionBoard
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
    """Gives the run that waits a result to ask, without training."""
    claimed = claim(engine)
    assert claimed
    begin(engine, claimed)
    settings.attempt_dir(claimed.run_id, 1).joinpath("adapter").mkdir(parents=True)
    done = ArtifactEvent(name="adapter", step=100, size_bytes=1, kept_parameters=1)
    append(engine, Claim(claimed.run_id, 1, {}), [done])
    return claimed.run_id


def ask(api: httpx.Client, run_id: str, texts: Any) -> httpx.Response:
    return api.post(f"/api/v1/runs/{run_id}/predictions", json={"texts": texts})


def test_a_question_waits_on_the_board_and_its_ids_in_the_queue(
    api: httpx.Client, launch: Callable[..., str], server: Server, engine: Engine
) -> None:
    launch()
    run_id = with_result(server.settings, engine)
    with redis.Redis.from_url(server.settings.broker_url) as broker:
        broker.delete(PREDICTIONS_QUEUE)
        asked = ask(api, run_id, ["a film", "a plot"])
        assert asked.status_code == 202, asked.text
        prediction_id = asked.json()["id"]
        (message,) = broker.lrange(PREDICTIONS_QUEUE, 0, -1)
        assert json.loads(message)["headers"]["argsrepr"] == repr([run_id, prediction_id])
        assert 0 < broker.ttl(f"rankscope:prediction:{run_id}:{prediction_id}") <= KEPT_S
    waiting = api.get(f"/api/v1/runs/{run_id}/predictions/{prediction_id}").json()
    assert (waiting["status"], waiting["message"], waiting["items"]) == ("waiting", "No worker is there to answer.", [])
    with writing(engine) as session:
        register(session, name="w", host="h", pid=1, version="1", slots=1, gpus=[], now=1e12)
    waiting = api.get(f"/api/v1/runs/{run_id}/predictions/{prediction_id}").json()
    assert (waiting["message"], waiting["next_step"]) == ("It waits for a worker to take it.", None)
    board = PredictionBoard(server.settings.broker_url)
    board.put(
        Prediction.model_validate(waiting | {"status": "failed", "message": "It broke.", "next_step": "Mend it."})
    )
    board.close()
    failed = api.get(f"/api/v1/runs/{run_id}/predictions/{prediction_id}").json()
    assert (failed["status"], failed["message"], failed["next_step"]) == ("failed", "It broke.", "Mend it.")
    assert api.get(f"/api/v1/runs/{run_id}/predictions/nothere").status_code == 404
    other = launch()
    assert api.get(f"/api/v1/runs/{other}/predictions/{prediction_id}").status_code == 404


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
def test_texts_that_cannot_be_asked_about_are_named(
    api: httpx.Client, launch: Callable[..., str], texts: Any, field: str
) -> None:
    refused = ask(api, launch(), texts)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["field"] == field
    assert error["next_step"]


def test_a_run_without_a_result_or_with_pairs_of_texts_is_refused(
    api: httpx.Client, launch: Callable[..., str], server: Server, engine: Engine
) -> None:
    run_id = launch()
    early = ask(api, run_id, ["a film"])
    assert early.status_code == 409
    assert early.json()["detail"] == f"Run {run_id} has no result to ask yet; it is queued."
    assert early.json()["next_step"] == "Wait until it is done."
    api.post(f"/api/v1/runs/{run_id}/stop")
    assert ask(api, run_id, ["a film"]).json()["next_step"].startswith("Resume it")
    rows = "".join(f"a{number},b{number},{'yes' if number % 2 else 'no'}\n" for number in range(40))
    (server.settings.datasets_dir / "pairs.csv").write_text(f"premise,hypothesis,label\n{rows}")
    launch(config=config_with(**{"data.id": "local:pairs", "data.text_columns": ["premise", "hypothesis"]}))
    pairs = ask(api, with_result(server.settings, engine), ["a film"])
    assert pairs.status_code == 409
    assert "pairs of texts (premise and hypothesis)" in pairs.json()["detail"]


def test_without_a_broker_a_question_is_refused(catalogue: Settings, serve: Callable[..., Server]) -> None:
    server = serve(catalogue.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port()}/0"}))
    with server.client() as api:
        api.post("/api/v1/runs", json={"config": CONFIG})
        run_id = with_result(server.settings, server.app.state.resources.engine)
        for answer in (ask(api, run_id, ["a film"]), api.get(f"/api/v1/runs/{run_id}/predictions/abc")):
            assert answer.status_code == 503
            assert "broker is out of reach" in answer.json()["detail"]
            assert answer.json()["next_step"]
