"""Limits of the API: the largest valid run, and what it costs other requests. `make bench-limits`."""

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from rankscope.contract.config import RunConfig
from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine, writing
from rankscope.store.runs import create_run
from rankscope.store.workers import heartbeat
from tests.backend.api.test_bounds import largest
from tests.backend.conftest import fill_catalogue
from tests.backend.write_watch import watched
from tests.bench.rows import Rows
from tests.bench.served import served
from tests.stack import TOKEN

ROUNDS = 15
REWRITES = 20
DATA_BYTES = 40_000_000


def main() -> None:
    rows = Rows("limits")
    with tempfile.TemporaryDirectory() as name:
        settings = fill_catalogue(Settings(_env_file=None, data_dir=Path(name), token=TOKEN, port=free_port()))
        with served(settings) as (api, pid):
            _largest_run(api, settings, rows)
            rows.store()
            _rewrites(api, settings, pid, rows)
    rows.store()


def _timed_ms(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1000


def _largest_run(api: httpx.Client, settings: Settings, rows: Rows) -> None:
    body = json.dumps(largest())
    headers = {"Content-Type": "application/json"}
    answers: list[httpx.Response] = []

    def launch() -> None:
        answers.append(api.post("/runs", content=body, headers=headers))
        assert answers[-1].status_code == 201, answers[-1].text

    launch()  # the first request imports, and fills the caches of the catalogue
    alone = statistics.median(_timed_ms(launch) for _ in range(ROUNDS))
    what = "steps 10,000,000, interval 1, 1,000 acts of steering, notes of 15,000 characters"
    rows.at_most("POST /runs, the largest configuration", alone, 300, "ms", what)
    rows.at_most("answer of POST /runs, the largest configuration", len(answers[-1].content) / 1000, 200, "kB", what)
    run_id = answers[-1].json()["id"]
    read = statistics.median(_timed_ms(lambda: api.get(f"/runs/{run_id}")) for _ in range(ROUNDS))
    rows.at_most("GET of that run", read, 200, "ms", what)
    rows.at_most("write lock held by POST /runs, the largest configuration", _lock_held_ms(settings), 20, "ms", what)
    rows.tell("write of a second writer, alone, longest", _second_writer(settings, lambda: None), "ms")
    rows.tell("write of a second writer beside POST /runs, longest", _second_writer(settings, launch), "ms")
    _lock_held_ms(settings, rounds=500 - api.get("/runs?limit=1").json()["total"])
    page: list[httpx.Response] = []
    listed = statistics.median(_timed_ms(lambda: page.append(api.get("/runs?limit=500"))) for _ in range(5))
    rows.at_most("GET /runs, a page of 500", listed, 500, "ms", what)
    rows.tell("answer of GET /runs, a page of 500", len(page[-1].content) / 1000, "kB")


def _lock_held_ms(settings: Settings, rounds: int = ROUNDS) -> float:
    """Milliseconds for which the route's work holds its write transaction, from the lock to the commit."""
    engine = create_engine(settings.resolved_database_url)
    body = largest()
    config = RunConfig.model_validate(body.pop("config"))
    with watched(engine) as watch:
        for _ in range(rounds):
            with writing(engine) as session:
                create_run(session, config, now=time.time(), total_steps=10_000_000, **body)
    engine.dispose()
    return 1000 * statistics.median(watch.durations_s)


def _second_writer(settings: Settings, beside: Callable[[], None]) -> float:
    """The longest write of a worker's heartbeat, in ms, while `beside` runs ten times."""
    engine = create_engine(settings.resolved_database_url)
    over = threading.Event()
    waits: list[float] = []

    def beat() -> None:
        with writing(engine) as session:
            heartbeat(session, "bench", now=time.time(), gpus=[], is_draining=False)

    def write() -> None:
        while not over.is_set():
            waits.append(_timed_ms(beat))
            over.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(10):
        beside()
        over.wait(0.1)
    over.set()
    writer.join()
    engine.dispose()
    return max(waits)


def _rewrites(api: httpx.Client, settings: Settings, pid: int, rows: Rows) -> None:
    """Memory of the server while a data set of 40 MB is rewritten repeatedly and requested each time."""
    path = settings.datasets_dir / "rewritten.csv"
    memory: list[float] = []
    for turn in range(REWRITES):
        line = "a text of some length and number {} of those that were written in turn {},{}\n"
        count = DATA_BYTES // len(line)
        lines = (line.format(place, turn, ("good", "bad")[place % 2]) for place in range(count))
        path.write_text("text,label\n" + "".join(lines), encoding="utf-8")
        config = largest()["config"] | {"data": {"id": "local:rewritten"}}
        answer = api.post("/runs/validate", json={"config": config})
        assert answer.json()["plan"], answer.text
        memory.append(_resident_mb(pid))
    rows.tell("memory after the first rewrite of a data set of 40 MB", memory[0], "MB")
    rows.at_most(
        "memory after 20 rewrites, against the first", memory[-1] / memory[0], 1.05, "ratio", "after the first"
    )


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1000


if __name__ == "__main__":
    main()
