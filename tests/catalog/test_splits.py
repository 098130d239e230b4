"""The split: deterministic, by group, with clear errors."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rankscope.catalog import Catalog, DatasetEntry
from rankscope.catalog.data.splits import split
from rankscope.contract.config import DataConfig, RunConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.settings import Settings

CONFIG = {"model": {"id": "m"}, "method": {"name": "lora"}, "training": {"max_steps": 1}}


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
    parts = split(make_dataset(numbered(500)), DataConfig(id="x", group_column="film", eval_fraction=0.3), DEFAULT_TASK)
    assert not {row["film"] for row in parts.train} & {row["film"] for row in parts.evaluation}
    assert len(parts.train) + len(parts.evaluation) == 500
    assert 0.2 < len(parts.evaluation) / 500 < 0.4


def test_added_rows_do_not_move_other_rows(make_dataset: Callable[[str], DatasetEntry]) -> None:
    before = split(make_dataset(numbered(200)), DataConfig(id="x"), DEFAULT_TASK)
    after = split(make_dataset(numbered(300)), DataConfig(id="x"), DEFAULT_TASK)
    assert [row for row in after.evaluation if row in before.train] == []
    assert all(row in after.evaluation for row in before.evaluation)


def test_split_seed_changes_the_split_and_row_limits_apply(make_dataset: Callable[[str], DatasetEntry]) -> None:
    entry = make_dataset(numbered(300))
    one, other = (
        split(entry, DataConfig(id="x"), DEFAULT_TASK),
        split(entry, DataConfig(id="x", split_seed=1), DEFAULT_TASK),
    )
    assert one.evaluation != other.evaluation
    limited = split(entry, DataConfig(id="x", max_train_rows=50, max_eval_rows=7), DEFAULT_TASK)
    assert (len(limited.train), len(limited.evaluation)) == (50, 7)
    assert limited.labels == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"text_columns": ["body"]}, "task.text_columns", "text, label, film"),
        ({"label_column": "clas"}, "task.label_column", "text, label, film"),
        ({"group_column": "movie"}, "data.group_column", "text, label, film"),
        ({"label_column": "text"}, "task.label_column", "another column"),
        ({"eval_fraction": 1e-6}, "data.eval_fraction", "Change it"),
        ({"group_column": "label", "eval_fraction": 1e-6}, "data.eval_fraction", "another group_column"),
    ],
)
def test_invalid_option_names_its_field_and_a_next_step(
    make_dataset: Callable[[str], DatasetEntry], data: dict[str, object], field: str, words: str
) -> None:
    config = RunConfig.model_validate(CONFIG | {"data": {"id": "x"} | data})
    with pytest.raises(BadInput) as error:
        split(make_dataset(numbered(60)), config.data, config.task)
    problem = error.value.problems[0]
    assert problem.field == f"config.{field}"
    assert words in problem.next_step


def test_one_class_is_refused(make_dataset: Callable[[str], DatasetEntry]) -> None:
    with pytest.raises(BadInput, match="1 class"):
        split(
            make_dataset("text,label\n" + "".join(f"t{n},same\n" for n in range(50))), DataConfig(id="x"), DEFAULT_TASK
        )
