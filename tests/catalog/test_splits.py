"""The split: deterministic, by group, and clear about what cannot work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rankscope.catalog import Catalog, DatasetEntry
from rankscope.catalog.splits import split
from rankscope.contract.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.settings import Settings


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[[str], DatasetEntry]:
    settings = Settings(data_dir=tmp_path)
    settings.datasets_dir.mkdir()

    def make(text: str) -> DatasetEntry:
        (settings.datasets_dir / "rows.csv").write_text(text, encoding="utf-8")
        return Catalog(settings).dataset("local:rows")

    return make


def numbered(rows: int) -> str:
    return "text,label,film\n" + "".join(f"text {n},{'ab'[n % 2]},film {n // 5}\n" for n in range(rows))


def test_a_group_is_never_on_both_sides(make_dataset: Callable[[str], DatasetEntry]) -> None:
    parts = split(make_dataset(numbered(500)), DataConfig(id="x", group_column="film", eval_fraction=0.3))
    assert not {row["film"] for row in parts.train} & {row["film"] for row in parts.evaluation}
    assert len(parts.train) + len(parts.evaluation) == 500
    assert 0.2 < len(parts.evaluation) / 500 < 0.4


def test_rows_that_are_added_do_not_move_the_others(make_dataset: Callable[[str], DatasetEntry]) -> None:
    before = split(make_dataset(numbered(200)), DataConfig(id="x"))
    after = split(make_dataset(numbered(300)), DataConfig(id="x"))
    assert [row for row in after.evaluation if row in before.train] == []
    assert all(row in after.evaluation for row in before.evaluation)


def test_split_seed_makes_another_split_and_row_limits_hold(make_dataset: Callable[[str], DatasetEntry]) -> None:
    entry = make_dataset(numbered(300))
    one, other = split(entry, DataConfig(id="x")), split(entry, DataConfig(id="x", split_seed=1))
    assert one.evaluation != other.evaluation
    limited = split(entry, DataConfig(id="x", max_train_rows=50, max_eval_rows=7))
    assert (len(limited.train), len(limited.evaluation)) == (50, 7)
    assert limited.labels == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"text_columns": ["body"]}, "text_columns", "text, label, film"),
        ({"label_column": "clas"}, "label_column", "text, label, film"),
        ({"group_column": "movie"}, "group_column", "text, label, film"),
        ({"label_column": "text"}, "label_column", "another column"),
        ({"eval_fraction": 1e-6}, "eval_fraction", "Change it"),
    ],
)
def test_what_cannot_work_names_field_and_fix(
    make_dataset: Callable[[str], DatasetEntry], data: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(BadInput) as error:
        split(make_dataset(numbered(60)), DataConfig.model_validate({"id": "x"} | data))
    problem = error.value.problems[0]
    assert problem.field == f"config.data.{field}"
    assert words in problem.next_step


def test_one_class_is_refused(make_dataset: Callable[[str], DatasetEntry]) -> None:
    with pytest.raises(BadInput, match="1 class"):
        split(make_dataset("text,label\n" + "".join(f"t{n},same\n" for n in range(50))), DataConfig(id="x"))
