"""A log followed over one connection: everything arrives in order, and a new attempt's log from its start."""

import json
from collections.abc import Iterator

import httpx
import pytest

from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs
from rankscope.store.database.engine import writing
from tests.backend.conftest import Server, attempt_file
from tests.backend.store_setup import claim, training_run
from tests.stack import TOKEN


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def parts(answer: httpx.Response) -> Iterator[tuple[int, str]]:
    """(attempt, text) of each part until the end event."""
    for line in answer.iter_lines():
        if line == "event: end":
            return
        if line.startswith("data: "):
            part = json.loads(line[6:])
            yield part["attempt"], part["text"]


def test_log_is_streamed_in_order_until_the_run_has_ended(server: Server) -> None:
    engine = server.app.state.resources.engine
    claimed = training_run(engine)
    run_id = claimed.run_id
    path = attempt_file(server.settings, run_id, "log.txt", "one\n")
    address = f"{server.url}/api/v1/runs/{run_id}/log/stream"
    with httpx.stream("GET", address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20, verify=False) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        read = parts(answer)
        assert next(read) == (1, "one\n")
        with path.open("a") as log:
            log.write("two\nthr")
        assert next(read) == (1, "two\n")
        with path.open("a") as log:
            log.write("ee\n")
        assert next(read) == (1, "three\n")
        with writing(engine) as session:
            queue.give_up_lease(session, runs.get_run(session, run_id), now=9, reason="worker_lost", message="gone")
        assert list(read) == []
    again = claim(engine)
    assert again
    attempt_file(server.settings, run_id, "log.txt", "second\n", attempt=2)
    with httpx.stream(
        "GET", address, params={"offset": 9}, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20, verify=False
    ) as answer:
        read = parts(answer)
        assert next(read)[0] == 2
        with writing(engine) as session:
            runs.transition(session, runs.get_run(session, run_id), RunStatus.failed, now=9)
        assert list(read) == []


def test_a_run_that_does_not_exist_has_no_log_to_follow(server: Server, api: httpx.Client) -> None:
    assert api.get("/api/v1/runs/nosuchrun/log/stream").status_code == 404
