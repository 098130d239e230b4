"""A live run in Chromium: from step to paint, bytes of the whole page, and its heap over eight simulated hours."""

import time

import numpy as np

from rankscope.contract.events import MetricsEvent
from tests.bench.live.browser import HEATMAP, settle, tab
from tests.bench.live.stage import Stage, ranks_event
from tests.bench.live.streaming import ten_metrics
from tests.bench.rows import Rows

SECONDS = 40
EVENTS, HOURS = 40_000, 8
PER_SNAPSHOT = 20


def step_to_paint(rows: Rows, stage: Stage) -> None:
    """One snapshot of 72 x 12 and ten metrics a second, watched by one page."""
    claimed = stage.running_run(modules=72, width=12, total_steps=1000)
    with tab(stage) as opened, stage.recorder(claimed) as recorder:
        recorder.record(ranks_event(1))
        recorder.record(ten_metrics(1))
        opened.open_run(claimed.run_id)
        opened.first_chart_ms()
        opened.page.wait_for_selector(f"{HEATMAP} .js-plotly-plot .main-svg")
        settle(opened.page, 4)
        before, began, sent = opened.wire_bytes, time.monotonic(), {}
        for step in range(2, SECONDS + 2):
            sent[step] = time.time()
            recorder.record(ranks_event(step))
            recorder.record(ten_metrics(step))
            settle(opened.page, max(0.0, began + step - 1 - time.monotonic()))
        settle(opened.page, 1)
        watched = opened.wire_bytes - before
        seconds = time.monotonic() - began
        painted = opened.painted()
    delays = [1000 * (painted[step] - at) for step, at in sent.items() if step in painted]
    if len(delays) < 0.95 * len(sent):
        raise RuntimeError(f"Of {len(sent)} snapshots {len(delays)} were painted.")
    against = f"{SECONDS} snapshots of 72 x 12 and ten metrics, one of each a second; {stage.database}"
    rows.at_most("step to paint in the browser, p95", float(np.quantile(delays, 0.95)), 250, "ms", against)
    rows.tell("step to paint in the browser, p50", float(np.quantile(delays, 0.5)), "ms", against)
    rows.at_most(
        "bytes to watch a run, everything that the page asks for", watched / seconds / 1000, 20, "kB/s", against
    )


def heap_over_hours(rows: Rows, stage: Stage) -> None:
    """The heap while the page watches 40,000 events, as many as eight hours of a run produce.

    In the first hour each snapshot is drawn, as in a real run: by its end the browser has compiled most of the code
    that it runs often. The later hours are sped up. Growth is reported separately for compiled code and for the page's
    own data.
    """
    claimed = stage.running_run(modules=72, width=12, total_steps=EVENTS)
    hour = EVENTS // HOURS
    heaps: list[int] = []
    compiled: list[int] = []
    with tab(stage) as opened, stage.recorder(claimed) as recorder:
        opened.open_run(claimed.run_id)
        for step in range(EVENTS):
            is_snapshot = step % PER_SNAPSHOT == 0
            recorder.record(
                ranks_event(step, pruning=step % 1000 == 0)
                if is_snapshot
                else MetricsEvent(step=step, values={"train_loss": 1 / (step + 1), "grad_norm": step % 7 / 7})
            )
            batch = PER_SNAPSHOT if step < hour else 5 * PER_SNAPSHOT
            if (step + 1) % batch == 0:
                settle(opened.page, 0.2)
            if (step + 1) % hour == 0:
                recorder.flush()
                settle(opened.page, 3)
                heaps.append(opened.heap_bytes())
            if step + 1 in (hour, EVENTS):
                compiled.append(opened.compiled_bytes())
    against = "MB after each hour: " + ", ".join(f"{heap / 1e6:.1f}" for heap in heaps)
    rows.at_most(
        "heap of the page, largest after the first hour / after the first",
        max(heaps[1:]) / heaps[0],
        1.2,
        "ratio",
        against,
    )
    data = [heap - code for heap, code in zip((heaps[0], heaps[-1]), compiled, strict=True)]
    rows.tell(
        "heap of the page without compiled code, after eight hours / after the first",
        data[1] / data[0],
        "ratio",
        f"MB: {data[0] / 1e6:.1f}, {data[1] / 1e6:.1f}; compiled code: {compiled[0] / 1e6:.1f}, {compiled[1] / 1e6:.1f}",
    )
