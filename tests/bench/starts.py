"""The time a training process needs to reach its first step on a large data set, for the first and the second run."""

import os
from typing import Any

import httpx

from tests.stack import Stack, wait_for

from .rows import Rows

_LIMIT_S = 10.0
_RUNS = ("first", "second")


def measure_starts(rows: Rows, stack: Stack, api: httpx.Client, config: dict[str, Any], n_rows: int) -> None:
    """From the child's start until its first step is recorded. The worker is running, and the split is counted.

    The first start of a worker also waits for its imports, as does one after ten minutes without a start. If the
    installation has the tokens from an earlier call, both starts take them from the cache.
    """
    short = {"max_steps": 2, "max_length": 64, "batch_size": 8}
    config = config | {
        "data": config["data"] | {"max_eval_rows": 1000},
        "method": {"name": "lora", "rank": 2},
        "training": short,
    }
    times, loads = {}, {}
    tokens_folder = stack.settings.data_dir / "tokens"
    first = "from the cache, with the worker's imports" if tokens_folder.is_dir() else "tokenizing"
    for name in _RUNS:
        loads[name] = os.getloadavg()[0]
        times[name] = _seconds_to_first_step(api, config)
    tokens = sum(path.stat().st_size for path in tokens_folder.glob("*/*")) / 1e6
    size = f"{n_rows:,} rows, {tokens:,.0f} MB of tokens"
    rows.tell(
        f"child: start to first step, {first}",
        times["first"],
        "s",
        f"{size}; load of the machine: {loads['first']:.1f}",
    )
    against = f"{size}; load of the machine before: {loads['second']:.1f}"
    rows.at_most("child: start to first step, the second time", times["second"], _LIMIT_S, "s", against)


def _seconds_to_first_step(api: httpx.Client, config: dict[str, Any]) -> float:
    validated = {"config": config}
    wait_for("the split", lambda: api.post("/runs/validate", json=validated).json()["plan"], deadline_s=7200, every_s=1)
    run = api.post("/runs", json={"config": config}).raise_for_status().json()
    address = f"/runs/{run['id']}/events"

    def first_step() -> dict[str, Any] | None:
        state = api.get(f"/runs/{run['id']}").json()
        assert state["status"] not in ("failed", "interrupted"), state
        found = api.get(address, params={"kind": "metrics", "limit": 1}).json()["items"]
        return found[0] if found else None

    step = wait_for("the first step", first_step, deadline_s=14_400, every_s=0.2)
    events = api.get(address, params={"kind": "status"}).json()["items"]
    began = next(event["time"] for event in events if event["status"] == "starting")
    wait_for("the end", lambda: api.get(f"/runs/{run['id']}").json()["status"] == "done", deadline_s=600, every_s=0.5)
    return float(step["time"] - began)
