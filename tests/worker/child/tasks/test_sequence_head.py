"""Tasks with a head for a whole text: they learn a tiny vocabulary; metrics equal scikit-learn's and SciPy's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, matthews_corrcoef
from transformers import BertTokenizer

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import count_split
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.evaluation.results import RESULTS_FILE
from rankscope.contract.evaluation.row_values import read_row_values, row_values_file
from rankscope.contract.tasks import DEFAULT_TASK, likely_task
from rankscope.contract.tasks.multi_label import MultiLabelClassification
from rankscope.contract.tasks.regression import Regression
from rankscope.exports.results import read_results
from rankscope.settings import Settings
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.tasks import Evaluation, trained_task
from tests.task_runs import TaskRun
from tests.tiny import FILLER, WORDS

LORA = {"name": "lora", "rank": 8, "lora_alpha": 16, "lora_dropout": 0.0}
RANKS = {
    "name": "dynamic_rank",
    "target_rank": 4,
    "prune_interval": 10,
    "init": "zero_b",
    "lora_alpha": 16,
    "lora_dropout": 0.0,
}
GOOD, BAD = WORDS["fresh"], WORDS["rotten"]


def evaluation(outputs: Any, targets: Any) -> Evaluation:
    return Evaluation(np.asarray(outputs), np.asarray(targets), EncodedRows.of(()), [], BertTokenizer(vocab={"a": 0}))


def test_pairs_are_classified_and_tried(data_dir: Path) -> None:
    rows = [
        {
            "premise": f"the film is {GOOD[n % 5]} {FILLER[n % 7]}",
            "hypothesis": f"the {FILLER[n // 7 % 7]} is {(GOOD if n % 2 else BAD)[n % 5]}",
            "label": "same" if n % 2 else "other",
        }
        for n in range(300)
    ]
    run = TaskRun(data_dir, rows, {"name": "text_classification"})
    assert run.plan.split.text_columns == ("premise", "hypothesis")
    assert run.last["eval_accuracy"] == run.last["eval_f1_micro"] > 0.9
    header, worst = read_results(run.life.folder / RESULTS_FILE, "worst", 0, 1000)
    assert (header.rows, header.kept_rows, header.labels) == (run.plan.eval_rows, run.plan.eval_rows, ["other", "same"])
    assert header.confusion is not None
    right = sum(header.confusion[label][label] for label in (0, 1))
    assert right / header.rows == pytest.approx(run.last["eval_accuracy"])
    values = read_row_values(run.life.folder / row_values_file("final"))
    assert values.step == 60
    assert np.mean(values.values["accuracy"]) == pytest.approx(run.last["eval_accuracy"])
    by_number = {row.row: row for row in worst}
    assert [bool(one) for one in values.values["accuracy"]] == [by_number[n].is_right for n in range(header.rows)]
    assert list(values.values["loss"]) == pytest.approx([by_number[n].loss for n in range(header.rows)])
    assert read_row_values(run.life.folder / row_values_file("best")) == values  # the only evaluation
    losses = [row.loss for row in worst if row.loss is not None]
    assert losses == sorted(losses, reverse=True)
    assert np.mean(losses) == pytest.approx(run.last["eval_loss"], rel=0.05)  # a mean over batches
    by_row = {row.row: row for row in worst}
    for number, row in enumerate(run.life.split.evaluation):
        assert (by_row[number].inputs["premise"], by_row[number].target) == (row["premise"], row["label"])
    pair = {"premise": "the film is good plot", "hypothesis": "the film is bad"}
    (item,) = run.predict(pair)
    assert item.inputs == pair
    assert item.tuned.kind == "class"
    assert item.tuned.label == "other"


def test_measures_of_classes_equal_those_of_scikit_learn_and_are_zero_for_one_guess() -> None:
    chance = np.random.default_rng(0)
    for labels in (["no", "yes"], ["a", "b", "c"]):
        task = trained_task(DEFAULT_TASK, labels)
        outputs, targets = chance.normal(size=(200, len(labels))), chance.integers(0, len(labels), 200)
        found, guesses = task.metrics(evaluation(outputs, targets)), outputs.argmax(-1)
        assert found["mcc"] == pytest.approx(matthews_corrcoef(targets, guesses))
        assert found["f1_macro"] == pytest.approx(f1_score(targets, guesses, average="macro"))
        assert found["f1_micro"] == pytest.approx(found["accuracy"]) == pytest.approx((guesses == targets).mean())
        binary = f1_score(targets, guesses) if len(labels) == 2 else found["f1_macro"]
        assert found["f1"] == pytest.approx(binary)
        rows: Any = task.row_values(evaluation(outputs, targets))
        assert next(iter(rows)) == "accuracy"
        assert np.mean(rows["accuracy"]) == pytest.approx(found["accuracy"])
        losses = torch.nn.functional.cross_entropy(torch.tensor(outputs), torch.tensor(targets), reduction="none")
        np.testing.assert_allclose(rows["loss"], losses)
        same = task.metrics(evaluation(np.eye(len(labels))[np.zeros(200, dtype=int)], targets))
        assert same["mcc"] == 0.0


def scored(count: int) -> list[dict[str, object]]:
    """Texts of ten words, whose score is the fraction of good ones."""
    return [
        {"text": " ".join([GOOD[n % 5]] * (n % 11) + [BAD[n % 5]] * (10 - n % 11)), "score": (n % 11) / 10, "id": n}
        for n in range(count)
    ]


def test_numbers_are_learnt_and_predicted(data_dir: Path) -> None:
    task = {"name": "regression", "text_columns": ["text"], "number_column": "score"}
    run = TaskRun(data_dir, scored(400), task, RANKS, max_steps=120)
    assert (run.plan.split.labels, run.plan.config.training.best_metric) == ([], "eval_pearson")
    assert run.last.keys() == set(Regression.best_by())
    assert run.last["eval_pearson"] > 0.9
    assert run.last["eval_mse"] == pytest.approx(run.last["eval_loss"], rel=1e-4)
    low, high = run.predict({"text": " ".join(["bad"] * 10)}, {"text": " ".join(["good"] * 10)})
    assert low.tuned.kind == high.tuned.kind == "number"
    assert low.tuned.value + 0.3 < high.tuned.value


def test_measures_of_numbers_equal_those_of_scipy() -> None:
    chance = np.random.default_rng(0)
    outputs, targets = chance.normal(size=(50, 1)), chance.normal(size=50)
    task = trained_task(Regression(), [])
    found = task.metrics(evaluation(outputs, targets))
    assert found["pearson"] == pytest.approx(pearsonr(outputs[:, 0], targets)[0])
    assert found["spearman"] == pytest.approx(spearmanr(outputs[:, 0], targets)[0])
    assert found["mse"] == pytest.approx(((outputs[:, 0] - targets) ** 2).mean())
    assert task.metrics(evaluation(np.zeros((50, 1)), targets))["pearson"] == 0.0
    squares: Any = task.row_values(evaluation(outputs, targets))["mse"]
    assert np.mean(squares) == pytest.approx(found["mse"])


def labelled(count: int) -> list[dict[str, object]]:
    """The labels say whether a text has a good word, and whether it has a bad one."""
    rows: list[dict[str, object]] = []
    for n in range(count):
        praise, blame = n % 4 in (1, 3), n % 4 in (2, 3)
        # The length doesn't depend on the labels.
        words = [GOOD[n % 5] if praise else "film"] * 4 + [BAD[n % 5] if blame else "plot"] * 4 + [FILLER[n // 7 % 7]]
        rows.append({"text": " ".join(words), "labels": ["praise"] * praise + ["blame"] * blame})
    return rows


def test_sets_of_labels_are_learnt_and_predicted(data_dir: Path) -> None:
    run = TaskRun(data_dir, labelled(400), {"name": "multi_label"}, LORA, max_steps=120, learning_rate=5e-3)
    assert run.plan.split.target_column == "labels"
    assert run.plan.split.labels == ["blame", "praise"]
    assert run.last.keys() == set(MultiLabelClassification.best_by())
    assert run.last["eval_f1_micro"] > 0.9
    values = read_row_values(run.life.folder / row_values_file("final")).values
    assert list(values) == ["exact_match", "loss"]
    assert np.mean(values["exact_match"]) == pytest.approx(run.last["eval_exact_match"])
    assert np.mean(values["loss"]) == pytest.approx(run.last["eval_loss"], rel=0.05)  # a mean over batches
    praised, none = run.predict({"text": f"{'good ' * 4}{'plot ' * 4}the"}, {"text": f"{'film ' * 4}{'plot ' * 4}the"})
    assert praised.tuned.kind == none.tuned.kind == "labels"
    assert (praised.tuned.labels, none.tuned.labels) == (["praise"], [])


def write(data_dir: Path, name: str, content: str) -> Any:
    settings = Settings(data_dir=data_dir)
    (settings.datasets_dir / name).write_text(content, encoding="utf-8")
    return Catalog(settings).dataset(f"local:{name}")


def test_labels_within_a_cell_are_separated(data_dir: Path) -> None:
    cells = ["red; blue", "red", "", "blue;red"]
    content = "text,tags\n" + "".join(f"text {n},{cells[n % 4]}\n" for n in range(80))
    task = MultiLabelClassification(text_columns=["text"], labels_column="tags", separator=";")
    counts = count_split(write(data_dir, "cells.csv", content), DataConfig(id="x"), task)
    assert {each.label: each.train_rows + each.eval_rows for each in counts.classes} == {"blue": 40, "red": 60}
    assert counts.left_out == ()


@pytest.mark.parametrize(
    ("cell", "task", "words"),
    [
        ("high", Regression(text_columns=["text"], number_column="y"), "'high' on line 5: not a number"),
        ("1.5", Regression(text_columns=["text"], number_column="y"), "the same number in all rows"),
        ("a", MultiLabelClassification(text_columns=["text"], labels_column="y"), "1 different labels"),
    ],
)
def test_a_column_that_cannot_be_the_target_is_refused_with_its_line(
    data_dir: Path, cell: str, task: Any, words: str
) -> None:
    cells = [cell if n == 3 else "1.5" if isinstance(task, Regression) else "a" for n in range(40)]
    content = "text,y\n" + "".join(f"text {n},{value}\n" for n, value in enumerate(cells))
    with pytest.raises(BadInput) as refused:
        count_split(write(data_dir, "refused.csv", content), DataConfig(id="x"), task)
    assert words in refused.value.problems[0].message
    assert refused.value.problems[0].field == f"config.task.{task.target_field}"


@pytest.mark.parametrize(
    ("columns", "labels", "name"),
    [
        (["text", "label"], ["a", "b"], "text_classification"),
        (["sentence1", "sentence2", "label", "idx"], ["0", "1"], "text_classification"),
        (["sentence1", "sentence2", "score"], [], "regression"),
        (["text", "score"], [], "regression"),
        (["text", "score", "label"], ["a", "b"], "text_classification"),
        (["text", "label"], [str(n / 7) for n in range(20)], "regression"),
        (["text", "labels"], [], "multi_label"),
    ],
)
def test_the_task_is_guessed_from_the_columns(columns: list[str], labels: list[str], name: str) -> None:
    assert likely_task(columns, labels) == {"name": name}
