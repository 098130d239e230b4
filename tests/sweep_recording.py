"""Responses about sweeps, for the page's tests: `python -m tests.sweep_recording` writes them.

tests/backend/api/routes/trials/test_sweeps.py checks that the server still responds the same. A stand-in for the worker
finishes the runs, with results that are chosen here.
"""

import json
import math
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rankscope.app import create_app
from rankscope.contract.events import MetricsEvent
from rankscope.contract.status import RunStatus
from rankscope.launch.sweeps.advance import advance
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import writing
from rankscope.store.history import events
from tests.backend.conftest import CONFIG, fill_catalogue
from tests.stack import TOKEN

Json = dict[str, Any]
FILE = Path(__file__).parents[1] / "frontend" / "src" / "features" / "sweeps" / "sweeps.recorded.json"

GRID: Json = {
    "name": "Rates and ranks",
    "config": CONFIG,
    "parameters": {
        "training.learning_rate": {"low": 0.001, "high": 0.1, "scale": "log", "count": 3},
        "method.target_rank": {"values": [1, 2]},
    },
    "search": {"kind": "grid"},
    "seeds": [0, 1],
}
RANDOM: Json = {
    "name": "Twelve points",
    "notes": "The rate matters more than the score.",
    "config": CONFIG,
    "parameters": {
        "training.learning_rate": {"low": 0.0001, "high": 0.1, "scale": "log"},
        "method.score": {"values": ["norm", "sensitivity"]},
    },
    "search": {"kind": "random", "points": 12, "seed": 3},
}
HALVING: Json = {
    "name": "Stopped early",
    "config": CONFIG,
    "parameters": {"training.learning_rate": {"low": 0.0001, "high": 0.1, "scale": "log"}},
    "search": {"kind": "halving", "points": 4, "reduction_factor": 2, "min_steps": 25},
}


class Worker:
    """Finishes the runs of a server with chosen results."""

    def __init__(self, app: FastAPI) -> None:
        self._resources = app.state.resources

    def advance(self, sweep_id: str) -> None:
        advance(self._resources.engine, self._resources.settings, self._resources.catalog, sweep_id, now=9.0)

    def start(self) -> queue.Claim:
        with writing(self._resources.engine) as session:
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=3000, now=time.time())
            assert claim is not None
            queue.begin_training(session, claim.run_id, claim.attempt, start_step=0, now=3.0)
        return claim

    def evaluate(self, claim: queue.Claim, step: int, value: float) -> None:
        with writing(self._resources.engine) as session:
            happened = [MetricsEvent(step=step, values={"eval_accuracy": value})]
            events.append(session, claim.run_id, claim.attempt, happened, now=4.0)

    def end(
        self, claim: queue.Claim, status: RunStatus = RunStatus.done, reason: str = "", message: str | None = None
    ) -> None:
        with writing(self._resources.engine) as session:
            run = runs.get_run(session, claim.run_id)
            runs.transition(session, run, status, now=5.0, reason=reason or None, message=message)

    def train(self, score: Callable[[Json], float]) -> None:
        """Finishes the next run."""
        claim = self.start()
        self.evaluate(claim, 100, score(dict(claim.config)))
        self.end(claim)


def record(api: httpx.Client | TestClient, app: FastAPI) -> Json:
    """The list of sweeps, then for each sweep the responses that its page requests."""
    worker = Worker(app)

    def launch(asked: Json) -> str:
        made = api.post("/api/v1/sweeps", json=asked)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    grid = launch(GRID)
    for value in (0.5, 0.7, 0.6, 0.6, 0.8, 0.9):
        worker.train(lambda _, value=value: value)  # type: ignore[misc]
    worker.end(worker.start(), RunStatus.failed, "out_of_memory", "Out of memory at step 3.")
    worker.end(worker.start(), RunStatus.failed, "nan_loss", "The loss is NaN at step 7.")
    worker.evaluate(worker.start(), 40, 0.55)
    worker.advance(grid)
    api.post(f"/api/v1/sweeps/{grid}/pause")

    done = launch(RANDOM)
    for _ in range(12):
        worker.train(_score)
    worker.advance(done)
    worker.advance(done)

    halving = launch(HALVING)
    started = [worker.start() for _ in range(4)]
    for claim, value in zip(started, (0.6, 0.5, 0.7, 0.4), strict=True):
        worker.evaluate(claim, 50, value)
        worker.advance(halving)

    found: Json = {"list": _get(api, "")}
    ids = {"grid": grid, "done": done, "halving": halving}
    for name, sweep_id in ids.items():
        found[name] = {"sweep": _get(api, f"/{sweep_id}"), "leaderboard": _get(api, f"/{sweep_id}/leaderboard")}
        found[name]["sweep"]["design"]["config"] = {}  # long, and not shown on the page
    found["done"]["analysis"] = _get(api, f"/{done}/analysis")
    matrix = {"format": "markdown", "rows": "method.target_rank", "columns": "training.learning_rate"}
    found["grid"]["table"] = api.get(f"/api/v1/sweeps/{grid}/table", params=matrix).text
    return _without_chance(found, ids)


def _get(api: httpx.Client | TestClient, path: str) -> Json:
    answer = api.get(f"/api/v1/sweeps{path}")
    assert answer.is_success, answer.text
    found: Json = answer.json()
    return found


def _score(config: Json) -> float:
    training, method = config["training"], config["method"]
    return round(0.8 - abs(math.log10(training["learning_rate"] / 0.01)) / 10 + 0.01 * len(method["score"]) / 10, 4)


def _without_chance(found: Json, ids: dict[str, str]) -> Json:
    """Ids, times and the number of changes differ each time."""
    text = json.dumps(found)
    for name, sweep_id in ids.items():
        text = text.replace(sweep_id, f"sweep-{name}")
    run_ids = dict.fromkeys(re.findall(r'"run_id": "(\w+)"', text))
    for number, run_id in enumerate(run_ids, start=1):
        text = text.replace(f'"{run_id}"', f'"run-{number}"')
    text = re.sub(r'"(created_at|updated_at)": [\d.e+]+', r'"\1": 1790000000', text)
    text = re.sub(r'"active_s": [\d.e+]+', '"active_s": 0', text)
    text = re.sub(r'"revision": \d+', '"revision": 1', text)
    normal: Json = json.loads(text)
    return normal


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = fill_catalogue(Settings(_env_file=None, data_dir=Path(folder), token=TOKEN, hardware_every_s=0))
        app = create_app(settings)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with TestClient(app, base_url="http://127.0.0.1", headers=headers) as client:
            FILE.write_text(json.dumps(record(client, app), ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
