"""Requests for the tokens of rows: what is refused, and what waits. For the answers, see test_tokenize_rows.py."""

from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from rankscope.contract.data.token_rows import TokenLengths, TokenRows
from rankscope.store import jobs
from rankscope.store.database.engine import writing
from rankscope.store.workers import register
from tests.backend.conftest import CONFIG, Server, config_with


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def ask(api: httpx.Client, **body: Any) -> httpx.Response:
    return api.post("/api/v1/token-rows", json={"config": CONFIG} | body)


def test_tokens_wait_as_a_job_and_are_computed_once(api: httpx.Client, server: Server) -> None:
    engine: Engine = server.app.state.resources.engine
    asked = ask(api, rows=3)
    assert asked.status_code == 202, asked.text
    rows_id = asked.json()["id"]
    assert ask(api, rows=3).json()["id"] == rows_id

    def look() -> dict[str, Any]:
        found: dict[str, Any] = api.get(f"/api/v1/token-rows/{rows_id}").json()
        return found

    assert (look()["status"], look()["message"]) == ("waiting", "No worker is online.")
    with writing(engine) as session:
        register(session, name="w", host="h", pid=1, version="1", slots=1, gpus=[], now=1e12)
        claimed = jobs.claim_next(session, worker="w", kinds=["tokenize_rows"], lease_s=30, now=3)
    assert claimed is not None
    assert (claimed.payload["first"], claimed.payload["rows"]) == (1, 3)
    assert claimed.payload["labels"]
    assert (look()["status"], look()["message"]) == ("running", "A worker is tokenizing the rows.")
    lengths = TokenLengths(rows=5, of_rows=5, is_sample=False, over=1, median=4, most_up_to=9, longest=9)
    with writing(engine) as session:
        jobs.finish(session, claimed, TokenRows(rows=[], lengths=lengths, max_length=8).model_dump(), now=4)
    assert (look()["status"], look()["result"]["lengths"]["over"]) == ("done", 1)
    assert ask(api, rows=3).json()["id"] == rows_id
    other = ask(api, config=config_with(**{"training.max_length": 9}), rows=3).json()["id"]
    assert other != rows_id


def test_a_row_that_does_not_exist_and_a_configuration_with_problems_are_refused(api: httpx.Client) -> None:
    (far,) = ask(api, first=10**9).json()["errors"]
    assert (far["field"], far["value"]) == ("first", 10**9)
    assert far["next_step"].startswith("Use 1 to")
    (problem,) = ask(api, config=config_with(**{"data.group_column": "nothere"})).json()["errors"]
    assert problem["field"] == "config.data.group_column"
    assert ask(api, rows=100).status_code == 422
    assert api.get("/api/v1/token-rows/nothere").status_code == 404
