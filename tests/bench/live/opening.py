"""Opening and scrubbing through a long run: 100,000 steps, 30 metrics, 500 snapshots of 224 modules x 32."""

import time
from urllib.parse import urlsplit

import httpx
import numpy as np

from rankscope.contract.events import MetricsEvent, RunEvent
from rankscope.store.database.engine import writing
from rankscope.store.history import events
from rankscope.store.queue import Claim
from tests.bench.live.browser import HEATMAP, Tab, scripts_before_plotly, settle, tab
from tests.bench.live.stage import Stage, ranks_event
from tests.bench.rows import Rows
from tests.stack import TOKEN

STEPS, METRICS, SNAPSHOTS, MODULES, WIDTH = 100_000, 30, 500, 224, 32
KEYS = 60
_PRESS = """
async (count) => {
  const heatmap = document.querySelector('HEATMAP');
  const chart = heatmap.querySelector('.js-plotly-plot');
  heatmap.focus();
  const took = [];
  for (let index = 0; index < count; index++) {
    const before = heatmap.dataset.step;
    const began = performance.now();
    heatmap.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', shiftKey: true, bubbles: true, cancelable: true}));
    await new Promise((done) => {
      const drawn = () => {
        if (heatmap.dataset.step === before) return;
        chart.removeListener('plotly_afterplot', drawn);
        requestAnimationFrame(done);
      };
      chart.on('plotly_afterplot', drawn);
    });
    took.push(performance.now() - began);
  }
  return took;
}
""".replace("HEATMAP", HEATMAP)
# Sixty moves at sixty per second, without waiting in between: drawing must keep up and not queue up.
_DRAG = """
async (count) => {
  const heatmap = document.querySelector('HEATMAP');
  const before = window.__draws;
  for (let index = 0; index < count; index++) {
    heatmap.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', shiftKey: true, bubbles: true, cancelable: true}));
    await new Promise((done) => setTimeout(done, 16));
  }
  const ended = performance.now();
  let last = -1;
  while (window.__draws !== last) {
    last = window.__draws;
    await new Promise((done) => setTimeout(done, 150));
  }
  return {draws: window.__draws - before, settledMs: performance.now() - ended - 150, step: heatmap.dataset.step};
}
""".replace("HEATMAP", HEATMAP)


def long_run(stage: Stage) -> Claim:
    """Records a long run through `append`, as a recorder would, but in larger batches."""
    claimed = stage.running_run(modules=MODULES, width=WIDTH, total_steps=STEPS)
    every = STEPS // SNAPSHOTS
    random = np.random.default_rng(0)
    names = ["train_loss", "eval_loss", "eval_accuracy", *(f"metric{index:02d}" for index in range(METRICS - 3))]
    batch: list[RunEvent] = []
    for step in range(1, STEPS + 1):
        batch.append(MetricsEvent(step=step, values=dict(zip(names, random.random(METRICS).tolist(), strict=True))))
        if step % every == 0:
            share = max(0.5, 1 - step / STEPS)
            batch.append(ranks_event(step, modules=MODULES, width=WIDTH, share=share, pruning=step % (10 * every) == 0))
        if len(batch) >= 1000 or step == STEPS:
            with writing(stage.engine) as session:
                events.append(session, claimed.run_id, claimed.attempt, batch, now=time.time())
            batch = []
    return claimed


def open_long_run(rows: Rows, stage: Stage, claimed: Claim) -> None:
    against = f"{STEPS} steps, {METRICS} metrics, {SNAPSHOTS} snapshots of {MODULES} x {WIDTH}; {stage.database}"
    with tab(stage) as opened:
        opened.open_run(claimed.run_id)
        first_chart = opened.first_chart_ms()
        settle(opened.page, 3)
        served = _server_ms(stage, _asked(opened))
        asked = ", ".join(sorted({urlsplit(one).path.rpartition(claimed.run_id)[2] or "/" for one in served}))
        rows.at_most(
            "opening a long run: server time of all requests", sum(served.values()), 300, "ms", f"{against}; {asked}"
        )
        size = sum(one.bytes for one in opened.requests.values() if "/api/" in one.url)
        rows.at_most("opening a long run: bytes of the API", size / 1e6, 1.5, "MB", against)
        rows.at_most("opening a long run: first chart painted", first_chart / 1000, 2, "s", against)
        _slide(rows, opened)


def _asked(opened: Tab) -> list[str]:
    """The addresses requested on opening, without those that are polled."""
    urls = [one.url for one in opened.requests.values() if "/api/" in one.url and "/stream" not in one.url]
    return list(dict.fromkeys(urls))


def _server_ms(stage: Stage, urls: list[str]) -> dict[str, float]:
    """Median of five requests of each address over a kept-alive connection, gzip included."""
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}) as client:
        client.get(urls[0])
        return {url: float(np.median([_ask_ms(client, url) for _ in range(5)])) for url in urls}


def _ask_ms(client: httpx.Client, url: str) -> float:
    began = time.perf_counter()
    with client.stream("GET", url) as answer:
        for _ in answer.iter_raw():
            pass
    return 1000 * (time.perf_counter() - began)


def _slide(rows: Rows, opened: Tab) -> None:
    against = f"{MODULES} modules, key presses on the heatmap until it is painted"
    took = opened.page.evaluate(_PRESS, KEYS)
    rows.at_most("slider step at 224 modules, p95", float(np.quantile(took, 0.95)), 120, "ms", against)
    rows.tell("slider step at 224 modules, p50", float(np.median(took)), "ms", against)
    dragged = opened.page.evaluate(_DRAG, KEYS)
    rows.at_most(
        "dragging at 224 modules: from the last move to rest",
        dragged["settledMs"],
        250,
        "ms",
        f"{KEYS} moves at 60 a second, {dragged['draws']} drawn",
    )


def first_paint(rows: Rows, stage: Stage) -> None:
    """The scripts that the first page and a run's page need before a chart, and the time until something is shown."""
    claimed = stage.running_run()
    with tab(stage) as opened:
        paints = []
        for _ in range(5):
            opened.requests.clear()
            opened.page.goto(stage.stack.url, wait_until="networkidle")
            paints.append(
                opened.page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
            )
        home = scripts_before_plotly(opened)
        opened.requests.clear()
        opened.open_run(claimed.run_id)
        settle(opened.page, 4)
        run = scripts_before_plotly(opened)
    rows.at_most("scripts of the list of runs, gzip", home / 1000, 250, "kB", "no browser cache")
    rows.at_most("scripts of a run's page before Plotly, gzip", run / 1000, 250, "kB", "no browser cache")
    rows.at_most(
        "first paint on a warm server", float(np.median(paints)) / 1000, 1, "s", "median of 5, no browser cache"
    )
