"""Reordering and editing the queue."""

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import Engine, update
from sqlmodel import col

from rankscope.contract.tables import Run
from rankscope.store.database.engine import writing
from tests.backend.conftest import Server
from tests.backend.store_setup import claim, read_run


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


def order(api: httpx.Client) -> list[str]:
    items = api.get("/api/v1/queue").json()["items"]
    assert [run["queue_position"] for run in items] == list(range(1, len(items) + 1))
    return [run["id"] for run in items]


def reorder(api: httpx.Client, *run_ids: str) -> httpx.Response:
    return api.post("/api/v1/queue/reorder", json={"run_ids": list(run_ids)})


def test_runs_start_in_the_order_that_was_set(api: httpx.Client, launch: Callable[..., str], engine: Engine) -> None:
    a, b, c, d = (launch(name=name) for name in "abcd")
    assert order(api) == [a, b, c, d]
    answer = reorder(api, d, a)
    assert [run["id"] for run in answer.json()["items"]] == [d, b, c, a]
    assert order(api) == [d, b, c, a]
    reorder(api, a, c, b, d)
    assert [getattr(claim(engine), "run_id", None) for _ in range(4)] == [a, c, b, d]


def test_a_run_takes_the_priority_of_its_new_place(
    api: httpx.Client, launch: Callable[..., str], engine: Engine
) -> None:
    low, high = launch(), launch(priority=5)
    assert order(api) == [high, low]
    reorder(api, low, high)
    assert order(api) == [low, high]
    assert (read_run(engine, low).priority, read_run(engine, high).priority) == (5, 0)


def test_runs_that_were_queued_in_the_same_moment_can_be_ordered(
    api: httpx.Client, launch: Callable[..., str], engine: Engine
) -> None:
    three = sorted(launch() for _ in range(3))
    with writing(engine) as session:
        session.execute(update(Run).where(col(Run.id).in_(three)).values(queue_order=1.0))
    assert order(api) == three
    reorder(api, *reversed(three))
    assert order(api) == three[::-1]


def test_nothing_moves_when_one_of_them_has_started(
    api: httpx.Client, launch: Callable[..., str], engine: Engine
) -> None:
    a, b, c = launch(), launch(), launch()
    assert claim(engine) is not None
    refused = reorder(api, c, a, b)
    assert refused.status_code == 409
    assert refused.json()["detail"] == f"Run {a} is starting; only waiting runs have a position."
    assert order(api) == [b, c]
    assert reorder(api, b, b).json()["errors"][0]["message"] == "contains a run twice"
    assert reorder(api, "nosuchrun").status_code == 404
    assert reorder(api).status_code == 422
