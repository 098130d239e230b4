"""Unusual runs, trained for real and shown in the browser: two stacks, a loss that becomes NaN, and a log of 100 MB."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from safetensors.torch import load_file, save_file

from tests.e2e.axe import serious_issues
from tests.e2e.conftest import PATIENCE_MS, PATIENCE_S
from tests.e2e.test_main_job import number, picture
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack, wait_for
from tests.tiny import make_reviews, make_tiny_bart, make_tiny_bert
from tests.tiny_stack import tiny_stack

METHOD = {
    "name": "dynamic_rank",
    "target_rank": 2,
    "warmup_ratio": 0.0005,
    "prune_interval": 20,
    "prune_end_ratio": 0.2,
    "schedule": "fast_first",
}
TRAINING = {"max_steps": 100_000, "batch_size": 8, "max_length": 16, "eval_every": 5000, "learning_rate": 0.002}
TWO_STACKS = {
    "model": {"id": "local:tiny-bart"},
    "data": {"id": "local:reviews"},
    "method": METHOD,
    "training": TRAINING,
}
DIVERGING = TWO_STACKS | {"model": {"id": "local:overflowing-bert"}, "data": {"id": "local:rare-words"}}
LINE = b"step 12345: loss 0.6931, 41.2 steps/s, nothing that anybody would search for\n"


@pytest.fixture
def stack(tmp_path: Path, forked: ForkedCommands) -> Iterator[Stack]:
    with tiny_stack(tmp_path / "data", forked=forked, layers=1) as stack:
        make_tiny_bart(stack.settings.models_dir / "tiny-bart")
        _make_overflowing(
            stack.settings.models_dir / "overflowing-bert", stack.settings.datasets_dir / "rare-words.csv"
        )
        yield stack


def _make_overflowing(model: Path, data: Path) -> None:
    """A BERT whose embedding of unknown words overflows in its first norm, and texts that rarely have unknown words."""
    weights = make_tiny_bert(model, layers=1) / "model.safetensors"
    tensors = load_file(weights)
    tensors["bert.embeddings.word_embeddings.weight"][1] = 1e30
    save_file(tensors, weights, metadata={"format": "pt"})
    make_reviews(data)
    with data.open("a", encoding="utf-8") as file:
        file.writelines(f"something unheard of,{label}\n" for label in ("fresh", "rotten") * 3)


def test_two_stacks_a_loss_that_becomes_nan_and_a_long_log(stack: Stack, page: Page) -> None:
    with stack.client() as client:
        diverging = client.launch(DIVERGING, name="diverging")["id"]
        live = client.launch(TWO_STACKS, name="encoder and decoder")["id"]
    page.goto(f"{stack.url}/?token={TOKEN}")
    _loss_becomes_nan(stack, page, diverging)
    _encoder_and_decoder(stack, page, live)
    _long_log(stack, page, live)


def _loss_becomes_nan(stack: Stack, page: Page, run: str) -> None:
    page.goto(f"{stack.url}/runs/{run}?tab=curves")
    expect(page.get_by_test_id("run-status")).to_contain_text("failed", timeout=PATIENCE_MS)
    loss = page.get_by_test_id("curve-train_loss")
    expect(loss).to_contain_text(re.compile(r"NaN or infinite values between steps \d+ and \d+ \(×\)"))
    crosses = "plot => plot.data.filter(trace => trace.marker?.symbol === 'x').map(trace => trace.x.length)"
    assert loss.locator(".js-plotly-plot").evaluate(crosses) == [3]
    picture(page, "curves-nan")
    page.get_by_role("tab", name="Ranks").click()
    page.get_by_test_id("alerts").get_by_role("button", name="Details").click()
    expect(page.get_by_test_id("health-scores_nan")).to_be_visible()
    alerts = page.get_by_role("alert")
    expect(alerts).to_have_count(2)
    trouble = page.get_by_test_id("run-trouble")
    expect(trouble).to_contain_text(re.compile(r"The loss is NaN since step \d+"))
    expect(trouble).to_contain_text(re.compile(r"WARNING Scores are NaN at step \d+"))
    assert serious_issues(page) == []
    # It has no checkpoint to fork from: one click starts a new run.
    page.get_by_role("button", name="Start a new run with learning rate 0.0007").click()
    page.wait_for_url(lambda url: f"/runs/{run}" not in url)
    expect(page.get_by_test_id("run-status")).to_contain_text("queued")
    anew = page.url.rsplit("/", 1)[-1]
    with stack.client() as client:
        made = client.stop(anew, save=False)
        assert (made["name"], made["config"]["training"]["learning_rate"]) == ("diverging", 0.0007)
        assert made["notes"] == f"Start a new run with learning rate 0.0007, after run {run}."


def _encoder_and_decoder(stack: Stack, page: Page, run: str) -> None:
    page.goto(f"{stack.url}/runs/{run}")
    heatmap = page.get_by_test_id("rank-heatmap")
    wait_for("some prunings", lambda: heatmap.count() and number(heatmap, "data-step") > 100, deadline_s=PATIENCE_S)
    for name in ("encoder", "decoder"):
        expect(heatmap.locator(".annotation-text").filter(has_text=re.compile(f"^{name}$"))).to_be_visible()
    picture(page, "ranks-two-stacks")
    assert serious_issues(page) == []


def _long_log(stack: Stack, page: Page, run: str) -> None:
    """A log of 60 MB that is still growing opens at its end, and only the visible lines are loaded.

    From 64 MiB on, the worker would truncate it, and lines written in the meantime may be lost.
    """
    log = stack.settings.attempt_dir(run, 1) / "log.txt"
    with log.open("ab") as file:
        for _ in range(60):
            file.write(LINE * (1_000_000 // len(LINE)))
        file.write(b"the needle of this log\n")
    ids, read = set(), 0

    def note(sent: dict[str, Any]) -> None:
        if "/log" in sent["request"]["url"].split("?")[0]:
            ids.add(sent["requestId"])

    def weigh(received: dict[str, Any]) -> None:
        nonlocal read
        read += received["dataLength"] if received["requestId"] in ids else 0

    # The log of a live run is an event stream, whose response never has a whole body: count what arrives.
    network = page.context.new_cdp_session(page)
    network.on("Network.requestWillBeSent", note)
    network.on("Network.dataReceived", weigh)
    network.send("Network.enable")
    page.goto(f"{stack.url}/runs/{run}?tab=log")
    shown = page.get_by_test_id("log")
    expect(shown).to_contain_text("the needle of this log")
    expect(shown).to_contain_text("steps/s")
    assert 0 < read < 2_000_000
