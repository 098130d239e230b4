"""The main job in a real browser, on the real stack: launch, watch, survive, stop, compare, download."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.e2e.conftest import KEEPS_SCREENSHOTS, PATIENCE_MS, PATIENCE_S, SCREENSHOTS, Console
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny_stack import tiny_stack

STEPS = 600
LORA = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "lora", "rank": 2},
    "training": {"max_steps": 100_000, "batch_size": 8, "max_length": 16, "eval_every": 100, "learning_rate": 0.005},
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with tiny_stack(tmp_path / "data", layers=4, pace_s=0.04) as stack:
        yield stack


_PIXEL: FloatRect = {"x": 0, "y": 0, "width": 1, "height": 1}


def number(locator: Locator, attribute: str) -> int:
    return int(locator.get_attribute(attribute) or -1)


def choose(page: Page, label: str, option: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.click()
    page.get_by_role("option", name=option).click()


def picture(page: Page, name: str) -> None:
    """Shows the page dark and narrow, then light and wide; `make screenshots` saves a picture of each combination.

    They are always shown, because a console error in any of them fails the test, but saved only on demand, because
    charts redraw after a change of size without reporting when they are done. Each change costs a second of CPU time.
    """
    narrow, wide = (390, 844), (1440, 1000)
    shown = [(True, narrow), (True, wide), (False, narrow), (False, wide)]
    for is_dark, (width, height) in shown if KEEPS_SCREENSHOTS else [shown[0], shown[-1]]:
        scheme: Literal["dark", "light"] = "dark" if is_dark else "light"
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(clip=_PIXEL)  # waits for a frame, even on a page that forbids scripts, such as the report
        if KEEPS_SCREENSHOTS:
            page.wait_for_timeout(400)
            page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}-{width}.png", full_page=True)


def test_user_launches_watches_compares_and_downloads(
    stack: Stack, page: Page, console: Console, tmp_path: Path
) -> None:
    # ------------------------------------------------ sign in: without a token, with a wrong one, with the right one
    console.expects_failed_requests = True  # a refused sign-in is a failed request too
    page.goto(stack.url)
    page.get_by_label("Token", exact=True).fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    picture(page, "sign-in")
    page.get_by_label("Token", exact=True).fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    console.expects_failed_requests = False
    picture(page, "runs-empty")

    # ------------------------------------------------ launch from the form, which shows the API's errors
    page.goto(f"{stack.url}/new")
    choose(page, "Model", "local:tiny-bert")
    choose(page, "Data set", "local:reviews")
    page.get_by_label("Steps", exact=True).fill(str(STEPS))
    page.get_by_label("Batch size", exact=True).fill("8")
    page.get_by_label("Text length", exact=True).fill("16")
    page.get_by_label("Evaluate every", exact=True).fill("100")
    page.get_by_label("Prune every", exact=True).fill("20")
    page.get_by_label("Target rank", exact=True).fill("0")
    expect(page.get_by_text("is 0; it must be at least 1")).to_be_visible()
    expect(page.get_by_text("Use 1 or more.")).to_be_visible()
    picture(page, "new-run-error")
    page.get_by_label("Target rank", exact=True).fill("4")
    expect(page.get_by_text("is 0; it must be at least 1")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("ranks that move")
    picture(page, "new-run")
    page.get_by_test_id("launch-run").click()
    page.wait_for_url("**/runs/*")
    run_id = page.url.rsplit("/", 1)[-1]

    # ------------------------------------------------ the heatmap changes while it trains
    heatmap, slider = page.get_by_test_id("rank-heatmap"), page.get_by_test_id("step-slider")
    expect(heatmap).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("run-status")).to_have_attribute("data-status", "running")
    start = number(heatmap, "data-live")
    wait_for("ranks to be pruned on the page", lambda: number(heatmap, "data-live") < start)
    expect(slider).to_be_visible()

    # ------------------------------------------------ a reload during the run continues from the history
    before = number(heatmap, "data-step")
    page.reload()
    expect(heatmap).to_be_visible()
    assert number(heatmap, "data-step") >= before
    wait_for("the heatmap to go on after the reload", lambda: number(heatmap, "data-step") > before)
    expect(page.get_by_test_id("connection-state")).to_have_attribute("data-state", "live")

    # ------------------------------------------------ the API dies and comes back; the run is not affected
    console.expects_failed_requests = True
    stack.kill("api")
    expect(page.get_by_test_id("connection-state")).to_have_attribute("data-state", "reconnecting")
    before = number(heatmap, "data-step")
    picture(page, "run-disconnected")
    stack.start_api()
    expect(page.get_by_test_id("connection-state")).to_have_attribute("data-state", "live")
    console.expects_failed_requests = False
    wait_for("the heatmap to go on after the restart", lambda: number(heatmap, "data-step") > before)
    with stack.client() as client:
        assert client.run(run_id)["attempt"] == 1
    picture(page, "run-running")

    # ------------------------------------------------ another run, stopped from its page
    with stack.client() as client:
        other = client.launch(LORA, name="a LoRA beside it")["id"]
    page.goto(f"{stack.url}/runs/{other}")
    with stack.client() as client:
        wait_for("the first run to be done", lambda: client.run(run_id)["status"] == "done", deadline_s=PATIENCE_S)
        wait_for("the second run to train", lambda: client.run(other)["step"] > 100)
    page.get_by_test_id("stop-run").click()
    expect(page.get_by_test_id("run-status")).to_have_text("stopped")

    # ------------------------------------------------ both in Compare
    page.goto(stack.url)
    for name in ("ranks that move", "a LoRA beside it"):
        page.get_by_test_id("run-row").filter(has_text=name).get_by_role("checkbox").check()
    picture(page, "runs")
    page.get_by_test_id("compare-selected").click()
    expect(page.get_by_test_id("compare-heatmap")).to_have_count(2)
    expect(page.get_by_text("method.target_rank")).to_be_visible()
    picture(page, "compare")

    # ------------------------------------------------ the finished run: slider, download
    page.goto(f"{stack.url}/runs/{run_id}")
    expect(page.get_by_test_id("run-status")).to_have_text("done")
    expect(heatmap).to_have_attribute("data-live", str(4 * 24))
    heatmap.focus()
    page.keyboard.press("ArrowLeft")
    wait_for("the slider to show an earlier snapshot", lambda: number(heatmap, "data-step") < STEPS)
    picture(page, "run-done")
    with page.expect_download() as download:
        page.get_by_test_id("download-adapter").click()
    archive = tmp_path / "adapter.zip"
    download.value.save_as(archive)
    check_adapter(stack, run_id, archive, tmp_path / "adapter")

    # ------------------------------------------------ a fork of it, with the suggested settings
    page.get_by_test_id("fork-run").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Steps", exact=True)).to_have_value(str(STEPS + STEPS // 2))
    expect(dialog.get_by_label("Target rank", exact=True)).to_be_disabled()
    picture(page, "fork-of-a-finished-run")
    dialog.get_by_test_id("fork-submit").click()
    expect(page.get_by_test_id("forked-from")).to_be_visible()

    # ------------------------------------------------ stopped by one button, or without saving once confirmed
    with stack.client() as client:
        fork = page.url.split("?")[0].rsplit("/", 1)[-1]
        wait_for("the fork to train", lambda: client.run(fork)["status"] == "running", deadline_s=PATIENCE_S)
    page.get_by_role("main").get_by_role("button", name="More").click()
    page.get_by_test_id("discard-run").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_test_id("stop-run").click()
    expect(page.get_by_test_id("run-status")).to_have_text("stopped", timeout=PATIENCE_MS)

    # ------------------------------------------------ the run's history, in order
    with stack.client() as client:
        for one in (run_id, other):
            numbers = [event["seq"] for event in client.watch(one)]
            assert numbers == list(range(1, client.run(one)["last_seq"] + 1))
        ranks = [event for event in client.watch(run_id) if event["kind"] == "ranks"]
    prunings = [event for event in ranks if event["pruning"]]
    assert len(prunings) > 5
    assert all(event["live"] == event["budget"] for event in prunings)


def check_adapter(stack: Stack, run_id: str, archive: Path, folder: Path) -> None:
    """The downloaded adapter on the base model gives the logits of the trained model in its last checkpoint."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from dynamic_rank import create_method

    with zipfile.ZipFile(archive) as files:
        files.extractall(folder)
    root = next(folder.rglob("adapter_config.json")).parent
    base = stack.settings.models_dir / "tiny-bert"

    def fresh() -> torch.nn.Module:
        torch.manual_seed(1)
        model: torch.nn.Module = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
        return model

    with stack.client() as client:
        options = dict(client.run(run_id)["config"]["method"])
    method = create_method(options.pop("name"), options)
    trained = method.prepare(fresh(), "SEQ_CLS")
    method.load_state(stack.settings.attempt_dir(run_id, 1) / "checkpoints" / f"step-{STEPS}")
    plain = PeftModel.from_pretrained(fresh(), root)
    texts = AutoTokenizer.from_pretrained(root)(["the film is good", "a dull plot"], return_tensors="pt", padding=True)
    trained.eval()
    plain.eval()
    with torch.no_grad():
        expected, found = trained(**texts).logits, plain(**texts).logits
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found, fresh().eval()(**texts).logits)
