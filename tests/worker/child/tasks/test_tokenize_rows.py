"""The form shows a row exactly as the training encodes it, for every task, row by row."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import split
from rankscope.contract.data.token_rows import TokenizeParts, TokenizePayload, TokenRow, TokenRows, TokenSequence
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope_worker.child.jobs import tokenize_rows
from rankscope_worker.child.loading.encoding import TextEncoder
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.loading.shown_tokens import kept_places
from rankscope_worker.child.tasks import trained_task
from tests.imports import import_bytes
from tests.worker.child.tasks.installation import CHAT, install, plan_of
from tests.worker.child.tasks.test_causal_language_model import CHATS, PAIRS
from tests.worker.child.tasks.test_question_answering import UNANSWERABLE
from tests.worker.child.tasks.test_text_to_text import ROWS as SUMMARIES

LONG = "the film is very good and the plot of it is a bright scene with music until the end "
TEXTS = [f"{'a good film ' * (n % 5 + 1)}{n}" for n in range(24)]
NUMBERS = ("1", "1.0", "2")
TAGGED = [
    {"tokens": [str(n), "warm", "film", "music"] * (n % 4 + 1), "tags": ["O", "B-X", "I-X", "O"] * (n % 4 + 1)}
    for n in range(24)
]
CASES: dict[str, tuple[str, list[dict[str, Any]], dict[str, Any], str | None, int]] = {
    "classes": (
        "bert",
        [{"text": text, "label": NUMBERS[n % 3]} for n, text in enumerate(TEXTS)],
        {"name": "text_classification"},
        None,
        9,
    ),
    "pair": (
        "roberta",
        [{"sentence1": text, "sentence2": LONG * (n % 3), "label": "xy"[n % 2]} for n, text in enumerate(TEXTS, 1)],
        {"name": "text_classification"},
        None,
        24,
    ),
    "regression": (
        "bert",
        [{"text": text, "score": n / 4} for n, text in enumerate(TEXTS)],
        {"name": "regression", "text_columns": ["text"], "number_column": "score"},
        None,
        64,
    ),
    "labels": (
        "bert",
        [{"text": text, "labels": ["x", "y", "z"][: n % 3 + 1]} for n, text in enumerate(TEXTS)],
        {"name": "multi_label"},
        None,
        64,
    ),
    "tags": ("roberta", TAGGED, {"name": "token_classification"}, None, 16),
    "chat": (
        "llama",
        PAIRS[:24],
        {"name": "causal_language_model", "system_prompt": "a film", "generated_rows": 0},
        CHAT,
        60,
    ),
    "messages": ("llama", CHATS[:24], {"name": "causal_language_model", "form": "messages"}, CHAT, 60),
    "plain": ("llama", PAIRS[:24], {"name": "causal_language_model", "template": "plain", "loss_on": "all"}, None, 12),
    "text": ("gpt2", [{"text": text} for text in TEXTS], {"name": "causal_language_model", "form": "text"}, None, 16),
    "summaries": (
        "bart",
        SUMMARIES[:24],
        {"name": "text_to_text", "prefix": "in short: ", "max_target_length": 4, "generated_rows": 1},
        None,
        12,
    ),
    "questions": (
        "bert",
        UNANSWERABLE,
        {"name": "question_answering", "unanswerable": True, "overlap": 8},
        None,
        24,
    ),
}


def ask(folder: Path, plan: RunPlan, first: int, rows: int, *, with_lengths: bool = False) -> TokenRows:
    parts = plan.split.parts
    payload = TokenizePayload(
        config=plan.config.model_dump(mode="json"),
        labels=plan.split.labels,
        spellings=dict(plan.split.spellings),
        parts=None if parts is None else TokenizeParts.model_validate(asdict(parts)),
        first=first,
        rows=rows,
        with_lengths=with_lengths,
        model_fingerprint=plan.environment["model_fingerprint"],
        data_fingerprint=plan.environment["data_fingerprint"],
    )
    settings = Settings(_env_file=None, data_dir=folder)
    return TokenRows.model_validate(tokenize_rows.run(settings, payload.model_dump(mode="json"), lambda _: None))


def seen(sequence: TokenSequence) -> list[int]:
    """The tokens that are not cut off."""
    cut = {place for span in sequence.cut for place in range(span.start, span.end)}
    return [id for place, id in enumerate(sequence.ids) if place not in cut]


def with_loss(sequence: TokenSequence) -> list[int]:
    return [id for span in sequence.learned for id in sequence.ids[span.start : span.end]]


@pytest.mark.parametrize("case", CASES)
def test_shown_tokens_are_those_of_the_training(tmp_path: Path, case: str) -> None:
    kind, data, options, chat, max_length = CASES[case]
    folder = install(tmp_path, kind, data, chat_template=chat)
    plan = plan_of(folder, options, {"name": "lora", "rank": 2}, max_length=max_length)
    catalog = Catalog(Settings(_env_file=None, data_dir=folder))

    # Encodes as the training does, with the model's weights and all rows.
    rows = split(catalog.dataset("local:rows"), plan.config.data, plan.config.task)
    task = trained_task(plan.config.task, rows.labels)
    tokenizer = load_tokenizer(folder / "models" / "tiny")
    model = load_model(folder / "models" / "tiny", "tiny", task.head(), tokenizer).model
    encoder = TextEncoder(tokenizer, model, plan.config.training.max_length)
    trained = task.encode(rows, encoder, plan.config.training.max_length)

    found = ask(folder, plan, 1, len(data))
    assert found.max_length == encoder.max_length
    assert [row.problem for row in found.rows] == [None] * len(data)
    for side, encoded in (("train", trained.train), ("evaluation", trained.evaluation)):
        shown = [row for row in found.rows if row.side == side]
        inputs = [one for row in shown for one in row.sequences if one.title != "Target"]
        assert [seen(one) for one in inputs] == [one["input_ids"] for one in encoded]
        targets = [one for row in shown for one in row.sequences if one.title == "Target"]
        if targets:
            assert [seen(one) for one in targets] == [one["labels"] for one in encoded]
            assert [with_loss(one) for one in targets] == [one["labels"] for one in encoded]
        elif isinstance(encoded[0].get("labels"), list) and len(encoded[0]["labels"]) == len(encoded[0]["input_ids"]):
            for one, row in zip(inputs, encoded, strict=True):
                places = [at for at, label in enumerate(row["labels"]) if label != -100 and (at > 0 or one.names)]
                assert with_loss(one) == [row["input_ids"][at] for at in places]


def first_row(folder: Path, task: dict[str, Any], **training: Any) -> TokenRow:
    return ask(folder, plan_of(folder, task, {"name": "lora", "rank": 2}, **training), 1, 1).rows[0]


def test_what_is_cut_off_is_shown_and_the_share_of_such_rows_counted(tmp_path: Path) -> None:
    rows = [{"text": f"{'a good film ' * (1 if n % 4 else 9)}{n % 10}", "label": "xy"[n % 2]} for n in range(40)]
    folder = install(tmp_path, "bert", rows)
    plan = plan_of(folder, {"name": "text_classification"}, {"name": "lora", "rank": 2}, max_length=12)
    found = ask(folder, plan, 1, 2, with_lengths=True)
    (long,), (short,) = (row.sequences for row in found.rows)
    assert (long.seen, long.seen + long.n_cut) == (12, len(long.ids))
    assert long.texts[-1] == "[SEP]"
    assert [(span.start, span.end) for span in long.cut] == [(11, len(long.ids) - 1)]
    assert (short.cut, short.n_cut, short.n_unlisted) == ([], 0, 0)
    assert found.rows[0].texts[0].text == rows[0]["text"]
    assert found.lengths is not None
    assert (found.lengths.rows, found.lengths.over, found.lengths.is_sample) == (40, 10, False)
    assert (found.lengths.median, found.lengths.longest) == (short.seen, len(long.ids))


def test_the_text_of_a_prompt_is_that_of_the_template_and_its_answer_has_the_loss(tmp_path: Path) -> None:
    folder = install(tmp_path, "llama", PAIRS, chat_template=CHAT)
    task = {"name": "causal_language_model", "system_prompt": "a film"}
    row = first_row(folder, task, max_length=60)
    prompt, answer = PAIRS[0]["prompt"], PAIRS[0]["answer"]
    assert [text.text for text in row.texts] == [
        f"<s>system\na film</s>\n<s>user\n{prompt}</s>\n<s>assistant\n{answer}</s>\n"
    ]
    (sequence,) = row.sequences
    (span,) = sequence.learned
    assert answer in "".join(sequence.texts[span.start : span.end]).replace(" ", "")
    short = first_row(folder, task, max_length=8)
    assert short.side is None
    assert "no token of an answer is left" in str(short.left_out)


@pytest.mark.parametrize("is_imported", [False, True])
def test_rows_of_other_parts_are_told_apart(tmp_path: Path, is_imported: bool) -> None:
    rows = [{"text": f"film {n}", "label": "xy"[n % 2], "split": ("train", "dev", "test")[n % 3]} for n in range(400)]
    folder = install(tmp_path, "bert", rows)
    content = (folder / "datasets" / "rows.jsonl").read_bytes()
    data = {"split": "parts"} | ({"id": import_bytes(folder, "rows.jsonl", content)} if is_imported else {})
    plan = plan_of(folder, {"name": "text_classification"}, {"name": "lora", "rank": 2}, data=data)
    found = ask(folder, plan, 28, 3, with_lengths=True)
    assert [(row.number, row.side) for row in found.rows] == [(28, "train"), (29, "evaluation"), (30, None)]
    assert [text.text for text in found.rows[1].texts] == ["film 28"]
    assert found.rows[2].left_out == "part 'test' in column 'split', which is not used"
    # Of 300 sampled rows, those that are not in the part test.
    assert found.lengths is not None
    assert found.lengths.is_sample
    assert 170 < found.lengths.rows < 230


@pytest.mark.parametrize("is_imported", [False, True])
def test_rows_that_the_run_does_not_use_are_left_out_with_the_option(tmp_path: Path, is_imported: bool) -> None:
    rows = [{"text": f"film {n % 90}", "label": "xy"[n % 2], "film": f"{n}"} for n in range(400)]
    folder = install(tmp_path, "bert", rows)
    data = {"group_column": "film", "eval_fraction": 0.3, "max_train_rows": 20, "drop_equal_texts": True}
    if is_imported:
        data["id"] = import_bytes(folder, "rows.jsonl", (folder / "datasets" / "rows.jsonl").read_bytes())
    plan = plan_of(folder, {"name": "text_classification"}, {"name": "lora", "rank": 2}, data=data)
    answer = ask(folder, plan, 1, 400, with_lengths=True)
    found = answer.rows
    assert [row.side for row in found].count("train") == plan.split.train_rows == 20
    assert [row.side for row in found].count("evaluation") == plan.split.eval_rows
    reasons = Counter(row.left_out for row in found if row.side is None)
    (dropped,) = plan.split.left_out
    assert reasons.pop(f"{dropped.reason} (data.drop_equal_texts)") == dropped.rows
    assert set(reasons) == {"not in the random sample of 20 rows that data.max_train_rows takes"}
    assert answer.lengths is not None
    assert (answer.lengths.rows, answer.lengths.is_sample) == (20 + plan.split.eval_rows, False)


@pytest.mark.parametrize(
    ("kept", "whole", "places"),
    [
        ([1, 2, 9], [1, 2, 3, 4, 9], [0, 1, 4]),
        ([1, 2, 9, 5, 9], [1, 2, 3, 9, 5, 6, 9], [0, 1, 3, 4, 6]),
        ([1, 2], [1, 2], [0, 1]),
        ([2, 9], [1, 2, 9], [1, 2]),
        ([7, 8], [1, 2, 9], None),
    ],
)
def test_cut_off_tokens_are_found_in_one_or_two_places(
    kept: list[int], whole: list[int], places: list[int] | None
) -> None:
    assert kept_places(kept, whole) == places


def test_the_answer_that_the_page_is_tested_with_is_still_the_job_s(tmp_path: Path) -> None:
    from tests.token_rows_recording import FILE, record

    assert record(tmp_path) == json.loads(FILE.read_text(encoding="utf-8"))
