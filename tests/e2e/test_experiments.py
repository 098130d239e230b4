"""Results are imported in the browser; their answer is shown, narrowed and copied."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import serious_issues
from tests.e2e.conftest import PATIENCE_MS, Console
from tests.e2e.test_main_job import picture
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack
from tests.tiny_stack import tiny_stack

STUDY = Path(__file__).parent.parent / "data/study.jsonl.gz"


@pytest.fixture
def stack(tmp_path: Path, forked: ForkedCommands) -> Iterator[Stack]:
    with tiny_stack(tmp_path / "data", forked=forked, layers=1, has_worker=False) as stack:
        yield stack


def test_a_study_is_imported_and_answered(stack: Stack, page: Page, console: Console, tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    file.write_bytes(gzip.decompress(STUDY.read_bytes()))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"variant": "a", "budget": 2, "seed": "x", "accuracy": 1}\n{')
    page.goto(f"{stack.url}/?token={TOKEN}")
    page.get_by_role("link", name="Experiments").click()
    page.get_by_role("button", name="Import results").click()
    dialog = page.get_by_role("dialog")
    console.expects_failed_requests = True
    dialog.locator("input[type=file]").set_input_files(bad)
    dialog.get_by_role("button", name="Import", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("line 1: seed is 'x'. Use an integer.")
    dialog.locator("input[type=file]").set_input_files(file)
    expect(dialog.get_by_label("Baseline").first).to_have_value("lora")
    dialog.get_by_role("button", name="Import", exact=True).click()

    expect(page.get_by_role("heading", name="study", exact=True)).to_be_visible()
    sentences = page.get_by_test_id("sentence")
    expect(sentences).to_have_count(8, timeout=PATIENCE_MS)
    expect(sentences.first).to_contain_text("dynamic_rank zero_b is 0.24 points above lora")
    expect(sentences.first.locator(".verdict")).to_have_text("Equivalent")
    expect(page.get_by_text("lora_shrink, mean rank 1, rt (always one class): seeds 1, 2")).to_be_visible()
    expect(page.get_by_test_id("mean-ranks")).to_have_count(2)
    assert serious_issues(page) == []
    picture(page, "experiment")

    # A single comparison needs no correction.
    page.goto(f"{page.url}?task=r8&budget=2&variant=dynamic_rank+zero_b")
    expect(sentences).to_have_count(1, timeout=PATIENCE_MS)
    expect(sentences.first.locator(".verdict")).to_have_text("Better")
    expect(sentences.first).to_contain_text("Too small to matter")
    sentences.first.get_by_role("button").click()
    expect(sentences.first.get_by_role("row")).to_have_count(6)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Copy or save").click()
        page.get_by_role("menuitem", name="Save as LaTeX").click()
    assert r"dynamic\_rank zero\_b & \textbf{97.30 $\pm$ 0.12}" in saved.value.path().read_text()

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete experiment").click()
    expect(page.get_by_text("No experiments yet")).to_be_visible()
