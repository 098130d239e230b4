"""A data set that names several evaluation parts gets the metrics of each part, in addition to those of all rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import split
from rankscope.contract.config import RunConfig
from rankscope.launch.plan import make_plan
from rankscope.settings import Settings
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.loading.encoding import TextEncoder
from rankscope_worker.child.loading.model import load_tokenizer
from rankscope_worker.child.part_metrics import part_metrics, prefixes
from rankscope_worker.child.tasks import Evaluation, trained_task
from tests.tiny import FILLER, WORDS
from tests.worker.child.tasks.installation import install, plan_of
from tests.worker.child.tasks.test_question_answering import LONG, encoded
from tests.worker.child.test_training import Life

PARTS = ("train", "train", "train", "validation_matched", "validation_mismatched", "test")
PAIRS: list[dict[str, Any]] = [
    {
        "premise": f"the {FILLER[n % 7]} is {word}",
        "hypothesis": f"a {FILLER[n // 7 % 7]} {n}",
        "label": "same" if word in WORDS["fresh"] else "other",
        "split": PARTS[n % 6],
    }
    for n in range(120)
    for word in (WORDS["fresh"][n % 5], WORDS["rotten"][n % 5])
]


def test_a_run_records_the_metrics_of_each_evaluation_part(tmp_path: Path) -> None:
    folder = install(tmp_path, "bert", PAIRS)
    config = {
        "model": {"id": "local:tiny"},
        "data": {"id": "local:rows", "split": "parts", "max_eval_rows": 70},
        "task": {"name": "text_classification"},
        "method": {"name": "lora", "rank": 2},
        "training": {"max_steps": 2, "batch_size": 4, "max_length": 32, "eval_every": 2},
    }
    plan = make_plan(RunConfig.model_validate(config), Catalog(Settings(_env_file=None, data_dir=folder)))
    life = Life(folder, plan.config, tmp_path / "run")
    parts = life.split.eval_parts
    assert len(parts) == len(life.split.evaluation) == 70
    assert set(parts) == {"validation_matched", "validation_mismatched"}
    metrics = {name: value for (name, step), value in life.metrics().items() if step == 2}
    for name in ("accuracy", "mcc", "f1_macro"):
        assert {f"eval_{name}", f"eval_matched_{name}", f"eval_mismatched_{name}"} < set(metrics)
    matched = parts.count("validation_matched") / 70
    shares = matched * metrics["eval_matched_accuracy"] + (1 - matched) * metrics["eval_mismatched_accuracy"]
    assert shares == pytest.approx(metrics["eval_accuracy"])
    assert plan.config.task.describe("eval_matched_accuracy").title == "Evaluation matched accuracy"


def test_the_metrics_of_a_part_are_those_of_its_rows_alone() -> None:
    outputs, targets = np.eye(2)[[0, 1, 0, 1, 1]], np.array([0, 1, 0, 0, 0])
    rows = EncodedRows.of([{"input_ids": [[1]] * 5}])
    task = trained_task(RunConfig.model_validate(_PLAIN).task, ["no", "yes"])
    evaluation = Evaluation(outputs, targets, rows, [{}] * 5, None)  # type: ignore[arg-type]
    found = part_metrics(task, evaluation, ["a", "a", "a", "dev-b", "dev-b"])
    assert (found["a_accuracy"], found["b_accuracy"]) == (1.0, 0.0)
    assert part_metrics(task, evaluation, ["a"] * 5) == {}


_PLAIN = {"model": {"id": "m"}, "data": {"id": "d"}, "method": {"name": "lora"}, "training": {"max_steps": 1}}


def test_answers_to_questions_are_measured_by_part_whatever_number_of_windows_they_have(tmp_path: Path) -> None:
    found, asked, tokens, tokenizer = encoded(tmp_path, LONG, max_length=24)
    first = len(found.evaluation) // 2
    start, end = (np.zeros((len(tokens.evaluation), 24)) for _ in range(2))
    for at, window in enumerate(tokens.evaluation):
        right = window["row"] < first and window["start_positions"]
        start[at, window["start_positions"] if right else 0] = end[at, window["end_positions"] if right else 0] = 9
    evaluation = Evaluation((start, end), None, tokens.evaluation, found.evaluation, tokenizer)
    parts = ["easy"] * first + ["hard"] * (len(found.evaluation) - first)
    metrics = part_metrics(asked, evaluation, parts)
    assert metrics["easy_exact_match"] == 1
    assert metrics["hard_exact_match"] < 1


def test_rows_that_a_language_model_leaves_out_belong_to_no_part(tmp_path: Path) -> None:
    rows = [{"prompt": f"the film {n} " * (40 if n % 3 == 0 else 1), "answer": f"good {n}"} for n in range(200)]
    folder = install(tmp_path, "gpt2", rows)
    plan = plan_of(folder, {"name": "causal_language_model", "template": "plain"}, {"name": "lora", "rank": 1})
    parts = split(plan.dataset, plan.config.data, plan.config.task)
    task = trained_task(plan.config.task, [])
    model = AutoModelForCausalLM.from_pretrained(folder / "models" / "tiny")
    tokenizer = load_tokenizer(folder / "models" / "tiny")
    encoded = task.encode(parts, TextEncoder(tokenizer, model, 32), 32)
    count = len(encoded.evaluation)
    assert 1 < count < len(parts.evaluation)
    scores = np.stack([np.arange(1.0, count + 1), np.zeros(count), np.ones(count)], axis=1)
    evaluation = Evaluation(scores, None, encoded.evaluation, parts.evaluation, tokenizer)
    kept = [row for row, one in enumerate(parts.evaluation) if len(one["prompt"]) < 40]
    assert len(kept) == count
    assert task.metrics_of(evaluation, range(len(parts.evaluation))) == task.metrics(evaluation)
    for index, row in enumerate(kept):
        assert task.metrics_of(evaluation, [row])["perplexity"] == pytest.approx(np.exp(index + 1))
    assert task.metrics_of(evaluation, [row for row in range(len(parts.evaluation)) if row not in kept]) == {}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["validation_matched", "validation_mismatched"], ["matched", "mismatched"]),
        (["validation", "dev"], ["validation", "dev"]),
        (["test-A", "dev-a"], ["test_a", "dev_a"]),
        (["a-b", "a_b", "é"], ["a_b_1", "a_b_2", "part"]),
    ],
)
def test_each_part_has_its_own_prefix(parts: list[str], expected: list[str]) -> None:
    assert prefixes(parts) == expected
