"""Splits of imported data sets are counted by DuckDB and stored. They equal the result of reading every row."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import Split, count_split, number_split, split
from rankscope.catalog.imported import counted
from rankscope.catalog.imported.counted_rows import count_rows, threshold
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.tasks import DEFAULT_TASK, CausalLanguageModel, Task
from rankscope.contract.tasks.regression import Regression
from rankscope.settings import Settings
from rankscope_worker.child.loading.picked_rows import read_split
from tests.imports import import_bytes

ODD_TEXTS = ["\u00a0", "\u2003 ", "\u4f60\u597d", "\x1c", "'quoted'", "\u00e9", "  ", "", None, "text 5", "text 6"]


def rows() -> list[dict[str, Any]]:
    """Unusual texts and groups, labels that are missing or spelled in two ways, parts that are not used."""
    plain = [
        {
            "text": f"text {n % 180}",
            "film": f"film {n // 6}",
            "label": n % 2,
            "score": n / 7,
            "split": ["train", "test", "dev"][n % 3],
        }
        for n in range(400)
    ]
    odd = [{"text": text, "film": text, "label": 0, "score": 1.5, "split": "train"} for text in ODD_TEXTS]
    labels = [
        {"text": f"label {n}", "label": label, "split": " train"} for n, label in enumerate([None, "1", 1.0, "0"])
    ]
    return [*plain, *odd, *labels, {"text": "only a text"}]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    data_dir = tmp_path_factory.mktemp("data")
    import_bytes(data_dir, "odd.jsonl", "".join(json.dumps(row) + "\n" for row in rows()).encode())
    return Catalog(Settings(_env_file=None, data_dir=data_dir))


def lists(found: Split) -> Split:
    return replace(found, train=list(found.train), evaluation=list(found.evaluation))


@pytest.mark.parametrize(
    ("data", "task"),
    [
        ({}, DEFAULT_TASK),
        ({"split_seed": 3, "eval_fraction": 0.5, "max_train_rows": 50, "max_eval_rows": 9}, DEFAULT_TASK),
        ({"group_column": "film", "eval_fraction": 0.3, "drop_equal_texts": True}, DEFAULT_TASK),
        (
            {"group_column": "label", "eval_fraction": 0.5, "split_seed": 2},
            Regression(text_columns=["text"], number_column="score"),
        ),
        ({"split": "parts", "drop_equal_texts": True, "max_eval_rows": 30}, DEFAULT_TASK),
        ({"group_column": "film", "validation_fraction": 0.3, "max_eval_rows": 20}, DEFAULT_TASK),
        ({}, CausalLanguageModel(form="text", text_column="text")),
    ],
)
def test_a_stored_split_is_that_of_reading_every_row(catalog: Catalog, data: dict[str, Any], task: Task) -> None:
    (entry,) = catalog.imported.all()
    config = DataConfig.model_validate({"id": entry.id} | data)
    assert number_split(entry, config, task, count_rows) == number_split(entry, config, task)
    expected = split(entry, config, task)
    for _ in ("counted", "stored"):
        found = read_split(entry, config, task)
        assert lists(found) == lists(expected)
        assert found.train[-1] == expected.train[-1]
        assert found.evaluation[2:5] == expected.evaluation[2:5]
    assert catalog.count_split(entry, config, task) == count_split(entry, config, task)


def test_a_share_is_compared_as_the_division_of_integers_is_rounded() -> None:
    for share in (0.1, 0.5, 1 / 3, 1e-6, 0.37):
        least = int(threshold(share), 16)
        assert least / 2**64 >= share > (least - 1) / 2**64


def test_a_damaged_or_missing_file_of_sides_is_counted_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = catalog.imported.all()
    config = DataConfig(id=entry.id, split_seed=11)
    expected = lists(read_split(entry, config, DEFAULT_TASK))
    path = counted.split_files(entry, config, DEFAULT_TASK).sides
    for content in (b"", path.read_bytes()[:40], None):
        path.unlink() if content is None else path.write_bytes(content)
        assert lists(read_split(entry, config, DEFAULT_TASK)) == expected
        assert path.stat().st_size > 40
    monkeypatch.setattr(counted, "number_split", lambda *_: pytest.fail("It was stored."))
    assert lists(read_split(entry, config, DEFAULT_TASK)) == expected


def test_rows_that_have_changed_are_refused_although_their_split_is_stored(catalog: Catalog) -> None:
    (entry,) = catalog.imported.all()
    config = DataConfig(id=entry.id)
    read_split(entry, config, DEFAULT_TASK)
    before = entry.path.read_bytes()
    entry.path.write_bytes(before[:-9] + b"x" + before[-8:])
    try:
        with pytest.raises(BadInput, match="changed"):
            read_split(entry, config, DEFAULT_TASK)
    finally:
        entry.path.write_bytes(before)
