"""The form and the runs table in a real browser: the form launches what it shows, and asks before an edit is lost."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.e2e.conftest import Console
from tests.e2e.test_main_job import choose, picture
from tests.forked_commands import ForkedCommands
from tests.stack import TOKEN, Stack
from tests.tiny_stack import tiny_stack

STEERED: dict[str, Any] = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 5},
    "training": {"max_steps": 200, "batch_size": 8, "max_length": 16, "learning_rate": 0.005},
    "steering": [{"step": 40, "action": "hold"}, {"step": 60, "action": "release"}],
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, forked: ForkedCommands) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("new-run") / "data"
    with tiny_stack(folder, forked=forked, layers=2, has_worker=False) as stack:
        yield stack


@pytest.fixture
def form(stack: Stack, page: Page) -> Page:
    page.goto(f"{stack.url}/?token={TOKEN}")
    page.goto(f"{stack.url}/new")
    choose(page, "Model", "local:tiny-bert")
    choose(page, "Data set", "local:reviews")
    expect(page.get_by_test_id("launch-run")).to_be_enabled()
    return page


def launched(stack: Stack) -> int:
    with stack.client() as client:
        return int(client.runs()["total"])


def leave(page: Page) -> None:
    page.get_by_role("button", name="Discard changes").click()


def test_yaml_that_is_not_valid_stops_the_launch_on_every_tab(form: Page, stack: Stack) -> None:
    before = launched(stack)
    form.get_by_role("tab", name="YAML").click()
    text = form.get_by_label("Configuration as YAML")
    good = text.input_value()
    text.fill(good.replace("max_steps: 200", "max_steps: 50") + "oops: [")
    expect(form.get_by_test_id("broken-yaml")).to_contain_text("is not valid YAML")
    expect(form.get_by_test_id("launch-run")).to_be_disabled()
    picture(form, "new-run-broken-yaml")
    form.get_by_role("tab", name="Form").click()
    expect(form.get_by_test_id("launch-run")).to_be_disabled()
    form.get_by_label("Name", exact=True).fill("an edit elsewhere changes nothing about that")
    expect(form.get_by_test_id("launch-run")).to_be_disabled()
    # The typed text is still there, and fixing it is enough.
    form.get_by_role("button", name="Fix the YAML").click()
    assert form.get_by_label("Configuration as YAML").input_value().endswith("oops: [")
    form.get_by_label("Configuration as YAML").fill(
        "# a comment of mine\n" + good.replace("max_steps: 200", "max_steps: 100")
    )
    expect(form.get_by_test_id("broken-yaml")).to_have_count(0)
    expect(form.get_by_test_id("launch-run")).to_be_enabled()
    form.get_by_role("tab", name="Form").click()
    expect(form.get_by_label("Steps", exact=True)).to_have_value("100")
    form.get_by_role("tab", name="YAML").click()
    assert form.get_by_label("Configuration as YAML").input_value().startswith("# a comment of mine")
    assert launched(stack) == before


def test_leaving_with_edits_needs_confirmation_by_link_back_and_reload(form: Page, stack: Stack) -> None:
    form.goto(f"{stack.url}/")
    form.get_by_role("link", name="New run").first.click()
    form.wait_for_url("**/new")
    form.get_by_label("Name", exact=True).fill("not to be lost")
    form.get_by_role("link", name="Runs", exact=True).first.click()
    expect(form.get_by_role("dialog")).to_contain_text("not saved")
    picture(form, "new-run-leave")
    form.get_by_role("button", name="Keep editing").click()
    assert form.url.endswith("/new")
    form.go_back()
    expect(form.get_by_role("dialog")).to_contain_text("not saved")
    form.get_by_role("button", name="Keep editing").click()
    assert form.url.endswith("/new")
    expect(form.get_by_label("Name", exact=True)).to_have_value("not to be lost")

    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    form.once("dialog", accept)
    form.reload()
    assert asked == ["beforeunload"]
    # After a reload the edit is restored, with a notice.
    expect(form.get_by_test_id("restored")).to_be_visible()
    expect(form.get_by_label("Name", exact=True)).to_have_value("not to be lost")

    form.go_back()
    leave(form)
    expect(form.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    form.get_by_role("link", name="New run").first.click()
    expect(form.get_by_label("Name", exact=True)).to_have_value("")
    expect(form.get_by_test_id("restored")).to_have_count(0)
    # Without an edit, there is no confirmation.
    form.get_by_role("link", name="Runs", exact=True).first.click()
    expect(form.get_by_role("heading", name="Runs", exact=True)).to_be_visible()


def test_a_preset_asks_before_it_replaces_edits(form: Page) -> None:
    steps = form.get_by_label("Steps", exact=True)
    steps.fill("123")
    form.locator("[data-preset=lora]").click()
    dialog = form.get_by_role("dialog")
    expect(dialog).to_contain_text("Replace your changes?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(steps).to_have_value("123")
    form.locator("[data-preset=lora]").click()
    dialog.get_by_role("button", name="Use the preset").click()
    expect(form.get_by_label("Rank", exact=True)).to_have_value("4")
    # Switching from one preset to another loses no edits.
    form.locator("[data-preset=full]").click()
    expect(dialog).to_have_count(0)
    expect(form.get_by_label("Learning rate", exact=True)).to_have_value("5e-5")


def test_another_method_keeps_the_budget_takes_its_own_rate_and_says_so(form: Page) -> None:
    changes, rate = form.get_by_test_id("method-changes"), form.get_by_label("Learning rate", exact=True)
    choose(form, "Method", "LoRA (fixed rank)")
    expect(form.get_by_label("Rank", exact=True)).to_have_value("4")
    expect(rate).to_have_value("0.003")
    expect(changes).to_contain_text("mean rank 4")
    expect(changes).to_contain_text("Learning rate: 0.01 → 0.003")
    picture(form, "new-run-method-switch")
    changes.get_by_role("button", name="Keep 0.01").click()
    expect(rate).to_have_value("0.01")

    choose(form, "Method", "Full fine-tuning")
    expect(rate).to_have_value("5e-5")
    choose(form, "Method", "AdaLoRA")
    expect(form.get_by_label("Target rank", exact=True)).to_have_value("4")
    expect(form.get_by_label("Prune every", exact=True)).to_have_value("10")
    expect(changes).to_contain_text("Prune every: 100 → 10")
    expect(form.get_by_test_id("launch-run")).to_be_enabled()
    choose(form, "Method", "Dynamic rank")
    expect(form.get_by_label("Prune every", exact=True)).to_have_value("10")
    expect(rate).to_have_value("0.01")


def test_a_method_without_ranks_on_the_way_loses_no_budget(form: Page) -> None:
    changes = form.get_by_test_id("method-changes")
    choose(form, "Method", "Full fine-tuning")
    expect(changes).to_contain_text("Learning rate: 0.01 → 5e-5")
    expect(changes).not_to_contain_text("Budget kept")
    choose(form, "Method", "AdaLoRA")
    expect(form.get_by_label("Target rank", exact=True)).to_have_value("4")
    expect(changes).to_contain_text("Budget kept: mean rank 4.")


def test_a_broken_data_set_is_listed_with_its_reason_and_cannot_be_chosen(form: Page, stack: Stack) -> None:
    (stack.settings.datasets_dir / "ragged.csv").write_text("text,label\na,b\nc,d,e\n", encoding="utf-8")
    form.reload()
    form.get_by_role("combobox", name="Data set").click()
    option = form.get_by_role("option", name="ragged.csv")
    expect(option).to_contain_text("3")
    expect(option).to_have_attribute("data-combobox-disabled", "true")
    picture(form, "new-run-broken-data")
    form.keyboard.press("Escape")
    use = form.get_by_test_id("data-use")
    expect(use).to_contain_text("text")
    expect(use).to_contain_text("label")
    expect(use).to_contain_text("fresh")


def test_a_copy_of_a_steered_run_shows_that_it_repeats_the_steering(stack: Stack, page: Page) -> None:
    with stack.client() as client:
        run = client.launch(STEERED, name="steered", tags=["kept"])["id"]
    page.goto(f"{stack.url}/?token={TOKEN}")
    page.goto(f"{stack.url}/new?from={run}")
    notice = page.get_by_test_id("steering-notice")
    expect(notice).to_contain_text("step 40: hold")
    expect(page.get_by_text("kept", exact=True)).to_be_visible()
    picture(page, "new-run-steered-copy")
    notice.get_by_role("button", name="Launch without it").click()
    expect(notice).to_have_count(0)
    page.get_by_test_id("launch-run").click()
    page.wait_for_url("**/runs/*")
    with stack.client() as client:
        copy = client.run(page.url.rsplit("/", 1)[-1])
    assert copy["config"]["steering"] == []
    assert copy["tags"] == ["kept"]


def test_without_the_server_nothing_is_launched_and_the_form_explains_it(
    form: Page, stack: Stack, console: Console
) -> None:
    console.expects_failed_requests = True
    form.route("**/api/v1/runs/validate", lambda route: route.abort())
    form.get_by_label("Steps", exact=True).fill("150")
    expect(form.get_by_test_id("launch-run")).to_be_disabled()
    expect(form.get_by_role("button", name="Check again")).to_be_visible()
    form.unroute("**/api/v1/runs/validate")
    form.get_by_role("button", name="Check again").click()
    expect(form.get_by_test_id("launch-run")).to_be_enabled()


def test_runs_are_filtered_labelled_archived_and_grouped(stack: Stack, page: Page) -> None:
    with stack.client() as client:
        for rank, seed in ((2, 1), (2, 2), (4, 1), (4, 2)):
            config = STEERED | {
                "method": STEERED["method"] | {"target_rank": rank},
                "training": STEERED["training"] | {"seed": seed},
                "steering": [],
            }
            client.launch(config, name=f"rank {rank}, seed {seed}", tags=["table"])
    page.goto(f"{stack.url}/?token={TOKEN}")
    rows = page.get_by_test_id("run-row")
    box = page.get_by_label("Filter runs by a condition")
    box.press_sequentially("tag = tab")
    page.get_by_role("option", name="table").click()
    box.press_sequentially("and target_ra")
    page.get_by_role("option", name=re.compile(r"^config\.method\.target_rank")).click()
    box.press_sequentially("> 2")
    box.press("Enter")
    expect(rows).to_have_count(2)
    box.fill("config.method.target_rnk > 2")
    box.press("Enter")
    expect(page.get_by_test_id("filter-problem")).to_contain_text("Did you mean config.method.target_rank")
    box.fill("tag = table")
    box.press("Enter")
    expect(rows).to_have_count(4)

    page.get_by_role("button", name="Choose columns").click()
    page.get_by_label("Find a column").fill("training.seed")
    seed_choice = page.get_by_label("config.training.seed")
    seed_choice.click()  # in the address first, and then checked
    expect(seed_choice).to_be_checked()
    page.keyboard.press("Escape")
    seed_column = page.get_by_role("columnheader", name="Seed")
    expect(seed_column).to_be_visible()
    page.get_by_role("button", name="Saved views and export").click()
    page.get_by_label("Name of the view").fill("seeds")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("View seeds saved.")).to_be_visible()
    page.goto(stack.url)
    expect(seed_column).to_have_count(0)
    page.get_by_role("button", name="Saved views and export").click()
    page.get_by_role("menuitem", name="seeds").click()
    expect(seed_column).to_be_visible()
    expect(rows).to_have_count(4)

    rows.first.get_by_role("button", name=re.compile("Edit the tags")).click()
    page.locator("input[aria-label='Tags']").fill("edited")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Save tags").click()
    expect(rows.first).to_contain_text("#edited")
    rows.first.get_by_role("checkbox").check()
    name = rows.first.get_by_role("link").first.inner_text()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_test_id("confirmed-runs")).to_have_text(name)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Archive").click()
    expect(rows).to_have_count(3)
    # The first notification is about the tags.
    page.get_by_role("alert").filter(has_text="archived").get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(4)

    page.get_by_test_id("group-runs").click()
    page.get_by_label("Same configuration").click()
    page.keyboard.press("Escape")
    groups = page.get_by_test_id("run-group")
    expect(groups).to_have_count(2)
    groups.first.get_by_role("button", name=re.compile("^Runs of")).click()
    expect(page.get_by_test_id("group-member")).to_have_count(2)
    for group in groups.all():
        group.get_by_role("checkbox").check()
    page.get_by_test_id("compare-groups").click()
    expect(page.get_by_role("heading", name="Compare 2 groups of 4 runs")).to_be_visible()
    page.go_back()
    expect(groups).to_have_count(2)
