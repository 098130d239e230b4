"""From a step to the client: latency with many viewers, its cost in the API, and the bytes of the stream."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rankscope.contract.events import MetricsEvent
from tests.bench.live.stage import Stage, ranks_event
from tests.bench.rows import Rows

VIEWERS, EVENTS_PER_S, SECONDS = 50, 20, 30


@contextmanager
def viewers(stage: Stage, run: str, count: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Viewers that watch from entry on; the dictionary is filled at exit."""
    command = [sys.executable, "-m", "tests.bench.live.viewers", str(stage.stack.settings.port), run]
    process = subprocess.Popen([*command, str(count), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline() != "open\n":
        raise RuntimeError("The viewers could not connect.")
    seen: dict[str, Any] = {}
    yield seen
    output, _ = process.communicate(timeout=seconds + 60)
    seen |= json.loads(output)


def many_viewers(rows: Rows, stage: Stage) -> None:
    """Events at a steady rate to many viewers of one run."""
    claimed = stage.running_run()
    with viewers(stage, claimed.run_id, VIEWERS, SECONDS + 2) as seen, stage.recorder(claimed) as recorder:
        api, cpu_before, began = stage.api, sum(stage.api.cpu_times()[:2]), time.perf_counter()
        for index in range(SECONDS * EVENTS_PER_S):
            recorder.record(MetricsEvent(step=index, values={"train_loss": 1 / (index + 1), "sent": time.time()}))
            time.sleep(max(0.0, began + (index + 1) / EVENTS_PER_S - time.perf_counter()))
        cpu = (sum(api.cpu_times()[:2]) - cpu_before) / (time.perf_counter() - began)
    sent = SECONDS * EVENTS_PER_S
    if len(seen["delays_ms"]) != VIEWERS * sent:
        raise RuntimeError(f"Of {VIEWERS * sent} deliveries {len(seen['delays_ms'])} were seen.")
    p50, p95 = np.quantile(seen["delays_ms"], [0.5, 0.95])
    against = f"{VIEWERS} viewers, {EVENTS_PER_S} events/s, {SECONDS} s, {stage.database}"
    rows.at_most(f"step to the client, p50, {stage.database}", float(p50), 15, "ms", against)
    rows.at_most(f"step to the client, p95, {stage.database}", float(p95), 60, "ms", against)
    rows.at_most(f"CPU of the API meanwhile, {stage.database}", 100 * cpu, 15, "% of a core", against)


def bytes_of_the_stream(rows: Rows, stage: Stage, seconds: int = 20) -> None:
    """One snapshot of 72 x 12 and ten metrics a second."""
    claimed = stage.running_run(modules=72, width=12)
    with viewers(stage, claimed.run_id, 1, seconds + 2) as seen, stage.recorder(claimed) as recorder:
        for step in range(1, seconds + 1):
            recorder.record(ten_metrics(step))
            recorder.record(ranks_event(step))
            time.sleep(1)
    rows.tell("bytes of the event stream", seen["bytes"] / seconds / 1000, "kB/s", "72 modules x 12, with its start")


def ten_metrics(step: int) -> MetricsEvent:
    names = ["train_loss", "learning_rate", "grad_norm", "dem", "steps_per_second", *(f"more{i}" for i in range(5))]
    return MetricsEvent(step=step, values={name: (step * (index + 3)) % 101 / 17 for index, name in enumerate(names)})
