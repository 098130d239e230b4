"""From a data file to a model's predictions, in a real browser, for four kinds of tasks; and models from a hub."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import model_folders
from tests.e2e.axe import serious_issues
from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.test_main_job import choose, number, picture
from tests.kinds import make_folder
from tests.stack import TOKEN, Stack
from tests.tiny import FILLER, WORDS
from tests.tiny_stack import tiny_stack
from tests.worker.child.hub.stand_in import COMMIT, StandIn, serving
from tests.worker.child.tasks.installation import CHAT

ROWS = 96
PRAISE, BLAME = WORDS["fresh"], WORDS["rotten"]


@dataclass(frozen=True)
class Job:
    """A file with meaningless column names, and how a run on it is launched and tried."""

    task: str
    model: str
    columns: dict[str, str]
    """Label of the field -> column."""
    rows: Sequence[dict[str, Any]]
    typed: tuple[str, ...] = ()
    """What is tried at the end. Empty: the text of an evaluation row, for which the generated text is stored."""
    choices: tuple[tuple[str, str], ...] = ()
    """Other choices to make in the form: label and option."""


def _answer(number: int) -> dict[str, Any]:
    words = [FILLER[(number + 3 * at) % 10] for at in range(8)]
    words[number % 8] = PRAISE[number % 5]
    passage = " ".join(words)
    reply = {"text": [PRAISE[number % 5]], "answer_start": [passage.index(PRAISE[number % 5])]}
    return {"asked": f"is the {FILLER[number % 10]} very", "passage": passage, "reply": reply}


def _talk(number: int) -> list[dict[str, str]]:
    said = f"{FILLER[number % 10]} {(PRAISE, BLAME)[number % 2][number % 5]} {FILLER[number // 10 % 10]}"
    return [{"role": "user", "content": said}, {"role": "assistant", "content": ("good", "dull")[number % 2]}]


JOBS = {
    "films": Job(
        "Text classification",
        "local:bert",
        {"Text columns": "words", "Label column": "verdict"},
        [
            {"words": f"the {(PRAISE, BLAME)[n % 2][n % 5]} {FILLER[n % 10]} {FILLER[n // 10 % 10]}", "verdict": n % 2}
            for n in range(ROWS)
        ],
        ("the good film\na dull plot",),
    ),
    "answers": Job(
        "Extractive question answering",
        "local:bert",
        {"Question column": "asked", "Context column": "passage", "Answers column": "reply"},
        [_answer(n) for n in range(ROWS)],
        ("is the film very", "the plot is good and the end is warm"),
    ),
    "notes": Job(
        "Summarisation and text to text",
        "local:bart",
        {"Source column": "long", "Target column": "brief"},
        [
            {
                "long": f"the {FILLER[n % 10]} is {PRAISE[n % 5]} , a {FILLER[n // 10 % 10]}",
                "brief": f"a {PRAISE[n % 5]} end",
            }
            for n in range(ROWS)
        ],
    ),
    "talks": Job(
        "Language model and chat",
        "local:llama",
        {"Prompt, messages or text": "talk"},
        [{"talk": _talk(n)} for n in range(ROWS)],
        choices=(("Rows contain", "messages"),),
    ),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    original = model_folders.make_folder(tmp_path_factory.mktemp("hub") / "original")
    with serving(StandIn({path.name: path.read_bytes() for path in original.iterdir()})) as hub:
        yield hub


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, hub: StandIn) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("launching") / "data"
    with ExitStack() as parts:
        # Tests are offline, but this stack has its own hub.
        parts.enter_context(pytest.MonkeyPatch.context()).setenv("HF_HUB_OFFLINE", "0")
        stack = parts.enter_context(tiny_stack(folder, layers=1, hub_endpoint=hub.url, low_disk=0))
        for kind in ("bert", "bart", "llama"):
            make_folder(stack.settings.models_dir / kind, kind)
        tokenizer = stack.settings.models_dir / "llama" / "tokenizer_config.json"
        tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | {"chat_template": CHAT}))
        yield stack


def test_a_file_becomes_a_model_that_answers_for_each_kind_of_task(stack: Stack, page: Page, tmp_path: Path) -> None:
    page.goto(f"{stack.url}/?token={TOKEN}")
    _upload(page, tmp_path)
    runs = {name: _launch(page, name, job) for name, job in JOBS.items()}
    for name, run in runs.items():
        _watch(stack, page, run)
        _look_at_results(page, name)
        if JOBS[name].typed:
            _try(page, name, JOBS[name])
        else:
            _try_evaluated_text(stack, page, run)
        picture(page, f"try-{name}")
    with stack.client() as client:
        configs = {name: client.run(run)["config"] for name, run in runs.items()}
    assert configs["films"]["method"]["target_modules"] == ["query"]
    assert all(config["data"]["id"].endswith("@2") for config in configs.values())


def _upload(page: Page, folder: Path) -> None:
    """Every file has a row that can't be read, which is shown with the reason and then fixed. One has no other rows."""
    files, broken = {}, {}
    for name, job in JOBS.items():
        if name == "films":
            text = "words,verdict\n" + "".join(f"{row['words']},{row['verdict']}\n" for row in job.rows)
            files[name], broken[name] = (folder / "films.csv", text), "ragged,1,2\n"
        else:
            text = "".join(f"{json.dumps(row)}\n" for row in job.rows)
            files[name], broken[name] = (folder / f"{name}.jsonl", text), '{"cut": \n'
        files[name][0].write_text(text + broken[name])
    unreadable = folder / "unreadable.csv"
    unreadable.write_text("text,label\nshort\n")

    page.get_by_role("link", name="Data", exact=True).click()
    page.locator("input[type=file]").set_input_files([unreadable, *(path for path, _ in files.values())])
    failed = page.get_by_test_id("failed-import")
    expect(failed).to_contain_text("It has 1 field, but the header has 2.", timeout=PATIENCE_MS)
    failed.get_by_role("button", name="Remove").click()
    expect(failed).to_have_count(0)
    for name, (path, text) in files.items():
        page.get_by_role("link", name=path.name).click(timeout=PATIENCE_MS)
        rejected = page.get_by_role("table", name="Rejected rows")
        expect(rejected).to_contain_text("It has 3 fields, but the header has 2." if name == "films" else f"{ROWS + 1}")
        if name == "films":
            rows = page.get_by_test_id("rows")
            expect(rows).to_contain_text(str(JOBS["films"].rows[24]["words"]))
            page.get_by_role("button", name="Next").click()
            expect(rows).to_contain_text(str(JOBS["films"].rows[25]["words"]))
            picture(page, "data-set")
        path.write_text(text)
        page.locator("input[type=file]").set_input_files(path)
        expect(page.get_by_text("Version 2")).to_be_visible(timeout=PATIENCE_MS)
        expect(rejected).to_have_count(0)
        page.get_by_role("link", name="All data").click()


def _launch(page: Page, name: str, job: Job) -> str:
    """Maps the columns, checks the form's messages about them, and launches."""
    page.get_by_role("link", name="Data", exact=True).click()
    page.get_by_role("link", name=f"{name}.").click()
    page.get_by_role("link", name="New run with this data").click()
    choose(page, "Model", job.model)
    if page.get_by_label("Task", exact=True).input_value() != job.task:
        choose(page, "Task", job.task)
    for label, option in job.choices:
        choose(page, label, option)
    for label, column in job.columns.items():
        choose(page, label, column)
        page.keyboard.press("Escape")
    for label, value in {
        "Steps": 12,
        "Prune every": 2,
        "Target rank": 2,
        "Text length": 48,
        "Batch size": 8,
        "Learning rate": 0.05,
    }.items():
        page.get_by_label(label, exact=True).fill(str(value))
    launch = page.get_by_test_id("launch-run")
    expect(launch).to_be_enabled(timeout=PATIENCE_MS)
    if name == "films":
        _choose_modules(page)
        expect(launch).to_be_enabled()
    expect(page.get_by_test_id("data-use")).to_contain_text(next(iter(job.columns.values())))
    page.get_by_test_id("show-tokens").click()
    tokens = page.get_by_test_id("tokens")
    expect(tokens.get_by_role("listitem").filter(has_text="the").first).to_be_visible(timeout=PATIENCE_MS)
    if name == "talks":
        expect(tokens.locator("[data-state=learned]").first).to_be_visible()
        expect(tokens.get_by_title("Conversation")).to_contain_text("assistant")
        picture(page, "what-the-model-sees")
    launch.click()
    page.wait_for_url("**/runs/*")
    return page.url.rpartition("/")[2]


def _choose_modules(page: Page) -> None:
    """The layers of the adapter: by pattern, and by the tree with the keyboard."""
    field = page.locator("[data-field='method.target_modules']")
    field.get_by_role("button", name="Choose").click()
    field.get_by_label("Pattern of module names").fill("quer?")
    expect(field.get_by_role("status").last).to_have_text("2 of 13 match")
    field.get_by_role("button", name="Only these").click()
    expect(field.get_by_test_id("module-summary")).to_contain_text("2 modules of 13")
    line = field.get_by_role("treeitem", name="attention.value")
    line.focus()
    page.keyboard.press("Space")
    expect(line).to_have_attribute("aria-checked", "true")
    expect(field.get_by_test_id("module-summary")).to_contain_text("4 modules of 13")
    expect(page.get_by_test_id("launch-run")).to_be_enabled()
    assert serious_issues(page) == []
    picture(page, "new-run-modules")
    page.keyboard.press("Space")


def _watch(stack: Stack, page: Page, run: str) -> None:
    """The heatmap follows the prunings to the planned budget."""
    page.goto(f"{stack.url}/runs/{run}")
    heatmap = page.get_by_test_id("rank-heatmap")
    expect(heatmap).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("run-status")).to_have_text("done", timeout=PATIENCE_MS)
    with stack.client() as client:
        modules = client.run(run)["environment"]["n_modules"]
    expect(heatmap).to_have_attribute("data-live", str(2 * modules))
    heatmap.focus()
    page.keyboard.press("Home")
    expect(heatmap).to_have_attribute("data-step", "0")
    assert number(heatmap, "data-live") == 3 * modules


def _look_at_results(page: Page, name: str) -> None:
    """The evaluation rows; for one task with the base model's predictions next to the tuned model's."""
    page.get_by_role("tab", name="Result").click()
    rows = page.get_by_test_id("result-rows").locator("tbody tr")
    expect(rows.first).to_be_visible()
    if name == "films":
        expect(page.get_by_role("img", name="Confusion matrix of 2 classes.")).to_be_visible()
    if name == "talks":
        page.get_by_role("switch", name="Base model").click()
        guesses = page.get_by_test_id("base-guess")
        expect(guesses).to_have_count(rows.count())
        expect(guesses.filter(has_text=re.compile("^[…–]$"))).to_have_count(0, timeout=PATIENCE_MS)
        picture(page, "result-base")


def _try(page: Page, name: str, job: Job) -> None:
    page.get_by_role("tab", name="Try it").click()
    for index, text in enumerate(job.typed):
        page.get_by_test_id(f"try-text-{index}" if index else "try-text").fill(text)
    page.get_by_test_id("try-run").click()
    answers = page.get_by_test_id("try-answers")
    expect(answers).to_be_visible(timeout=PATIENCE_MS)
    expect(answers).to_contain_text("Fine-tuned")
    if name == "films":
        expect(answers.get_by_role("progressbar")).to_have_count(8)  # two classes of two texts by two models
    if name == "answers":
        marked = answers.locator("mark")
        expect(marked).to_have_count(2)
        assert str(marked.last.text_content()) in job.typed[1]


def _try_evaluated_text(stack: Stack, page: Page, run: str) -> None:
    """The exported adapter generates what the trained model generated for the same row; the base model, another text."""
    (row,) = page.request.get(f"{stack.url}/api/v1/runs/{run}/results?limit=1").json()["items"]
    (text,) = row["inputs"].values()
    page.get_by_role("tab", name="Try it").click()
    page.get_by_test_id("try-text").fill(text)
    page.get_by_test_id("try-run").click()
    answers = page.get_by_test_id("try-answers")
    expect(answers).to_be_visible(timeout=PATIENCE_MS)
    expect(answers.get_by_role("heading")).to_have_text(text)
    generated = row["prediction"] or "No text"
    expect(answers.get_by_role("group", name="Fine-tuned")).to_have_text(f"Fine-tuned{generated}")
    expect(answers.get_by_role("group", name="Base model")).not_to_have_text(f"Base model{generated}")


def test_a_model_comes_from_the_hub_and_is_deleted_and_a_broken_one_says_why(stack: Stack, page: Page) -> None:
    broken = stack.settings.models_dir / "broken"
    broken.mkdir()
    (broken / "config.json").write_text(json.dumps(model_folders.CONFIG))
    page.goto(f"{stack.url}/?token={TOKEN}")
    page.get_by_role("link", name="Models", exact=True).click()
    card = page.locator("[data-model='local:broken']")
    expect(card).to_contain_text("Can't be used")
    expect(card.get_by_role("alert")).to_contain_text("safetensors")

    page.get_by_label("Model", exact=True).fill("team/other")
    page.get_by_role("button", name="Download", exact=True).click()
    other = page.locator("[data-download='team/other']")
    expect(other).to_contain_text("Failed", timeout=PATIENCE_MS)
    other.get_by_role("button", name="Remove from the list").click()
    expect(other).to_have_count(0)

    page.get_by_label("Model", exact=True).fill("team/tiny")
    page.get_by_label("Revision", exact=True).fill("v1")
    page.get_by_role("button", name="Download", exact=True).click()
    tiny = page.locator("[data-model='local:team--tiny']")
    expect(page.locator("[data-download='team/tiny']")).to_contain_text("Done", timeout=PATIENCE_MS)
    expect(tiny).to_contain_text(COMMIT[:8])
    expect(tiny).to_contain_text("mit")
    tiny.get_by_text("3 adaptable modules of 3 kinds").click()
    expect(tiny.get_by_role("table")).to_contain_text("query")
    assert serious_issues(page) == []
    picture(page, "models")
    tiny.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete model").click()
    expect(tiny).to_have_count(0)
    assert not (stack.settings.models_dir / "team--tiny").exists()


def test_a_sweep_is_planned_launched_ranked_extended_and_stopped(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.url}/?token={TOKEN}")
    page.goto(f"{stack.url}/sweeps/new")
    choose(page, "Model", "local:tiny-bert")
    choose(page, "Data set", "local:reviews")
    for label, value in {"Prune every": "1", "Steps": "4", "Batch size": "4", "Text length": "16"}.items():
        page.get_by_label(label, exact=True).fill(value)
    choose(page, "Kind", "Grid")
    page.get_by_label("Number of values of parameter 1").fill("2")
    page.get_by_role("button", name="Add a field").click()
    # Nothing was entered yet, which is no error, but has to be done before the launch.
    expect(page.get_by_text("Enter values for Mean kept rank (budget).")).to_be_visible()
    expect(page.get_by_text("it needs at least 1 entry")).to_have_count(0)
    expect(page.get_by_test_id("launch-sweep")).to_be_disabled()
    values = page.get_by_role("combobox", name="Values of parameter 2")
    values.fill("2")
    values.press("Enter")
    values.press("Escape")
    expect(page.get_by_test_id("planned-size")).to_contain_text("2 points, 2 runs")
    page.get_by_test_id("launch-sweep").click()

    state = page.get_by_test_id("sweep-state")
    expect(state).to_contain_text("All 2 trials have ended", timeout=PATIENCE_MS)
    board = page.get_by_test_id("leaderboard").locator("[data-point]")
    expect(board).to_have_count(2)
    with stack.client() as client:
        points = client.leaderboard(page.url.rsplit("/", 1)[-1])["items"]
    for row, point in zip(board.all(), points, strict=True):
        rate = point["values"]["training.learning_rate"]
        expect(row.get_by_role("cell").nth(1)).to_have_text(f"{100 * point['mean']:.2f}")
        expect(row.get_by_role("cell").nth(3)).to_have_text({1e-4: "1e-4", 0.03: "0.03"}[rate])

    page.get_by_role("button", name="Extend").click()
    page.get_by_label("Seeds to add").fill("5")
    page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    expect(state).to_contain_text("of 12 trials have ended")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(state).to_contain_text("Stopped before all trials had ended.")
