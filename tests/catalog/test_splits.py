"""The split: deterministic, by group, with clear errors."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rankscope.catalog import Catalog, DatasetEntry
from rankscope.catalog.data.equal_texts import EqualTexts
from rankscope.catalog.data.splits import EQUAL_TEXT, SplitCounts, count_split, split
from rankscope.contract.config import RunConfig
from rankscope.contract.data.config import DataConfig
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


def test_a_validation_part_has_no_evaluation_row_and_whole_groups(make_dataset: Callable[[str], DatasetEntry]) -> None:
    entry, options = make_dataset(numbered(500)), {"id": "x", "group_column": "film", "eval_fraction": 0.3}
    whole = split(entry, DataConfig.model_validate(options), DEFAULT_TASK)
    tuned = split(entry, DataConfig.model_validate(options | {"validation_fraction": 0.25}), DEFAULT_TASK)
    assert not {row["film"] for row in tuned.train} & {row["film"] for row in tuned.evaluation}
    assert sorted(row["text"] for row in [*tuned.train, *tuned.evaluation]) == sorted(
        row["text"] for row in whole.train
    )
    assert 0.15 < len(tuned.evaluation) / len(whole.train) < 0.35
    alone = DataConfig(id="x", validation_fraction=0.2)
    assert len(split(entry, alone, DEFAULT_TASK).evaluation) == count_split(entry, alone, DEFAULT_TASK).eval_rows > 40


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


def parts_of(dataset: DatasetEntry, **options: object) -> SplitCounts:
    """Counts a split, and checks that the training process splits the same rows."""
    data = DataConfig.model_validate({"id": "x"} | options)
    counts, rows = count_split(dataset, data, DEFAULT_TASK), split(dataset, data, DEFAULT_TASK)
    assert (counts.train_rows, counts.eval_rows) == (len(rows.train), len(rows.evaluation))
    return counts


def in_parts(**parts: int) -> str:
    names = [name for name, count in parts.items() for _ in range(count)]
    return "text,label,split\n" + "".join(f"text {n},{'ab'[n % 2]},{name}\n" for n, name in enumerate(names))


def test_parts_are_those_of_the_data_set_s_own_column(make_dataset: Callable[[str], DatasetEntry]) -> None:
    entry = make_dataset(in_parts(train=20, validation=6, test=4))
    assert entry.split_column == "split"
    counts = parts_of(entry, split="parts")
    assert (counts.train_rows, counts.eval_rows) == (20, 6)
    assert counts.parts is not None
    assert [(part.name, part.rows, part.side) for part in counts.parts.all] == [
        ("train", 20, "train"),
        ("validation", 6, "evaluation"),
        ("test", 4, None),
    ]
    (left_out,) = counts.left_out
    assert left_out.reason == "part 'test' in column 'split', which is not used"
    assert left_out.rows == 4


def test_without_a_validation_part_the_test_part_is_for_evaluation(
    make_dataset: Callable[[str], DatasetEntry],
) -> None:
    entry = make_dataset(in_parts(Train=20, Test=4))
    assert parts_of(entry, split="parts").eval_rows == 4
    assert parts_of(entry, split="parts", eval_parts=["test"]).eval_rows == 4


def test_classes_of_an_unused_part_are_not_learned(make_dataset: Callable[[str], DatasetEntry]) -> None:
    hidden = "".join(f"hidden {n},-1,test\n" for n in range(5))
    counts = parts_of(make_dataset(in_parts(train=20, dev=6) + hidden), split="parts")
    assert counts.labels == ["a", "b"]


def test_any_column_can_name_the_parts(make_dataset: Callable[[str], DatasetEntry]) -> None:
    entry = make_dataset(numbered(60))
    assert entry.split_column is None
    counts = parts_of(entry, split="parts", split_column="film", eval_parts=["film 3", "film 5"])
    assert (counts.train_rows, counts.eval_rows) == (50, 10)
    only = parts_of(entry, split="parts", split_column="film", train_parts=["film 1", "film 2"], eval_parts=["film 3"])
    assert (only.train_rows, only.eval_rows) == (10, 5)


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({}, "split_column", "Choose the column"),
        ({"split_column": "movie"}, "split_column", "text, label, film"),
        ({"split_column": "text"}, "split_column", "share"),
        ({"split_column": "film"}, "train_parts", "Name the parts"),
        (
            {"split_column": "film", "train_parts": ["film 1"], "eval_parts": ["film 99"]},
            "eval_parts.0",
            "'film 0' (5 rows)",
        ),
        ({"split_column": "film", "train_parts": ["film 1"], "eval_parts": ["film 1"]}, "eval_parts", "Remove it"),
    ],
)
def test_parts_that_cannot_be_found_are_refused_at_their_field(
    make_dataset: Callable[[str], DatasetEntry], data: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(BadInput) as error:
        parts_of(make_dataset(numbered(300 if field == "split_column" else 60)), split="parts", **data)
    problem = error.value.problems[0]
    assert problem.field == f"config.data.{field}"
    assert words in problem.next_step


def test_equal_texts_on_both_sides_are_counted_and_shown(make_dataset: Callable[[str], DatasetEntry]) -> None:
    again = "text 3,a,dev\ntext 3,b,dev\ntext 4,a,dev\ntext 4,a,test\n"
    entry = make_dataset(in_parts(train=20, dev=6) + again)
    counts = parts_of(entry, split="parts")
    equal = counts.equal_texts
    assert (equal.eval_rows, equal.texts) == (3, 2)
    assert [(one.text, one.train_line, one.eval_line) for one in equal.examples] == [
        ("text 3", 5, 28),
        ("text 4", 6, 30),
    ]

    without = parts_of(entry, split="parts", drop_equal_texts=True)
    assert without.equal_texts.eval_rows == 0
    assert (without.train_rows, without.eval_rows) == (18, 9)
    assert [(one.rows, one.first_lines) for one in without.left_out if one.reason == EQUAL_TEXT] == [(2, (5, 6))]
    train = split(entry, DataConfig(id="x", split="parts", drop_equal_texts=True), DEFAULT_TASK).train
    assert {"text 3", "text 4"}.isdisjoint(row["text"] for row in train)


def test_groups_are_counted_on_both_sides_and_equal_texts_of_different_groups_found(
    make_dataset: Callable[[str], DatasetEntry],
) -> None:
    rows = [(f"text {n % 7}", "ab"[n % 2], f"film {n}") for n in range(40)]
    entry = make_dataset("text,label,film\n" + "".join(f"{','.join(row)}\n" for row in rows))
    data = DataConfig(id="x", group_column="film", eval_fraction=0.3)
    counts, parts = count_split(entry, data, DEFAULT_TASK), split(entry, data, DEFAULT_TASK)
    trained, evaluated = ([row["text"] for row in side] for side in (parts.train, parts.evaluation))
    assert counts.groups is not None
    assert (counts.groups.train, counts.groups.evaluation, counts.groups.both) == (len(trained), len(evaluated), 0)
    assert counts.equal_texts.eval_rows == sum(text in trained for text in evaluated) > 0
    by_text = count_split(entry, DataConfig(id="x", eval_fraction=0.3), DEFAULT_TASK)
    assert (by_text.groups, by_text.equal_texts) == (None, EqualTexts())
