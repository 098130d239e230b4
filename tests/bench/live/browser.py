"""Chromium on the run page of a stage, and the requests that it has made."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.bench.live.stage import Stage
from tests.stack import TOKEN

HEATMAP = "[data-testid=rank-heatmap]"
# Notes the first chart, and when each step of the heatmap was painted: the frame after Plotly has drawn it.
_PROBE = """
window.__firstChart = 0;
window.__painted = {};
window.__draws = 0;
const look = () => {
  const chart = document.querySelector('.js-plotly-plot .main-svg');
  if (chart && !window.__firstChart) window.__firstChart = performance.now();
  const heatmap = document.querySelector('HEATMAP .js-plotly-plot');
  if (heatmap && heatmap.on && !heatmap.__probed) {
    heatmap.__probed = true;
    heatmap.on('plotly_afterplot', () => {
      window.__draws += 1;
      requestAnimationFrame(() => {
        const step = document.querySelector('HEATMAP')?.dataset.step;
        if (step !== undefined) window.__painted[step] ??= Date.now();
      });
    });
  }
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
""".replace("HEATMAP", HEATMAP)


@dataclass
class Fetched:
    """One request of the page, with its head. `bytes`: on the wire, compressed."""

    url: str
    bytes: int


@dataclass
class Tab:
    """A page with its requests."""

    page: Page
    stage: Stage
    requests: dict[str, Fetched] = field(default_factory=dict)

    @property
    def wire_bytes(self) -> int:
        return sum(one.bytes for one in self.requests.values())

    def open_run(self, run_id: str) -> None:
        self.page.goto(f"{self.stage.stack.url}/runs/{run_id}", wait_until="commit")

    def first_chart_ms(self, deadline_s: float = 60) -> float:
        """From the navigation to the first chart in the page."""
        self.page.wait_for_function("() => window.__firstChart > 0", timeout=1000 * deadline_s)
        return float(self.page.evaluate("() => window.__firstChart"))

    def painted(self) -> dict[int, float]:
        """Step -> seconds since 1970 when the heatmap showed it."""
        stamps = self.page.evaluate("() => window.__painted")
        return {int(step): at / 1000 for step, at in stamps.items()}

    def heap_bytes(self) -> int:
        """Bytes that are live after a garbage collection."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        used = session.send("Runtime.getHeapUsage")["usedSize"]
        session.detach()
        return int(used)

    def compiled_bytes(self) -> int:
        """Bytes of the heap that are compiled code and its bookkeeping."""
        session = self.page.context.new_cdp_session(self.page)
        parts: list[str] = []
        session.on("HeapProfiler.addHeapSnapshotChunk", lambda event: parts.append(event["chunk"]))
        session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
        session.detach()
        heap = json.loads("".join(parts))
        fields, types = heap["snapshot"]["meta"]["node_fields"], heap["snapshot"]["meta"]["node_types"][0]
        nodes, code = heap["nodes"], types.index("code")
        kinds, sizes = nodes[fields.index("type") :: len(fields)], nodes[fields.index("self_size") :: len(fields)]
        return sum(size for kind, size in zip(kinds, sizes, strict=True) if kind == code)


@contextmanager
def tab(stage: Stage) -> Iterator[Tab]:
    """A signed-in tab that has not opened a page yet."""
    with sync_playwright() as playwright:
        system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=system,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.goto(f"{stage.stack.url}/?token={TOKEN}")
        page.wait_for_load_state("networkidle")
        page.goto("about:blank")
        page.add_init_script(_PROBE)
        opened = Tab(page, stage)
        _listen(opened)
        yield opened
        browser.close()


def _listen(opened: Tab) -> None:
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def sent(event: dict[str, Any]) -> None:
        opened.requests[event["requestId"]] = Fetched(event["request"]["url"], 0)

    def received(event: dict[str, Any]) -> None:
        # Bytes that the stream has delivered so far; it never ends, and Chromium may not report its compressed size.
        if event["requestId"] in opened.requests:
            opened.requests[event["requestId"]].bytes += event["encodedDataLength"] or event["dataLength"]

    def finished(event: dict[str, Any]) -> None:
        if event["requestId"] in opened.requests:
            opened.requests[event["requestId"]].bytes = int(event["encodedDataLength"])

    session.on("Network.requestWillBeSent", sent)
    session.on("Network.dataReceived", received)
    session.on("Network.loadingFinished", finished)


def settle(page: Page, seconds: float) -> None:
    """Waits while the page's events are handled."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        page.wait_for_timeout(min(250, 1000 * left))


def scripts_before_plotly(opened: Tab) -> int:
    """Bytes on the wire of the scripts that the page has fetched, except Plotly's chunk."""
    return sum(one.bytes for one in opened.requests.values() if one.url.endswith(".js") and "plotly" not in one.url)
