"""Invalid input is refused with the field's name and the fix; no response is ever a 500 or a page of HTML."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as some
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from rankscope.api.guard.access import LARGE_JSON
from rankscope.api.guard.object_keys import MOST_KEYS
from rankscope.api.shapes.problems import is_out_of_reach
from rankscope.store.database.engine import create_engine, reading
from tests.backend.conftest import CONFIG, Server, config_with


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


JSON = {"Content-Type": "application/json"}


def problem_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("changes", "field", "in_message"),
    [
        ({"model.id": "gpt-9"}, "config.model.id", "gpt-9"),
        ({"model.id": "half \ud800 a character"}, "config.model.id", "a character"),
        ({"data.id": "nowhere"}, "config.data.id", "nowhere"),
        ({"data.label_column": "stars"}, "config.task.label_column", "stars"),
        ({"data.text_columns": ["body"]}, "config.task.text_columns", "body"),
        ({"method.target_rank": 0}, "config.method.target_rank", "0"),
        ({"method.target_rank": "eight"}, "config.method.target_rank", "eight"),
        ({"method.initial_rank": 1}, "config.method.initial_rank", "target_rank 2"),
        ({"training.max_steps": 5}, "config.method.prune_interval", "does not fit"),
        ({"method.prune_interval": 90}, "config.method.prune_interval", "does not fit"),
        ({"training": {"epochs": 0.01, "batch_size": 8}}, "config.method.prune_interval", "does not fit"),
        ({"training.max_steps": None}, "config.training.max_steps", "epochs"),
        ({"method.name": "magic"}, "config.method", "magic"),
        ({"method.taget_rank": 3}, "config.method.taget_rank", "not a field"),
        ({"method.target_modules": ["quary"]}, "config.method.target_modules.0", "quary"),
        ({"method": {"name": "control"}}, "config.method.rank_pattern", "missing"),
        ({"method": {"name": "adalora", "target_rank": 0}}, "config.method.target_rank", "0"),
        ({"method": {"name": "eva", "rank": 0}}, "config.method.rank", "0"),
        ({"method": {"name": "lora_shrink", "target_rank": 0}}, "config.method.target_rank", "0"),
        ({"method": {"name": "sora", "rank": 0}}, "config.method.rank", "0"),
        ({"training.learning_rate": float("nan")}, "config.training.learning_rate", ""),
        ({"training.max_grad_norm": float("inf")}, "config.training.max_grad_norm", ""),
        ({"training": []}, "config.training", ""),
    ],
)
def test_invalid_configuration_names_its_field_and_a_next_step(
    api: httpx.Client, changes: dict[str, Any], field: str, in_message: str
) -> None:
    body = json.dumps({"config": config_with(**changes)})  # the standard encoder writes NaN, which httpx refuses
    problem = problem_of(api.post("/api/v1/runs", content=body, headers=JSON), 422)
    (error,) = problem["errors"]
    assert error["field"] == field
    assert in_message in error["message"]
    assert error["next_step"] or not in_message
    # The form validates while you type and gets the same texts, as a result instead of an error.
    verdict = api.post("/api/v1/runs/validate", content=body, headers=JSON)
    assert verdict.status_code == 200
    assert verdict.json()["plan"] is None
    (same,) = verdict.json()["problems"]
    assert (same["field"], same["message"], same["next_step"]) == (field, error["message"], error["next_step"])
    assert api.get("/api/v1/runs").json()["total"] == 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 422),
        (b"", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"\xff\xfe", 422),
        (b"[" * 100_000, 422),
    ],
)
def test_body_that_is_not_a_json_object_is_reported_for_the_body(
    api: httpx.Client, content: bytes, status: int
) -> None:
    problem = problem_of(api.post("/api/v1/runs", content=content, headers=JSON), status)
    assert problem["errors"][0]["field"] == "body"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b'{"name": "a", "config": {}, "name": "b"}', "name"),
        (b'{"config": {"training": {"max_steps": 1, "batch_size": 8, "max_steps": 2}}}', "config.training.max_steps"),
        (b'{"tags": [{"a": 1}, {"a": 1, "a": 1}]}', "tags.1.a"),
        (b'{"config": {"a": 1, "\\u0061": 2}}', "config.a"),
        (b'{"config": {"x": {"y": 1, "y": 2}}, "config": {}}', "config"),
    ],
)
def test_key_that_an_object_has_twice_is_refused_and_named(api: httpx.Client, content: bytes, field: str) -> None:
    problem = problem_of(api.post("/api/v1/runs", content=content, headers=JSON), 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["next_step"]


def test_an_object_has_at_most_ten_thousand_fields(api: httpx.Client) -> None:
    """Errors for more unknown fields would keep the server from answering others."""
    keys = ",".join(f'"k{number}":1' for number in range(MOST_KEYS - 1))
    problem = problem_of(api.post("/api/v1/runs", content=f'{{{keys},"k7":2}}', headers=JSON), 422)
    assert [error["field"] for error in problem["errors"]] == ["k7"]
    problem = problem_of(api.post("/api/v1/runs", content=f'{{"config":{{{keys},"a":1,"b":2}}}}', headers=JSON), 422)
    assert [(error["field"], error["message"]) for error in problem["errors"]] == [
        ("body", "has an object with 10,001 fields; at most 10,000 are accepted")
    ]
    assert problem["errors"][0]["next_step"]


def test_unknown_and_missing_fields_of_the_body_are_named(api: httpx.Client) -> None:
    problem = problem_of(api.post("/api/v1/runs", json={"confg": CONFIG}), 422)
    assert {error["field"] for error in problem["errors"]} == {"confg", "config"}
    assert all(error["next_step"] for error in problem["errors"])


def test_wrong_content_type_and_large_bodies_are_refused(api: httpx.Client) -> None:
    problem_of(api.post("/api/v1/runs", content=json.dumps({"config": CONFIG})), 415)
    problem_of(api.post("/api/v1/runs", data={"config": "x"}), 415)
    large = b'{"notes": "' + b"x" * LARGE_JSON.max_bytes + b'"}'
    problem_of(api.post("/api/v1/runs", content=large, headers=JSON), 413)
    problem_of(api.post("/api/v1/runs", content=iter([large]), headers=JSON), 413)  # without its length


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/api", 404),
        ("POST", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/runs", 405),
        ("DELETE", "/api/v1/models", 405),
        ("GET", "/api/v1/runs/unknown1", 404),
        ("GET", "/api/v1/runs/..%2F..%2Fetc", 404),
        ("GET", "/api/v1/runs/UPPER", 422),
        ("GET", "/api/v1/runs/unknown1/events/stream", 404),
        ("GET", "/api/v1/runs/unknown1/log", 404),
        ("GET", "/api/v1/runs/unknown1/ranks", 404),
        ("GET", f"/api/v1/runs/unknown1/events?after={10**30}", 422),
        ("GET", "/api/v1/runs/unknown1/metrics/x?points=none", 422),
    ],
)
def test_every_error_is_a_problem(api: httpx.Client, method: str, path: str, status: int) -> None:
    problem_of(api.request(method, path), status)


@given(
    body=some.recursive(
        some.none() | some.booleans() | some.floats() | some.integers() | some.text(max_size=8),
        lambda inner: (
            some.lists(inner, max_size=3)
            | some.dictionaries(
                some.sampled_from(["config", "model", "data", "method", "training", "id", "name", "x"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
@limits(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_makes_the_server_fail(api: httpx.Client, body: Any) -> None:
    answer = api.post("/api/v1/runs", content=json.dumps(body), headers=JSON)
    assert problem_of(answer, 422)["errors"][0]["field"]


def test_unexpected_error_reveals_little_and_is_logged(
    server: Server, api: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("rankscope.store.listing.run_list.list_runs", fail)
    answer = api.get("/api/v1/runs")
    assert "secret" not in problem_of(answer, 500)["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret detail" in caplog.text


def test_unreachable_database_is_a_503_with_a_next_step(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch, launch: Callable[..., str]
) -> None:
    run_id = launch()

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    for name in ("runs.get_run", "history.events.last_seq"):
        monkeypatch.setattr(f"rankscope.store.{name}", fail)
    assert problem_of(api.get(f"/api/v1/runs/{run_id}"), 503)["next_step"]
    assert problem_of(api.get(f"/api/v1/runs/{run_id}/events/stream"), 503)["next_step"]


@pytest.mark.parametrize("name", ["NUL \x00 inside", "lone \ud800 surrogate"])
def test_text_that_no_database_can_store_is_not_a_server_error(api: httpx.Client, name: str) -> None:
    answer = api.post("/api/v1/runs", content=json.dumps({"config": CONFIG, "name": name}), headers=JSON)
    assert answer.status_code in (201, 422)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rejected_statement_is_not_reported_as_an_unreachable_database(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """On real databases: a statement beyond their limits, and an unreachable database."""
    sqlite: Any = request.getfixturevalue("sqlite_url")
    engine = create_engine(sqlite if kind == "sqlite" else request.getfixturevalue("new_postgres")())
    with reading(engine) as session, pytest.raises(OperationalError) as refused:
        session.execute(text("SELECT " + "1+" * 100_000 + "1"))
    assert not is_out_of_reach(refused.value)
    engine.dispose()
    gone = "sqlite:////proc/none.db" if kind == "sqlite" else "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises((OperationalError, OSError)) as away:
        create_engine(gone).connect()
    assert is_out_of_reach(away.value)
