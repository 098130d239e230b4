"""The same numbers through RankScope and other trackers: intake, delay, and bytes fetched while watching."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from rankscope.contract.events import MetricsEvent
from tests.bench.live.stage import Stage
from tests.bench.live.streaming import viewers
from tests.bench.live.tracker_side import GAP_S, SINGLE, STEPS, STEPS_PER_S, WIDTH, row
from tests.bench.rows import Rows

TRACKERS = ("trackio", "tensorboard")


def against_trackers(rows: Rows, stage: Stage, python: Path) -> None:
    """`python`: one that has the trackers. Ours is measured before each of them, on the same machine."""
    for tracker in TRACKERS:
        ours = _ours(stage)
        theirs = _theirs(python, tracker)
        name = f"{tracker} {theirs['version']}"
        both = "ours {:.4g} {unit}, " + name + " {:.4g} {unit}; " + f"{STEPS} steps x {WIDTH} values"
        rows.at_least(
            f"points taken in: ours / {name}",
            ours["points_per_s"] / theirs["points_per_s"],
            1,
            "ratio",
            both.format(ours["points_per_s"], theirs["points_per_s"], unit="points/s"),
        )
        rows.at_most(
            f"from the log call until it shows: ours / {name}",
            ours["delay_ms"] / theirs["delay_ms"],
            1,
            "ratio",
            both.format(ours["delay_ms"], theirs["delay_ms"], unit="ms"),
        )
        rows.at_most(
            f"bytes to watch: ours / {name}",
            ours["bytes"] / theirs["bytes"],
            1,
            "ratio",
            both.format(ours["bytes"] / 1e6, theirs["bytes"] / 1e6, unit="MB") + f" at {STEPS_PER_S} steps/s",
        )


def _ours(stage: Stage) -> dict[str, float]:
    claimed = stage.running_run()
    began = time.perf_counter()
    with stage.recorder(claimed) as recorder:
        for step in range(STEPS):
            recorder.record(MetricsEvent(step=step, values=row(step)))
        recorder.flush()
        taken = time.perf_counter() - began

    claimed = stage.running_run()
    with viewers(stage, claimed.run_id, 1, SINGLE * GAP_S + 3) as seen, stage.recorder(claimed) as recorder:
        for step in range(SINGLE):
            recorder.record(MetricsEvent(step=step, values={"sent": time.time()}))
            time.sleep(GAP_S)
    delay_ms = float(np.median(seen["delays_ms"]))

    claimed = stage.running_run()
    seconds = STEPS / STEPS_PER_S
    with viewers(stage, claimed.run_id, 1, seconds + 5) as seen, stage.recorder(claimed) as recorder:
        began = time.perf_counter()
        for step in range(STEPS):
            recorder.record(MetricsEvent(step=step, values=row(step)))
            time.sleep(max(0.0, began + (step + 1) / STEPS_PER_S - time.perf_counter()))
    if seen["events"][0] < STEPS:
        raise RuntimeError(f"Of {STEPS} events {seen['events'][0]} were seen.")
    return {"points_per_s": STEPS * WIDTH / taken, "delay_ms": delay_ms, "bytes": seen["bytes"]}


def _theirs(python: Path, tracker: str) -> dict[str, Any]:
    script = Path(__file__).with_name("tracker_side.py")
    done = subprocess.run([str(python), str(script), tracker], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{tracker} could not be measured:\n{done.stderr[-2000:]}")
    side: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return side
