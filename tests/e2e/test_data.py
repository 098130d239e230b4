"""Data in a real browser: a file with broken rows is uploaded, looked at, and trained on."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PATIENCE_MS, PATIENCE_S, tiny_stack
from tests.e2e.test_main_job import choose, picture
from tests.stack import TOKEN, wait_for
from tests.tiny import make_reviews
from tests.worker.child.hub.stand_in import StandIn, serving


def test_a_file_with_broken_rows_is_uploaded_looked_at_and_trained_on(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = make_reviews(tmp_path / "films.csv", rows=90)
    texts = [line.rpartition(",")[0] for line in films.read_text().splitlines()[1:]]
    films.write_text(films.read_text() + "ragged,1,2\n")
    (tmp_path / "unreadable.csv").write_text("text,label\nshort\n")
    on_the_hub = {f"{subset}/train.csv": f"text,label\na {subset} film,1\n".encode() for subset in ("one", "two")}
    with serving(StandIn(on_the_hub)) as hub:
        monkeypatch.setenv("RANKSCOPE_HUB_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "")
        upload_and_train(page, tmp_path, films, texts)


def upload_and_train(page: Page, tmp_path: Path, films: Path, texts: list[str]) -> None:
    with tiny_stack(tmp_path / "data", layers=2) as stack:
        page.goto(f"{stack.url}/?token={TOKEN}")
        page.get_by_role("link", name="Data", exact=True).click()
        page.get_by_label("Data set").fill("team/tiny")
        page.get_by_role("button", name="Download").click()
        downloads = page.locator("[data-download]")
        expect(downloads).to_contain_text("has the subsets 'one', 'two'. Choose one of them", timeout=PATIENCE_MS)
        page.get_by_label("Subset").fill("two")
        page.get_by_role("button", name="Download").click()
        expect(downloads.get_by_role("link", name="Open")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_role("link", name="tiny two")).to_be_visible(timeout=PATIENCE_MS)
        picture(page, "data-from-the-hub")
        page.locator("input[type=file]").set_input_files([tmp_path / "unreadable.csv", films])
        failed = page.get_by_test_id("failed-import")
        expect(failed).to_contain_text("It has 1 field, but the header has 2.", timeout=PATIENCE_MS)
        failed.get_by_role("button", name="Remove").click()
        expect(failed).to_have_count(0)
        page.get_by_role("link", name="films.csv").click(timeout=PATIENCE_MS)
        expect(page.get_by_role("table", name="Rejected rows")).to_contain_text(
            "It has 3 fields, but the header has 2."
        )
        rows = page.get_by_test_id("rows")
        expect(rows).to_contain_text(texts[24])
        page.get_by_role("button", name="Next").click()
        expect(rows).to_contain_text(texts[25])
        picture(page, "data-set")
        data_id = page.url.rpartition("/")[2].replace("%3A", ":")
        page.get_by_role("link", name="New run with this data").click()
        choose(page, "Model", "local:tiny-bert")
        expect(page.get_by_test_id("launch-run")).to_be_enabled(timeout=PATIENCE_MS)
        with stack.client() as client:
            config = {
                "model": {"id": "local:tiny-bert"},
                "data": {"id": data_id},
                "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 2},
                "training": {"max_steps": 12, "batch_size": 8, "max_length": 16},
            }
            run = client.launch(config, name="on an import")["id"]
            ended = wait_for(
                "the run to end",
                lambda: found if (found := client.run(run))["ended_at"] else None,
                deadline_s=PATIENCE_S,
                every_s=0.2,
            )
        assert (ended["status"], ended["config"]["data"]["id"]) == ("done", f"{data_id}@1"), ended
