"""Question answering: usable rows, windows over long contexts, and runs with and without unanswerable questions."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForQuestionAnswering, BitsAndBytesConfig

from rankscope.catalog.data.splits import Split, split
from rankscope.contract.predictions import SpanGuess
from rankscope.contract.tasks import TASKS
from rankscope_worker.child.loading.data import TokenizedSplit
from rankscope_worker.child.loading.encoding import TextEncoder
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.predictions import predict
from rankscope_worker.child.tasks import Evaluation, TrainedTask, trained_task
from rankscope_worker.child.training import Outcome
from tests.kinds import make_folder
from tests.tiny import FILLER, WORDS
from tests.worker.child.tasks.installation import DYNAMIC_RANK, install, plan_of
from tests.worker.child.test_training import Life


def row(number: int, *, words: int = 12, has_answer: bool = True) -> dict[str, Any]:
    """A question about the only word of praise in a context."""
    answer = WORDS["fresh"][number % 5]
    context = [FILLER[(number + 3 * at) % 10] for at in range(words)]
    context[(7 * number) % words] = answer
    text = " ".join(context)
    found = {"text": [answer], "answer_start": [text.index(answer)]} if has_answer else {"text": [], "answer_start": []}
    return {"question": f"is the {FILLER[number % 10]} very", "context": text, "answers": found}


ROWS = [row(number) for number in range(80)]
UNANSWERABLE = [row(number, has_answer=number % 4 > 0) for number in range(80)]
LONG = [row(number, words=60) for number in range(40)]


def task(**options: Any) -> dict[str, Any]:
    return {"name": "question_answering", "overlap": 8, **options}


@pytest.mark.parametrize(
    ("kind", "rows", "options", "method"),
    [
        ("bert", ROWS, {}, DYNAMIC_RANK),
        ("roberta", LONG, {}, {"name": "lora", "rank": 2}),
        ("bert", UNANSWERABLE, {"unanswerable": True, "null_threshold": 1.0}, {"name": "lora", "rank": 2}),
    ],
    ids=["short", "long", "unanswerable"],
)
def test_a_run_ends_with_its_metrics_and_marks_an_answer(
    tmp_path: Path,
    kind: str,
    rows: list[dict[str, Any]],
    options: dict[str, Any],
    method: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = install(tmp_path, kind, rows)
    plan = plan_of(folder, task(**options), method)
    life = Life(folder, plan.config, tmp_path / "run")
    assert life.outcome == Outcome("done", 8, is_saved=True)
    assert life.of("warning") == []
    assert {name for name, step in life.metrics() if name.startswith("eval_") and step == 8} == {
        "eval_loss",
        *(metric.name for metric in plan.config.task.metrics),
    }
    assert life.of("modules")[0].trained_parameters == plan.trained_parameters
    assert not plan.is_estimate
    (artifact,) = life.of("artifact")
    asked = {"question": "is the film very", "context": " ".join(rows[0]["context"].split() * 8)}
    items, _ = predict(plan.config, [], life.model_folder, life.folder / artifact.name, [asked])
    guess = items[0].tuned
    assert isinstance(guess, SpanGuess)
    assert guess.field == "context"
    assert (guess.no_answer_score is not None) == bool(options)
    if guess.start is not None:
        assert guess.answer == asked["context"][guess.start : guess.end]
    base = repr(str(folder / "models" / "tiny"))
    exec(compile(plan.config.task.usage(str(life.folder / artifact.name), base, []), "usage", "exec"), {})
    assert capsys.readouterr().out


def encoded(
    folder: Path, rows: list[dict[str, Any]], max_length: int
) -> tuple[Split, TrainedTask, TokenizedSplit, Any]:
    """Returns the split, the task, its encoded rows and the tokenizer."""
    install(folder, "bert", rows)
    plan = plan_of(folder, task())
    found = split(plan.dataset, plan.config.data, plan.config.task)
    tokenizer = load_tokenizer(folder / "models" / "tiny")
    model = AutoModelForQuestionAnswering.from_pretrained(folder / "models" / "tiny")
    asked = trained_task(plan.config.task, [])
    return found, asked, asked.encode(found, TextEncoder(tokenizer, model, max_length), max_length), tokenizer


def test_each_word_of_a_long_context_is_in_a_window_and_labels_mark_the_answer(tmp_path: Path) -> None:
    found, _, tokens, tokenizer = encoded(tmp_path, LONG, max_length=24)
    assert len(tokens.train) > 3 * len(found.train)
    seen: dict[int, set[int]] = {}
    answered = set()
    for window in tokens.train:
        seen.setdefault(window["row"], set()).update(start for start, _ in window["offsets"] if start >= 0)
        ids = window["input_ids"][window["start_positions"] : window["end_positions"] + 1]
        if window["start_positions"]:
            assert tokenizer.decode(ids) in WORDS["fresh"]
            answered.add(window["row"])
        else:
            assert ids == [tokenizer.cls_token_id]
        assert len(window["input_ids"]) <= 24
    for number, one in enumerate(found.train):
        starts = {at for at in range(len(one["context"])) if at == 0 or one["context"][at - 1] == " "}
        assert seen[number] == starts
    assert answered == set(range(len(found.train)))


def test_a_model_that_is_sure_of_the_right_tokens_scores_one(tmp_path: Path) -> None:
    found, asked, tokens, tokenizer = encoded(tmp_path, LONG, max_length=24)
    rows = tokens.evaluation
    start, end = (
        torch.nn.functional.one_hot(torch.tensor([row[name] for row in rows]), 24).numpy() * 9.0
        for name in asked.label_names
    )
    scores = asked.metrics(Evaluation((start, end), None, rows, found.evaluation, tokenizer))
    assert scores == {"exact_match": 1.0, "f1": 1.0}
    values = asked.row_values(Evaluation((start, end), None, rows, found.evaluation, tokenizer))
    assert values == {name: [1.0] * len(found.evaluation) for name in ("f1", "exact_match")}
    results = list(asked.results(Evaluation((start, end), None, rows, found.evaluation, tokenizer)))
    assert [(one.prediction, one.loss, one.is_right) for one in results] == [(one.target, 0, True) for one in results]
    assert [list(one.inputs) for one in results] == [["question", "context"]] * len(found.evaluation)


def test_rows_with_wrong_answers_are_left_out_with_the_reason(tmp_path: Path) -> None:
    good = ROWS[0]
    bad: list[Any] = [
        {"text": ["good"], "answer_start": [0, 1]},
        {"text": ["film"], "answer_start": [1]},
        {"text": ["end"], "answer_start": [9999]},
        {"text": ["end"], "answer_start": ["0"]},
        {"text": [""], "answer_start": [0]},
        "the end",
        [1],
        None,
    ]
    spelled = [
        {**good, "answers": [{"text": good["answers"]["text"][0], "answer_start": good["answers"]["answer_start"][0]}]}
    ]
    folder = install(tmp_path, "bert", [*ROWS, *spelled, *({**good, "answers": answers} for answers in bad)])
    plan = plan_of(folder, task())
    assert {each.reason: each.rows for each in plan.split.left_out} == {
        "answers with another number of texts than of positions": 1,
        "an answer that is not at its answer_start in the context": 1,
        "an answer that ends outside of its context": 1,
        "an answer_start that is not a position, 0 or more": 1,
        "an answer that is not a text": 1,
        "answers that are not JSON": 1,
        "answers that are not objects with text and answer_start": 1,
        "no answer (set task.unanswerable to learn from such questions)": 1,
    }
    assert plan.split.train_rows + plan.split.eval_rows == 81


def test_the_task_is_proposed_for_the_columns_of_squad() -> None:
    assert TASKS["question_answering"].is_likely(["id", "title", "context", "question", "answers"], [])


def test_the_new_head_of_a_quantised_model_is_in_full_precision(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "plain", "bert")
    quantisation = BitsAndBytesConfig(load_in_8bit=True)
    AutoModel.from_pretrained(folder, quantization_config=quantisation).save_pretrained(tmp_path / "small")
    tokenizer = load_tokenizer(folder)
    head = trained_task(TASKS["question_answering"](), []).head()  # type: ignore[call-arg]
    model: Any = load_model(tmp_path / "small", "small", head, tokenizer).model
    assert model.bert.encoder.layer[0].attention.self.query.weight.dtype == torch.int8
    assert model.qa_outputs.weight.dtype == torch.float32
