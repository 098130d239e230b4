"""A write transaction holds the database's only lock: meanwhile no response is built and no file is accessed."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from rankscope.api.shapes.base import Problem
from rankscope.contract.events import CheckpointEvent
from rankscope.contract.status import RunStatus
from rankscope.store import runs, workers
from rankscope.store.database.engine import writing
from rankscope.store.history import events
from tests.backend.conftest import CONFIG, Server, config_with
from tests.backend.store_setup import append, begin, claim, losses, modules
from tests.backend.write_watch import Watch, watched


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


@pytest.fixture
def watch(engine: Engine) -> Iterator[Watch]:
    with watched(engine) as watch:
        yield watch


class Caller:
    """Calls the API, and notes which operations were called with success."""

    def __init__(self, api: httpx.Client) -> None:
        self._api = api
        self.called: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, status: int, run_id: str = "", body: Any = None) -> Any:
        answer = self._api.request(
            method, f"/api/v1{path.format(run_id=run_id, sweep_id=run_id, probe_id=run_id)}", json=body
        )
        assert answer.status_code == status, answer.text
        self.called.add((method.lower(), f"/api/v1{path}"))
        return answer.json() if answer.content else None

    def upload(self, path: str, status: int, content: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        answer = self._api.post(f"/api/v1{path}", content=content, headers=headers)
        assert answer.status_code == status, answer.text
        self.called.add(("post", f"/api/v1{path}"))


def _checkpoint(engine: Engine, server: Server, run_id: str, step: int) -> None:
    folder: Path = server.settings.checkpoint_dir(run_id, 1, step)
    folder.mkdir(parents=True)
    (folder / "state.bin").write_bytes(bytes(100))
    (folder / "manifest.json").write_text(json.dumps({"step": step, "notes": {}, "files": {"state.bin": {}}}))
    with writing(engine) as session:
        events.append_unfenced(session, run_id, [CheckpointEvent(step=step, size_bytes=100)], now=5)


def test_no_route_builds_an_answer_or_touches_a_file_within_a_write_transaction(
    server: Server, api: httpx.Client, engine: Engine, watch: Watch
) -> None:
    call = Caller(api)
    first, second = (call("POST", "/runs", 201, body={"config": CONFIG})["id"] for _ in range(2))
    call("PATCH", "/runs/{run_id}", 200, first, {"name": "changed", "tags": ["a"], "notes": "b"})
    labels = call("POST", "/runs/labels", 200, body={"run_ids": [first], "add_tags": ["b"], "archived": True})
    call("POST", "/runs/labels/restore", 200, body={"items": labels["before"]})
    call("PUT", "/runs/{run_id}/config", 200, second, {"config": config_with(**{"training.seed": 3})})
    call("POST", "/queue/reorder", 200, body={"run_ids": [second, first]})
    call("POST", "/queue/reorder", 200, body={"run_ids": [first, second]})
    with writing(engine) as session:
        workers.register(session, name="w", host="h", pid=1, version="1", slots=1, gpus=[], now=time.time())
    probe_id = call("POST", "/probes", 202, body={"config": CONFIG})["id"]
    call("POST", "/probes/{probe_id}/cancel", 204, probe_id)
    claimed = claim(engine)
    assert claimed is not None
    assert claimed.run_id == first
    begin(engine, claimed)
    append(engine, claimed, [modules(), *losses(1, 2, 3)])
    _checkpoint(engine, server, first, 3)
    call("POST", "/runs/{run_id}/steer", 202, first, {"action": "hold"})
    call("POST", "/runs/{run_id}/fork", 201, first, {"changes": {"training": {"learning_rate": 0.01}}})
    call("POST", "/runs/{run_id}/stop", 200, first)
    with writing(engine) as session:
        runs.transition(session, runs.get_run(session, first), RunStatus.stopped, now=9, reason="stopped")
    call(
        "POST",
        "/runs/{run_id}/retry",
        200,
        first,
        {"changes": {"training": {"batch_size": 4, "gradient_accumulation": 2}}},
    )
    call("POST", "/runs/{run_id}/stop", 200, first)
    call("POST", "/runs/{run_id}/resume", 200, first)
    call("POST", "/runs/{run_id}/stop", 200, first)
    call.upload("/runs/import", 201, api.get(f"/api/v1/runs/{first}/bundle").content)
    call("DELETE", "/runs/{run_id}", 204, first)
    _steer_a_sweep(call)
    assert watch.misplaced == []
    assert len(watch.durations_s) > len(call.called)
    writes = {
        (method, path)
        for path, operations in api.get("/api/v1/openapi.json").json()["paths"].items()
        for method, operation in operations.items()
        if method != "get" and {"runs", "queue", "sweeps"} & set(operation["tags"])
    }
    only_answers = {("post", f"/api/v1/{name}") for name in ("runs/validate", "runs/switch-method", "sweeps/validate")}
    assert writes - call.called == only_answers, "call the new route above, too"


def _steer_a_sweep(call: Caller) -> None:
    asked = {
        "name": "a",
        "config": CONFIG,
        "parameters": {"training.learning_rate": {"low": 0.001, "high": 0.1}},
        "search": {"kind": "random", "points": 2},
    }
    sweep_id = call("POST", "/sweeps", 201, body=asked)["id"]
    call("PATCH", "/sweeps/{sweep_id}", 200, sweep_id, {"name": "b"})
    for action in ("pause", "resume", "stop"):
        call("POST", f"/sweeps/{{sweep_id}}/{action}", 200, sweep_id)
    call("POST", "/sweeps/{sweep_id}/extend", 200, sweep_id, {"points": 1})
    call("DELETE", "/sweeps/{sweep_id}", 204, sweep_id)


def test_watch_sees_a_shape_and_a_file_within_a_write_transaction(engine: Engine, watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Problem(title="", status=400, detail="", next_step="", errors=[])
    assert watch.misplaced == []
    with writing(engine) as session:
        session.execute(text("SELECT 1"))
        (tmp_path / "file").read_text()
        problem = Problem(title="", status=400, detail="", next_step="", errors=[])
        Problem.model_validate(problem.model_dump())
    assert [what.split(" ")[0] for what in watch.misplaced] == ["open", "Problem", "Problem"]
