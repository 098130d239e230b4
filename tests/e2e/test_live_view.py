"""Every tab of a run while it trains (for the ranks of a finished run, see test_ranks_view.py)."""

import re
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.axe import serious_issues
from tests.e2e.conftest import PATIENCE_MS, PATIENCE_S, Console
from tests.e2e.feeding import fed_run
from tests.e2e.test_main_job import number, picture
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny_stack import tiny_stack

CONFIG: dict[str, Any] = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 10, "prune_end_ratio": 0.6},
    "training": {
        "max_steps": 100,
        "batch_size": 8,
        "max_length": 16,
        "eval_every": 40,
        "learning_rate": 0.002,
        "checkpoint_every": 50,
    },
}
# Prunes some components in its first hundred steps, and trains for as long as the test watches.
LONG = CONFIG | {
    "method": CONFIG["method"]
    | {
        "initial_rank": 8,
        "warmup_ratio": 0.0005,
        "prune_interval": 40,
        "prune_end_ratio": 0.08,
        "schedule": "fast_first",
    },
    "training": CONFIG["training"] | {"max_steps": 100_000, "eval_every": 2000, "checkpoint_every": 2000},
}


@pytest.fixture
def stack(tmp_path: Path, forked: ForkedCommands) -> Iterator[Stack]:
    # A run is late after half of the lease without a heartbeat. Ten steps per second: each costs the page as much as
    # the training.
    with tiny_stack(tmp_path / "data", forked=forked, layers=3, lease_s=24, pace_s=0.1, hardware_every_s=1) as stack:
        yield stack


def segment(page: Page, group: str, option: str) -> None:
    page.get_by_role("radiogroup", name=group).get_by_text(option, exact=True).click()


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_every_part_of_the_live_view_works(stack: Stack, page: Page, console: Console) -> None:
    with stack.client() as client:
        short = client.launch(CONFIG, name="finished run")["id"]
        live = client.launch(LONG, name="live run")["id"]
    page.goto(f"{stack.url}/?token={TOKEN}")
    with stack.client() as client:
        wait_for("the short run to be done", lambda: client.run(short)["status"] == "done", deadline_s=PATIENCE_S)

    # Use tabs of one page where possible: a page that is reloaded compiles Plotly again.
    page.goto(f"{stack.url}/runs/{short}")
    _takeaway(stack, page)
    _try_it(page)
    # The ranks arrive late: the page draws them with all steps that arrived in the meantime.
    page.goto(f"{stack.url}/runs/{live}?tab=log")
    _log(page)
    _hardware_and_config(page)
    _notes(page)
    _ranks_in_time(page)
    _curves(stack, page)
    _module(stack, page, live)
    _health(stack, page)
    _disconnected(stack, page, live, console)


def _ranks_in_time(page: Page) -> None:
    tab(page, "Ranks")
    heatmap = page.get_by_test_id("rank-heatmap")
    expect(heatmap).to_be_visible(timeout=PATIENCE_MS)
    wait_for("some prunings", lambda: number(heatmap, "data-step") > 100, deadline_s=PATIENCE_S)
    for option in ("Importance", "Since start", "Last pruning", "Rank"):
        segment(page, "What the colour shows", option)
        expect(heatmap.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        if option == "Importance":
            for which in ("Max", "Sum", "Mean"):
                segment(page, "Importance of a module", which)
        picture(page, f"ranks-{option.lower().replace(' ', '-')}")
    for label in ("By kind", "By rank", "By layer"):
        page.get_by_label("Order of the modules").select_option(label=label)

    # Back to the start and through the playback; Latest follows the run again while it continues.
    heatmap.focus()
    page.keyboard.press("Home")
    expect(heatmap).to_have_attribute("data-step", "0")
    page.get_by_label("Speed", exact=True).select_option(label="8×")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_for("the film to move", lambda: number(heatmap, "data-step") > 0)
    page.get_by_role("button", name="Latest", exact=True).click()
    newest = number(heatmap, "data-step")
    wait_for("the newest snapshot to be followed", lambda: number(heatmap, "data-step") > newest, deadline_s=PATIENCE_S)
    for grouping in ("By kind", "By rank", "By layer"):
        segment(page, "Distribution of ranks", grouping)
    page.get_by_role("switch", name="Table").check()
    expect(page.get_by_role("table").first).to_be_visible()
    assert serious_issues(page) == []
    page.get_by_role("switch", name="Table").uncheck()


def _module(stack: Stack, page: Page, run: str) -> None:
    """A module that lost components can be opened by keyboard, and has a sentence about each."""
    with stack.client() as client:
        lines = wait_for(
            "a component to be pruned",
            lambda: client._json("GET", f"/runs/{run}/ranks/ledger")["items"],
            deadline_s=PATIENCE_S,
        )
    module = lines[0]["module"]
    page.goto(f"{stack.url}/runs/{run}?module={module}")
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    expect(drawer.get_by_role("list", name="Changes, newest first")).to_contain_text("was pruned at step")
    assert serious_issues(page) == []
    picture(page, "module")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    heatmap = page.get_by_test_id("rank-heatmap")
    heatmap.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")


def _curves(stack: Stack, page: Page) -> None:
    """A run with more points than are drawn, while more arrive."""
    with stack.client() as client:
        run = client.launch(LONG, name="long run")["id"]
    with fed_run(stack, run, past=1200):
        page.goto(f"{stack.url}/runs/{run}?tab=curves")
        _live_curves(page)
    with stack.client() as client:
        client.stop(run, save=False)


def _live_curves(page: Page) -> None:
    loss = page.get_by_test_id("curve-train_loss")
    expect(loss.locator(".main-svg").first).to_be_visible()
    points = number(loss, "data-points")
    wait_for("new points", lambda: number(loss, "data-points") > points, deadline_s=PATIENCE_S)
    _zoom(page, loss)
    for option in ("Time", "Progress", "Step"):
        segment(page, "Horizontal axis", option)
        expect(loss.locator(".xtitle").first).to_have_text({"Time": "minutes"}.get(option, option.lower()))
    page.get_by_role("switch", name="Log scale").check()
    page.get_by_role("slider").first.press("End")
    expect(loss.locator(".main-svg").first).to_be_visible()
    picture(page, "curves")
    page.get_by_label("Search metrics").fill("gradient")
    expect(page.get_by_test_id("curve-grad_norm")).to_be_visible()
    expect(loss).to_have_count(0)
    assert serious_issues(page) == []
    _save(page, page.get_by_test_id("curve-grad_norm"))


def _zoom(page: Page, curve: Locator) -> None:
    """A zoomed section of a long curve is drawn with all its points; a button or a double click resets the zoom."""
    assert number(curve, "data-points") > 1000
    expect(curve).to_contain_text("minima, maxima and NaN are kept")
    area = curve.locator(".nsewdrag").first
    zoom_out = curve.get_by_role("button", name="Zoom out")

    _zoom_in(page, curve, area)
    picture(page, "curves-zoomed")
    assert serious_issues(page) == []
    points = number(curve, "data-points")
    wait_for("points that come meanwhile", lambda: number(curve, "data-points") > points, deadline_s=PATIENCE_S)
    expect(zoom_out).to_be_visible()
    assert _first_step(curve) > 100
    expect(curve).to_contain_text(re.compile(r"All [\d,]+ points in view"))
    zoom_out.click()
    expect(curve).to_contain_text("minima, maxima and NaN are kept")
    expect(zoom_out).to_have_count(0)
    wait_for("the whole curve", lambda: _first_step(curve) < 100, deadline_s=10)

    _zoom_in(page, curve, area)
    area.dblclick()
    expect(curve).to_contain_text("minima, maxima and NaN are kept")
    expect(zoom_out).to_have_count(0)
    wait_for("the whole curve", lambda: _first_step(curve) < 100, deadline_s=10)

    _zoom_in(page, curve, area)
    segment(page, "Horizontal axis", "Progress")  # which doesn't have these steps
    expect(curve).to_contain_text("minima, maxima and NaN are kept")
    expect(zoom_out).to_have_count(0)
    wait_for("the whole curve by progress", lambda: _first_step(curve) < 0.001, deadline_s=10)
    segment(page, "Horizontal axis", "Step")
    expect(curve.locator(".xtitle").first).to_have_text("step")


def _save(page: Page, curve: Locator) -> None:
    """A curve is saved as a picture, and all its points as a table."""
    for item, beginning in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b"metric,step,time,value\r\ngrad_norm,1,")):
        curve.get_by_role("button", name="Export Gradient norm").click()
        with page.expect_download() as waiting:
            page.get_by_role("menuitem", name=item, exact=True).click()
        saved = Path(waiting.value.path()).read_bytes()
        assert saved.startswith(beginning)
    assert waiting.value.suggested_filename == "long-run-grad-norm.csv"
    assert saved.count(b"\n") > 1000


def _first_step(curve: Locator) -> float:
    drawn = curve.locator(".js-plotly-plot")
    return float(drawn.evaluate("plot => plot._fullLayout.xaxis.range[0]"))


def _zoom_in(page: Page, curve: Locator, area: Locator) -> None:
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.4 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], middle, steps=5)
    page.mouse.up()
    expect(curve).to_contain_text(re.compile(r"All [\d,]+ points in view"))


def _log(page: Page) -> None:
    expect(page.get_by_test_id("log")).to_contain_text("steps/s", timeout=PATIENCE_MS)
    page.get_by_label("Search the log").fill("LOSS")
    page.get_by_label("Search the log").press("Enter")
    expect(page.get_by_test_id("log-hits")).to_contain_text("1 of")
    expect(page.get_by_test_id("log-hit")).to_contain_text("loss")
    page.get_by_role("button", name="Next match").click()
    expect(page.get_by_test_id("log-hits")).to_contain_text("2 of")
    expect(page.get_by_role("switch", name="Follow")).not_to_be_checked()
    picture(page, "log")
    page.get_by_label("Search the log").fill("no such words")
    page.get_by_label("Search the log").press("Enter")
    expect(page.get_by_test_id("log-hits")).to_have_text("not found")
    assert serious_issues(page) == []
    page.get_by_role("switch", name="Follow").check()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download", exact=True).click()
    assert b"steps/s" in Path(waiting.value.path()).read_bytes()


def _hardware_and_config(page: Page) -> None:
    tab(page, "Hardware")
    expect(page.get_by_test_id("curve-process_memory_bytes").locator(".main-svg").first).to_be_visible(
        timeout=PATIENCE_MS
    )
    picture(page, "hardware")
    assert serious_issues(page) == []
    tab(page, "Config")
    expect(page.get_by_text("prune_interval: 40")).to_be_visible()
    assert serious_issues(page) == []
    tab(page, "History")
    expect(page.get_by_text("was pruned at step").first).to_be_visible(timeout=PATIENCE_MS)
    assert serious_issues(page) == []


def _takeaway(stack: Stack, page: Page) -> None:
    tab(page, "Checkpoints and export")
    expect(page.get_by_test_id("checkpoints")).to_contain_text("step 100")
    assert serious_issues(page) == []
    picture(page, "export")
    for file in ("adapter-uniform", "adapter-compact", "bundle"):
        with page.expect_download() as waiting:
            page.get_by_test_id(f"export-{file}").click()
        with zipfile.ZipFile(waiting.value.path()) as archive:
            assert archive.testzip() is None
            assert any(name.endswith("adapter_model.safetensors") for name in archive.namelist())
    run = page.url.split("?")[0].rsplit("/", 1)[-1]
    page.goto(f"{stack.url}/api/v1/runs/{run}/report.html")
    expect(page.get_by_role("heading", name="finished run")).to_be_visible()
    expect(page.locator("svg").first).to_be_visible()
    picture(page, "report")
    page.go_back()


def _try_it(page: Page) -> None:
    tab(page, "Try it")
    page.get_by_test_id("try-text").fill("a warm and funny film\na dull one")
    page.get_by_test_id("try-run").click()
    answers = page.get_by_test_id("try-answers")
    expect(answers).to_contain_text("a dull one", timeout=PATIENCE_MS)
    expect(answers.get_by_role("progressbar")).to_have_count(8)
    picture(page, "try-it")
    assert serious_issues(page) == []


def _notes(page: Page) -> None:
    tab(page, "Notes")
    page.get_by_role("textbox", name="Notes").fill("The value of layer 2 lost its rank first.")
    expect(page.get_by_test_id("notes-state")).to_have_text("Saved")
    page.reload()
    expect(page.get_by_role("textbox", name="Notes")).to_have_value("The value of layer 2 lost its rank first.")
    assert serious_issues(page) == []


def _health(stack: Stack, page: Page) -> None:
    """A frozen worker and training are late; the page reports it, and removes the report afterwards."""
    expect(page.get_by_test_id("run-status")).to_contain_text("pruning", timeout=PATIENCE_MS)
    tab(page, "Config")  # where nothing is drawn in the meantime
    worker = psutil.Process(stack.processes["test-worker"].pid)
    still = [worker, *worker.children(recursive=True)]
    for process in still:
        process.send_signal(signal.SIGSTOP)
    try:
        expect(page.get_by_test_id("health-heartbeat_late")).to_be_visible(timeout=40_000)
        picture(page, "health")
        assert serious_issues(page) == []
    finally:
        for process in still:
            process.send_signal(signal.SIGCONT)
    expect(page.get_by_test_id("health-heartbeat_late")).to_be_hidden(timeout=PATIENCE_MS)


def _disconnected(stack: Stack, page: Page, run: str, console: Console) -> None:
    """The server becomes unreachable and returns: the page reports it and recovers automatically."""
    console.expects_failed_requests = True
    state = page.get_by_test_id("connection-state")
    expect(state).to_have_attribute("data-state", "live")
    stack.kill("api")
    expect(state).to_have_attribute("data-state", "reconnecting")
    expect(state).to_contain_text("reconnecting")
    stack.start_api()
    expect(state).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    step = number(page.get_by_test_id("run-step"), "data-step")
    wait_for(
        "steps to come again",
        lambda: number(page.get_by_test_id("run-step"), "data-step") > step,
        deadline_s=PATIENCE_S,
    )
    page.goto(stack.url)
    expect(page.get_by_role("table").first).to_be_visible()
    assert serious_issues(page) == []
    page.goto(f"{stack.url}/new")
    expect(page.get_by_role("button", name="Launch run")).to_be_visible()
    assert serious_issues(page) == []
    page.goto(f"{stack.url}/compare?runs={run}")
    page.wait_for_load_state("networkidle")
    assert serious_issues(page) == []
