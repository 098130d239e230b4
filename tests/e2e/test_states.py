"""What you see and do when a run waits, is steered, dies, fails and is forked, on the real stack."""

import os
import re
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, writing
from tests.e2e.conftest import PATIENCE_MS, PATIENCE_S, Console
from tests.e2e.test_main_job import picture
from tests.faults.orders import order
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny_stack import tiny_stack

CONFIG = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {
        "name": "dynamic_rank",
        "target_rank": 2,
        "prune_interval": 50,
        "warmup_ratio": 0.02,
        "prune_end_ratio": 0.95,
    },
    "training": {
        "max_steps": 20_000,
        "batch_size": 8,
        "max_length": 16,
        "eval_every": 500,
        "learning_rate": 0.002,
        "checkpoint_every": 100,
    },
}


@pytest.fixture
def stack(tmp_path: Path, forked: ForkedCommands) -> Iterator[Stack]:
    with tiny_stack(tmp_path / "data", forked=forked, layers=2, has_worker=False, lease_s=5) as stack:
        yield stack


def fail(stack: Stack, run_id: str) -> None:
    """Ends the run like a worker whose child ran out of GPU memory."""
    engine = create_engine(stack.settings.resolved_database_url)
    with writing(engine) as session:
        claim = queue.claim_next(session, worker="gpu-host", has_gpu=False, lease_s=60, now=time.time())
        assert claim is not None
        assert claim.run_id == run_id
        runs.transition(
            session,
            runs.get_run(session, run_id),
            RunStatus.failed,
            now=time.time(),
            reason="out_of_gpu_memory",
            message="CUDA out of memory. Tried to allocate 2.00 GiB.",
            next_step="Retry with batch_size 4 and gradient_accumulation 2: the same training in less memory.",
            cause="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79.1 GiB in use.",
        )
    engine.dispose()


def top_of(chart: Locator) -> float:
    return float(chart.evaluate("plot => plot._fullLayout.yaxis.range[1]"))


def kill_child(stack: Stack, run_id: str) -> None:
    children = psutil.Process(stack.processes["test-worker"].pid).children()
    next(child for child in children if run_id in child.cmdline()).kill()


def test_states_are_shown_with_their_actions(stack: Stack, page: Page, console: Console, tmp_path: Path) -> None:
    with stack.client() as client:
        failing, first, second, third = (
            client.launch(CONFIG, name=name)["id"] for name in ("too large", "first", "second", "third")
        )
    page.goto(f"{stack.url}/?token={TOKEN}")
    status = page.get_by_test_id("run-status")

    # ------------------------------------------------ a run that ran out of memory: the cause, and one click
    fail(stack, failing)
    page.goto(f"{stack.url}/runs/{failing}")
    expect(status).to_have_text("failed: out of GPU memory")
    expect(page.get_by_test_id("run-trouble")).to_contain_text("GPU 0 has 79.1 GiB in use.")
    picture(page, "run-failed")
    page.get_by_role("button", name="Retry with batch 4 and accumulation 2").click()
    expect(status).to_have_text("queued, #4")
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_text("training.batch_size 4 instead of 8")).to_be_visible()

    # ------------------------------------------------ the queue: no worker yet, order by button and by keyboard
    page.goto(stack.url)
    expect(page.get_by_test_id("degraded")).to_contain_text("No worker is online")
    lines = page.get_by_test_id("queue").locator("[data-run]")
    expect(lines).to_have_count(4)
    page.get_by_role("button", name="Move third up").click()
    expect(lines.nth(1)).to_have_attribute("data-run", third)
    page.get_by_role("button", name="Move too large up").focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(lines.nth(2)).to_have_attribute("data-run", failing)
    picture(page, "queue")
    row = page.get_by_test_id("run-row").first
    for width, name_width in ((1280, 300), (768, 200)):
        page.set_viewport_size({"width": width, "height": 900})
        wait_for("the names to have room", partial(is_wide, row.locator(".col-name"), name_width))
        expect(row.locator(".col-progress")).to_be_visible()
        expect(row.locator(".col-headline")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_role("banner").get_by_role("button", name="More")).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.goto(f"{stack.url}/runs/{failing}")
    expect(status).to_have_text("queued, #3")
    picture(page, "state-queued")

    # ------------------------------------------------ a waiting run is edited
    page.goto(f"{stack.url}/runs/{second}")
    expect(status).to_have_text("queued, #4")
    page.get_by_test_id("edit-run").click()
    expect(page.get_by_role("heading", name="Edit a queued run")).to_be_visible()
    page.get_by_label("Steps", exact=True).fill("30000")
    page.get_by_role("button", name="Save changes").click()
    page.wait_for_url(f"**/runs/{second}")
    with stack.client() as client:
        assert client.run(second)["total_steps"] == 30_000

    # ------------------------------------------------ it starts, is held while it writes a checkpoint, then trains
    written = order(
        tmp_path / "faults", first, 1, module="rankscope_worker.child.checkpoint", function="_hash", call=1, do="wait"
    )
    page.goto(f"{stack.url}/runs/{first}")
    stack.start_worker()
    expect(status).to_have_text("starting")
    picture(page, "state-starting")
    expect(status).to_have_text("checkpointing", timeout=PATIENCE_MS)
    picture(page, "state-checkpointing")
    expect(status).to_have_text("checkpointing")
    written.unlink()
    expect(status).to_have_text("training")
    loss = page.get_by_role("img", name="Train loss by step")
    wait_for("a scale of the loss's own, which was empty", lambda: top_of(loss) < 2, deadline_s=20)
    picture(page, "state-training")

    # ------------------------------------------------ training is steered
    expect(status).to_have_text("pruning", timeout=PATIENCE_MS)
    picture(page, "state-pruning")
    page.get_by_test_id("steer-hold").click()
    expect(page.get_by_text(re.compile("^Pruning is held:"))).to_be_visible()
    page.get_by_label("Target rank, now 2").fill("1")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_label("Target rank, now 1")).to_be_visible()
    picture(page, "run-held")
    page.get_by_test_id("steer-release").click()
    expect(page.get_by_test_id("steer-hold")).to_be_visible()

    # ------------------------------------------------ its worker shuts down: another one continues
    stack.kill("test-worker", signal.SIGTERM)
    expect(status).to_have_text("interrupted, #1 in queue")
    picture(page, "state-interrupted")
    stack.start_worker()
    expect(status).to_have_text("resuming, attempt 2", timeout=PATIENCE_MS)
    picture(page, "state-resuming")
    expect(status).to_have_text("pruning", timeout=PATIENCE_MS)

    # ------------------------------------------------ its process dies: it continues; the replaced part can be shown
    with stack.client() as client:
        wait_for("some steps after a checkpoint", lambda: client.run(first)["step"] % 100 > 20, deadline_s=PATIENCE_S)
        kill_child(stack, first)
        wait_for(
            "attempt 3 to train",
            lambda: (r := client.run(first))["attempt"] == 3 and r["status"] == "running",
            deadline_s=PATIENCE_S,
        )
    expect(status).to_have_text("pruning", timeout=PATIENCE_MS)
    page.get_by_role("switch", name="Show replaced attempts").first.click()
    expect(page.locator(".legendtext").filter(has_text="attempt 2, replaced").first).to_be_visible()
    picture(page, "run-resumed")

    # ------------------------------------------------ its host fails: the server notices, because no worker is left
    stack.kill("test-worker")
    expect(status).to_have_text("interrupted, #1 in queue", timeout=PATIENCE_MS)
    picture(page, "state-worker-lost")
    stack.start_worker()
    expect(status).to_have_text("pruning", timeout=PATIENCE_MS)

    # ------------------------------------------------ stopped, and forked from one of its checkpoints
    page.get_by_test_id("stop-run").click()
    expect(status).to_have_text("stopped", timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Checkpoints and export").click()
    page.get_by_test_id("checkpoints").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Target rank", exact=True)).to_have_value("1")  # as steered, not as configured
    dialog.get_by_label("Steps", exact=True).fill("100")
    console.expects_failed_requests = True
    dialog.get_by_test_id("fork-submit").click()
    expect(dialog.get_by_role("alert")).to_contain_text("the checkpoint is of step")
    picture(page, "fork-refused")
    console.expects_failed_requests = False
    dialog.get_by_label("Steps", exact=True).fill("25000")
    dialog.get_by_label("Learning rate", exact=True).fill("0.001")
    dialog.get_by_test_id("fork-submit").click()
    expect(page.get_by_test_id("forked-from")).to_be_visible()
    child = page.url.split("?")[0].rsplit("/", 1)[-1]
    with stack.client() as client:
        made = client.run(child)
        assert (made["parent_id"], made["config"]["training"]["learning_rate"]) == (first, 0.001)
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_test_id("run-tree").locator("li")).to_have_count(2)
    picture(page, "fork")

    # ------------------------------------------------ once it trains, its curves are shown with its parent's
    with stack.client() as client:
        for other in (failing, second, third):
            client.stop(other, save=False)
        wait_for("the fork to train", lambda: client.run(child)["step"] > made["step"], deadline_s=PATIENCE_S)
    page.get_by_role("tab", name="Curves").click()
    page.get_by_role("switch", name="Forks").click()
    loss = page.get_by_test_id("curve-train_loss")
    expect(loss.locator(".legendtext").filter(has_text="before the fork: first")).to_be_visible(timeout=PATIENCE_MS)
    expect(loss.get_by_text("forked here")).to_be_visible()
    picture(page, "fork-curves")
    page.goto(f"{stack.url}/runs/{first}?tab=curves")
    expect(loss.get_by_text("fork", exact=True)).to_be_visible()
    page.goto(f"{stack.url}/runs/{child}?tab=config")
    expect(page.get_by_text("action: release")).to_be_visible()
    assert os.path.isdir(stack.settings.attempt_dir(child, 0))


def is_wide(part: Locator, least: float) -> bool:
    box = part.bounding_box()
    return box is not None and box["width"] >= least
