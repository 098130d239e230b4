"""The cost of recording in the training thread, and how many numbers per second reach the database."""

import time

import numpy as np

from rankscope.contract.events import MetricsEvent
from tests.bench.live.stage import Stage
from tests.bench.rows import Rows

CALLS, CALLS_PER_S = 6000, 400
STEPS, WIDTH = 2000, 100


def record_latency(rows: Rows, stage: Stage) -> None:
    """Times each call of record() in a thread that sleeps between the calls, like a training step."""
    claimed = stage.running_run()
    took = np.empty(CALLS)
    with stage.recorder(claimed) as recorder:
        for step in range(CALLS):
            event = MetricsEvent(step=step, values={f"metric{index}": step / (index + 1) for index in range(10)})
            began = time.perf_counter()
            recorder.record(event)
            took[step] = time.perf_counter() - began
            time.sleep(1 / CALLS_PER_S)
    against = f"{CALLS} calls at {CALLS_PER_S} a second, 10 values each, {stage.database}"
    rows.at_most("record() in the training thread, p99", 1000 * float(np.quantile(took, 0.99)), 0.3, "ms", against)
    rows.tell("record() in the training thread, p50", 1000 * float(np.quantile(took, 0.5)), "ms", against)


def intake(rows: Rows, stage: Stage) -> None:
    """From the first record() to the last commit."""
    claimed = stage.running_run()
    events = [
        MetricsEvent(step=step, values={f"rank/{index}": (step * index) % 97 / 7 for index in range(WIDTH)})
        for step in range(STEPS)
    ]
    began = time.perf_counter()
    with stage.recorder(claimed) as recorder:
        for event in events:
            recorder.record(event)
        recorder.flush()
        took = time.perf_counter() - began
    rows.at_least(
        f"points taken in through the recorder, {stage.database}",
        STEPS * WIDTH / took,
        50_000,
        "points/s",
        f"{STEPS} steps of {WIDTH} values, until all are committed",
    )
