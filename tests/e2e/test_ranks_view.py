"""The Ranks tab on a real run: time, colour, order, one module, the table, and exports."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PATIENCE_MS, PATIENCE_S
from tests.e2e.test_main_job import number, picture
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny_stack import tiny_stack

CONFIG = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 10, "warmup_ratio": 0.1},
    "training": {"max_steps": 200, "batch_size": 8, "max_length": 16, "eval_every": 50, "learning_rate": 0.005},
}


@pytest.fixture
def stack(tmp_path: Path, forked: ForkedCommands) -> Iterator[Stack]:
    with tiny_stack(tmp_path / "data", forked=forked, layers=2) as stack:
        yield stack


def test_user_sees_where_the_rank_went_and_why(stack: Stack, page: Page, tmp_path: Path) -> None:
    with stack.client() as client:
        run_id = client.launch(CONFIG, name="ranks")["id"]
        wait_for("the run to be done", lambda: client.run(run_id)["status"] == "done", deadline_s=PATIENCE_S)
    page.goto(f"{stack.url}/?token={TOKEN}")
    page.goto(f"{stack.url}/runs/{run_id}")
    heatmap = page.get_by_test_id("rank-heatmap")
    expect(heatmap).to_have_attribute("data-step", "200")
    expect(page.get_by_role("button", name="Latest", exact=True)).to_have_attribute("aria-pressed", "true")

    # ------------------------------------------------ time: prunings, snapshots, both ends; the address follows
    heatmap.focus()
    page.keyboard.press("ArrowLeft")
    expect(heatmap).to_have_attribute("data-step", "100")  # the final pruning
    page.keyboard.press("ArrowLeft")
    expect(heatmap).to_have_attribute("data-step", "90")
    page.keyboard.press("Shift+ArrowLeft")
    wait_for("a snapshot between two prunings", lambda: 80 < number(heatmap, "data-step") < 90)
    page.keyboard.press("Home")
    expect(heatmap).to_have_attribute("data-step", "0")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**step=**")
    page.get_by_label("Speed").select_option("8")
    page.get_by_role("button", name="Play").click()
    expect(heatmap).to_have_attribute("data-step", "200", timeout=PATIENCE_MS)

    # ------------------------------------------------ colour and order; a link shows the same again
    page.get_by_text("Last pruning", exact=True).click()
    expect(page.get_by_role("heading", name="Change in the last pruning")).to_be_visible()
    page.get_by_label("Order of the modules").select_option("kind")
    heatmap.focus()
    page.keyboard.press("ArrowLeft")
    # Both: the address may have had this step before, from a pause in the playback on a busy machine.
    page.wait_for_url(lambda url: "step=100" in url and "colour=difference" in url)
    page.reload()
    expect(heatmap).to_have_attribute("data-step", "100")
    expect(page.get_by_role("heading", name="Change in the last pruning")).to_be_visible()
    picture(page, "ranks-difference")

    # ------------------------------------------------ a curve sets the step, and only a click keeps it
    budget = page.get_by_role("img", name="Planned and actual")
    box = budget.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    wait_for("the step that is pointed at", lambda: number(heatmap, "data-step") < 90)
    page.mouse.move(box["x"], box["y"] - 40)
    expect(heatmap).to_have_attribute("data-step", "100")
    page.mouse.click(*middle)
    page.mouse.move(box["x"], box["y"] - 40)
    wait_for("the step that was clicked", lambda: number(heatmap, "data-step") < 90)
    expect(page.locator(".plot-cursor:visible").first).to_be_visible()

    # ------------------------------------------------ a module: by keyboard, and from the table
    heatmap.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("img", name="Components of layer 0 query")).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    page.get_by_role("switch", name="Table").click()
    page.get_by_role("button", name="layer 1 key:").click()
    expect(drawer.get_by_role("img", name="Components of layer 1 key")).to_be_visible()
    page.keyboard.press("Escape")
    with stack.client() as client:
        pruning = next(event for event in client.watch(run_id) if event["kind"] == "prune" and event["pruned"])
    line = pruning["pruned"][0]
    page.goto(f"{stack.url}/runs/{run_id}?module={line['module']}")
    told = drawer.get_by_text(f"Component {line['component']} of").filter(has_text=f"at step {pruning['step']}:")
    expect(told.first).to_contain_text(f"place {line['order']} of {pruning['total']}")
    expect(told.first).to_contain_text(f"budget {pruning['budget']}")
    picture(page, "module-drawer")
    page.keyboard.press("Escape")

    # ------------------------------------------------ exports of the current view
    for item, beginning in (
        ("PNG", b"\x89PNG"),
        ("SVG", b"<svg"),
        ("GIF of all steps", b"GIF89a"),
        ("CSV", b"name,stack,layer"),
    ):
        page.get_by_test_id("export-ranks").click()
        with page.expect_download(timeout=PATIENCE_MS) as download:
            page.get_by_role("menuitem", name=item, exact=True).click()
        download.value.save_as(tmp_path / item)
        assert (tmp_path / item).read_bytes().startswith(beginning)
    page.get_by_test_id("export-ranks").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="JSON", exact=True).click()
    download.value.save_as(tmp_path / "ranks.json")
    saved = json.loads((tmp_path / "ranks.json").read_text())
    assert saved["step"] == 200
    assert sum(row["rank"] for row in saved["modules"]) == saved["live"] == 2 * len(saved["modules"])
