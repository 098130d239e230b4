"""The page when the server freezes, dies, comes back or is upgraded, and how many requests it makes meanwhile."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

import rankscope
from rankscope.contract.events import WarningEvent
from tests.e2e.conftest import KEEPS_SCREENSHOTS, PATIENCE_MS, SCREENSHOTS, Console
from tests.e2e.feeding import fed_run
from tests.e2e.test_main_job import number, picture
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny_stack import tiny_stack

CONFIG = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2},
    "training": {"max_steps": 1000, "batch_size": 8, "max_length": 16},
}
TOLD_WITHIN_MS = 5000
WATCHED_S = 40
STATIC = Path(rankscope.__file__).parent / "static"
# Sums up layout shifts without user input.
_SHIFTS = """
window.__shift = 0;
window.__shifted = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    window.__shift += entry.value;
    for (const source of entry.sources)
      window.__shifted.push(`${entry.value.toFixed(4)} ${source.node?.className ?? source.node?.nodeName}`);
  }
}).observe({type: 'layout-shift', buffered: true});
"""


@pytest.fixture
def stack(tmp_path: Path, forked: ForkedCommands) -> Iterator[Stack]:
    # The runs here are fed without renewing their lease: the server must not treat them as lost.
    with tiny_stack(tmp_path / "data", forked=forked, layers=2, has_worker=False, lease_s=600) as stack:
        yield stack


def steps_come(page: Page) -> None:
    step = number(page.get_by_test_id("run-step"), "data-step")
    wait_for("new steps in the page", lambda: number(page.get_by_test_id("run-step"), "data-step") > step)


def test_a_viewer_is_notified_that_the_server_is_unreachable_and_sees_it_return(
    stack: Stack, page: Page, console: Console, tmp_path: Path
) -> None:
    with stack.client() as client:
        run = client.launch(CONFIG, name="watched")["id"]
    console.expects_failed_requests = True
    banner, state = page.get_by_test_id("link-banner"), page.get_by_test_id("connection-state")
    page.goto(f"{stack.url}/?token={TOKEN}")
    with fed_run(stack, run):
        page.goto(f"{stack.url}/runs/{run}")
        expect(page.get_by_test_id("rank-heatmap")).to_be_visible(timeout=PATIENCE_MS)
        expect(state).to_have_attribute("data-state", "live")
        expect(banner).to_have_count(0)

        # ------------------------------------------------ frozen: no connection breaks, but there are no responses
        stack.processes["api"].send_signal(signal.SIGSTOP)
        expect(banner).to_contain_text("Server unreachable", timeout=TOLD_WITHIN_MS)
        expect(page.get_by_test_id("health-pill")).to_contain_text(re.compile("unreachable|off"))
        expect(state).to_have_attribute("data-state", "reconnecting")
        expect(page.get_by_test_id("rank-heatmap")).to_be_visible()  # known data stays visible
        picture(page, "server-unreachable")
        # A tab that was never opened waits for its code instead of breaking.
        page.get_by_role("tab", name="Config").click()
        stack.processes["api"].send_signal(signal.SIGCONT)
        expect(banner).to_have_count(0, timeout=PATIENCE_MS)
        expect(page.get_by_text("prune_interval")).to_be_visible(timeout=PATIENCE_MS)
        steps_come(page)
        expect(state).to_have_attribute("data-state", "live")

        # ------------------------------------------------ killed and restarted: lists and new pages as well
        stack.kill("api")
        expect(banner).to_contain_text("Server unreachable", timeout=TOLD_WITHIN_MS)
        page.get_by_role("tab", name="Curves").click()
        stack.start_api()
        expect(banner).to_have_count(0, timeout=PATIENCE_MS)
        expect(page.get_by_test_id("curve-train_loss")).to_be_visible(timeout=PATIENCE_MS)
        steps_come(page)

        stack.kill("api")
        expect(banner).to_contain_text("Server unreachable", timeout=TOLD_WITHIN_MS)
        page.get_by_role("link", name="All runs", exact=True).click()
        expect(page.get_by_role("alert").filter(has_text="crashed")).to_have_count(0)
        picture(page, "list-unreachable")
        stack.start_api()
        expect(page.get_by_test_id("run-row")).to_have_count(1, timeout=PATIENCE_MS)
        expect(banner).to_have_count(0)

        # ------------------------------------------------ frozen while one list is shown, and another was never loaded
        stack.processes["api"].send_signal(signal.SIGSTOP)
        expect(banner).to_contain_text("Server unreachable", timeout=TOLD_WITHIN_MS)
        expect(page.get_by_test_id("run-row")).to_have_count(1)
        stack.processes["api"].send_signal(signal.SIGCONT)
        expect(banner).to_have_count(0, timeout=PATIENCE_MS)

        # ------------------------------------------------ upgraded: the page's files have other names
        page.get_by_role("link", name="watched").click()
        expect(page.get_by_test_id("rank-heatmap")).to_be_visible(timeout=PATIENCE_MS)
        first_build = _entry(page)
        stack.kill("api")
        expect(banner).to_contain_text("Server unreachable", timeout=TOLD_WITHIN_MS)
        _serve(stack, other_build(tmp_path / "upgraded", "Upgraded"))
        page.wait_for_function(
            "before => ![undefined, before].includes(document.querySelector('script[type=module]')?.src)",
            arg=first_build,
        )
        expect(page.get_by_test_id("rank-heatmap")).to_be_visible(timeout=PATIENCE_MS)
        steps_come(page)

        # ------------------------------------------------ upgraded while you are editing: nothing is lost
        page.get_by_role("tab", name="Notes").click()
        notes = page.get_by_role("textbox", name="Notes")
        notes.fill("half a sent")
        expect(page.get_by_test_id("notes-state")).to_have_text("Saved")
        stack.kill("api")
        expect(banner).to_contain_text("Server unreachable", timeout=TOLD_WITHIN_MS)
        notes.fill("half a sentence")
        _serve(stack, other_build(tmp_path / "again", "Again"))
        expect(banner).to_contain_text("RankScope was updated", timeout=PATIENCE_MS)
        expect(notes).to_have_value("half a sentence")
        picture(page, "page-updated")
        banner.get_by_role("button", name="Reload").click()
        expect(banner).to_have_count(0, timeout=PATIENCE_MS)
        expect(page.get_by_test_id("run-status")).to_be_visible(timeout=PATIENCE_MS)


def test_a_viewer_of_a_live_run_sends_few_requests_and_an_alert_shifts_nothing(stack: Stack, page: Page) -> None:
    with stack.client() as client:
        run = client.launch(CONFIG, name="watched")["id"]
    page.add_init_script(_SHIFTS)
    page.goto(f"{stack.url}/?token={TOKEN}")
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/api/" in request.url:
            asked.append(request.url)

    with fed_run(stack, run) as feeding:
        page.goto(f"{stack.url}/runs/{run}")
        expect(page.get_by_test_id("rank-heatmap").locator(".main-svg").first).to_be_visible(timeout=PATIENCE_MS)
        steps_come(page)
        page.wait_for_load_state("load")
        page.on("request", note)
        began, first = time.monotonic(), feeding.step

        def is_over() -> bool:
            page.wait_for_timeout(500)
            return time.monotonic() - began > WATCHED_S

        feeding.warnings.append(WarningEvent(code="trial", message="Something to look at.", next_step="Look at it."))
        expect(page.get_by_test_id("warning-trial")).to_be_visible()
        wait_for(
            "the time to be over",
            is_over,
            deadline_s=2 * WATCHED_S,
        )
        assert feeding.step > first + 30
        assert len(asked) / (time.monotonic() - began) < 0.1, asked
        assert number(page.get_by_test_id("run-step"), "data-step") > first + 30
        assert page.evaluate("() => window.__shift") < 0.02, page.evaluate("() => window.__shifted")
        page.get_by_role("button", name="Details").click()
        expect(page.get_by_text("Look at it.")).to_be_visible()
        picture(page, "alert")


def test_the_steps_are_navigated_next_to_the_heatmap_and_by_keys(stack: Stack, page: Page) -> None:
    with stack.client() as client:
        run = client.launch(CONFIG, name="deep model")["id"]
    page.goto(f"{stack.url}/?token={TOKEN}")
    with fed_run(stack, run, every_s=0.1, modules=28 * 6) as feeding:
        wait_for("some prunings", lambda: feeding.step >= 23)
    page.goto(f"{stack.url}/runs/{run}")
    heatmap, slider = page.get_by_test_id("rank-heatmap"), page.get_by_role("slider", name="Snapshot")
    expect(heatmap.locator(".main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    for width, height in ((1280, 800), (1440, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        heatmap.scroll_into_view_if_needed()
        heatmap.evaluate("element => element.scrollIntoView({block: 'end'})")
        expect(slider).to_be_in_viewport()
        if KEEPS_SCREENSHOTS:
            page.wait_for_timeout(300)
            page.screenshot(path=SCREENSHOTS / f"player-{width}.png")
    page.set_viewport_size({"width": 1440, "height": 1000})

    newest = number(heatmap, "data-step")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    last_pruning = newest - newest % 5 - (5 if newest % 5 == 0 else 0)
    expect(heatmap).to_have_attribute("data-step", str(last_pruning))
    page.keyboard.press("ArrowLeft")
    expect(heatmap).to_have_attribute("data-step", str(last_pruning - 5))
    page.keyboard.press("Shift+ArrowLeft")
    expect(heatmap).to_have_attribute("data-step", str(last_pruning - 6))

    heatmap.focus()
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    drawer = page.get_by_role("dialog")
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(heatmap).to_be_focused()


def _entry(page: Page) -> str:
    return str(page.evaluate("() => document.querySelector('script[type=module]').src"))


def other_build(folder: Path, mark: str) -> Path:
    """The built page with another hash in the name of every file."""
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    renamed = {path.name: f"{path.stem}{mark}{path.suffix}" for path in files if path.parent.name == "assets"}
    names = re.compile("|".join(re.escape(name) for name in sorted(renamed, key=len, reverse=True)))
    for path in files:
        target = folder / path.relative_to(STATIC).with_name(renamed.get(path.name, path.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        target.write_text(names.sub(lambda found: renamed[found.group()], text), encoding="utf-8")
    return folder


def _serve(stack: Stack, static: Path) -> None:
    stack._start("api", ["tests.e2e.serve_page", str(static)])
    wait_for("the upgraded server to answer", stack._answers, deadline_s=250)
