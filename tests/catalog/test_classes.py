"""Missing and unusual values: which are classes, which are left out, and which are rejected."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.changed_inputs import what_changed
from rankscope.catalog.data.splits import SplitCounts, split
from rankscope.contract.config import RunConfig
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.stored import Environment
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.settings import Settings

CONFIG = {"model": {"id": "m"}, "method": {"name": "lora"}, "training": {"max_steps": 1}}
Divide = Callable[..., SplitCounts]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    settings = Settings(data_dir=tmp_path)
    settings.datasets_dir.mkdir()
    return Catalog(settings)


@pytest.fixture
def divide(catalog: Catalog, tmp_path: Path) -> Divide:
    """Counts the split of a file, and checks that the rows of the split are the same."""

    def divide(name: str, content: str, **options: Any) -> SplitCounts:
        (tmp_path / "datasets" / name).write_text(content, encoding="utf-8")
        entry = catalog.dataset(f"local:{name}")
        data_options = {"id": entry.id, "eval_fraction": 0.3} | options
        config = RunConfig.model_validate(CONFIG | {"data": data_options})
        data, task = config.data, config.task
        counts, rows = catalog.count_split(entry, data, task), split(entry, data, task)
        assert (counts.train_rows, counts.eval_rows) == (len(rows.train), len(rows.evaluation))
        assert counts.labels == rows.labels
        for each in counts.classes:
            of_class = [
                [row[str(counts.target_column)] for row in side].count(each.label)
                for side in (rows.train, rows.evaluation)
            ]
            assert [each.train_rows, each.eval_rows] == of_class
        return counts

    return divide


def csv_of(*labels: str, times: int = 6, header: str = "text,label") -> str:
    return f"{header}\n" + "".join(f"text {n},{labels[n % len(labels)]}\n" for n in range(times * len(labels)))


def json_of(*labels: str, times: int = 6) -> str:
    return "".join(f'{{"text": "text {n}", "label": {labels[n % len(labels)]}}}\n' for n in range(times * len(labels)))


def left_out(counts: SplitCounts) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(each.reason, each.rows, each.first_lines) for each in counts.left_out]


# ---------------------------------------------------------------- missing


@pytest.mark.parametrize("empty", ["", "  ", '""', "NaN", "nan", "null", "NULL", "<NA>", "#N/A"])
def test_a_missing_label_in_a_csv_file_is_not_a_class(divide: Divide, empty: str) -> None:
    counts = divide("rows.csv", csv_of("x", "y", empty, times=40))
    assert counts.labels == ["x", "y"]
    assert left_out(counts) == [("no label in column 'label'", 40, (4, 7, 10, 13, 16))]
    assert counts.train_rows + counts.eval_rows == 80


@pytest.mark.parametrize("empty", ["null", "NaN", '""', '"  "'])
def test_a_missing_label_in_json_lines_is_not_a_class(divide: Divide, empty: str) -> None:
    counts = divide("rows.jsonl", json_of('"x"', '"y"', empty, times=40) + '{"text": "no label at all"}\n')
    assert counts.labels == ["x", "y"]
    assert [(each.reason, each.rows) for each in counts.left_out] == [("no label in column 'label'", 41)]


@pytest.mark.parametrize("word", ["None", "N/A", "none", "NA", "(null)", "\\N", "#VALUE!", "undefined"])
def test_words_that_may_be_a_class_are_kept_with_a_warning(divide: Divide, word: str) -> None:
    counts = divide("rows.csv", csv_of("x", "y", word, times=40))
    assert counts.labels == sorted(["x", "y", word])
    (warning,) = counts.warnings
    assert f"{word!r} is a separate class with 40 rows" in warning
    assert divide("rows.jsonl", json_of('"x"', '"y"', json.dumps(word), times=40)).labels == counts.labels


def test_missing_texts_are_left_out_and_never_become_text(divide: Divide, catalog: Catalog) -> None:
    rows = json_of('"x"', '"y"', times=40)
    for text in ('"text": null, ', '"text": "", ', '"text": " \\t ", ', '"text": NaN, ', ""):
        rows += f'{{{text}"label": "x"}}\n'
    counts = divide("rows.jsonl", rows)
    assert left_out(counts) == [("no text in column 'text'", 5, (81, 82, 83, 84, 85))]
    counts = divide("rows.csv", csv_of("x", "y", times=40) + ",x\n  ,y\nNaN,x\nnull,y\n")
    assert left_out(counts) == [("no text in column 'text'", 4, (82, 83, 84, 85))]
    parts = split(catalog.dataset("local:rows.csv"), DataConfig(id="x", eval_fraction=0.3), DEFAULT_TASK)
    assert not {"", "NaN", "null"} & {row["text"] for row in [*parts.train, *parts.evaluation]}


def test_incomplete_pair_is_left_out(divide: Divide) -> None:
    content = "a,b,label\n" + "".join(f"one {n},{'' if n % 10 == 0 else f'two {n}'},{'xy'[n % 2]}\n" for n in range(60))
    counts = divide("pairs.csv", content, text_columns=["a", "b"])
    assert left_out(counts) == [("no text in column 'a' or 'b'", 6, (2, 12, 22, 32, 42))]


def test_rows_without_a_group_form_one_group_with_a_warning(divide: Divide) -> None:
    content = "text,label,film\n" + "".join(f"t {n},{'xy'[n % 2]},{n % 30 or ''}\n" for n in range(300))
    counts = divide("rows.csv", content, group_column="film")
    assert counts.warnings == ("10 rows have no 'film'; they are treated as one group.",)


# ---------------------------------------------------------------- spelled in several ways


def test_equal_numbers_are_one_class_with_a_warning(divide: Divide) -> None:
    counts = divide("rows.jsonl", json_of("1", "1.0", '"1"', "0", "0.0", '" 0 "', times=30))
    assert counts.labels == ["0", "1"]
    assert sum(each.train_rows + each.eval_rows for each in counts.classes) == 180
    assert [warning for warning in counts.warnings if "'1' and '1.0' are the same class, '1'" in warning]
    assert divide("rows.csv", csv_of("1", "1.0", "0", times=30)).labels == ["0", "1"]


def test_a_number_with_one_spelling_keeps_it(divide: Divide) -> None:
    assert divide("floats.jsonl", json_of("1.0", "0.0", times=30)).labels == ["0.0", "1.0"]
    assert divide("codes.csv", csv_of("007", "7", "1e2", "100", times=30)).labels == ["007", "100", "1e2", "7"]
    assert divide("truth.jsonl", json_of("true", "false", times=30)).labels == ["false", "true"]


def test_classes_that_differ_only_in_case_or_spaces_are_a_warning(divide: Divide) -> None:
    counts = divide("rows.csv", csv_of("Fresh", "fresh", "rotten", " rotten ", times=30))
    assert counts.labels == ["Fresh", "fresh", "rotten"]
    assert [w for w in counts.warnings if "'Fresh' and 'fresh' differ only in case, spaces" in w]


@pytest.mark.parametrize("header", ["text , label ", "Text,Label", " TEXT,LABEL", "\ufefftext,label"])
def test_names_of_columns_are_found_with_spaces_and_capitals(divide: Divide, catalog: Catalog, header: str) -> None:
    counts = divide("rows.csv", csv_of("x", "y", times=30, header=header))
    assert (counts.text_columns[0].casefold(), str(counts.target_column).casefold()) == ("text", "label")
    asked = divide("rows.csv", csv_of("x", "y", times=30, header=header), text_columns=[" Text"], label_column="label ")
    assert (asked.text_columns, asked.target_column) == (counts.text_columns, counts.target_column)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (("a b", "a\u200bb", "ab"), "'a\\u200bb' and 'ab' differ only in case, spaces or invisible characters"),
        (("Inf", "inf", "x"), "'Inf' and 'inf' differ only in case"),
        (("a b", "a  b", "a\u00a0b"), "'a b', 'a  b' and 'a\\xa0b' differ only in"),
        (
            ("1", "+1", "1e0", "\uff11"),
            "are equal numbers, and are separate classes",
        ),
        (
            tuple(f"{n}.5" for n in range(7)),
            "has 7 classes, all of them numbers. If they are scores, choose another column",
        ),
        (tuple(f"user {n}" for n in range(100)), "has 100 classes in 300 rows. If they are ids, choose another column"),
    ],
)
def test_classes_that_may_be_a_mistake_are_warnings(divide: Divide, labels: tuple[str, ...], sentence: str) -> None:
    counts = divide("rows.csv", csv_of(*labels, times=3 if len(labels) == 100 else 30))
    assert counts.labels == sorted(labels)
    assert [warning for warning in counts.warnings if sentence in warning], counts.warnings


def test_a_combining_accent_does_not_make_another_class(divide: Divide, catalog: Catalog) -> None:
    counts = divide("rows.csv", csv_of("caf\u00e9", "cafe\u0301", "bar", times=30))
    assert counts.labels == ["bar", "caf\u00e9"]
    assert [w for w in counts.warnings if r"'cafe\u0301' and 'caf\xe9' are the same class, 'café'" in w], (
        counts.warnings
    )
    assert dict(catalog.dataset("local:rows.csv").classes) == {"caf\u00e9": 60, "bar": 30}
    assert divide("one.csv", csv_of("cafe\u0301", "bar", times=30)).labels == ["bar", "cafe\u0301"]


# ---------------------------------------------------------------- no classes


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "ids.csv",
            "text,label\n" + "".join(f"t{n},{n}\n" for n in range(10_000)),
            "'label', which has 10,000 different values in 10,000 rows: this looks like a number or an id",
        ),
        ("few-ids.csv", "text,label\n" + "".join(f"t{n},{n}\n" for n in range(30)), "30 different values in 30 rows"),
        (
            "names.csv",
            "text,label\n" + "".join(f"t{n},name {n // 2}x\n" for n in range(59)),
            "30 different values in 59 rows: this looks like a text or an id",
        ),
        (
            "scores.csv",
            "text,label\n" + "".join(f"t{n},{n % 50 / 100}\n" for n in range(1000)),
            "50 different numbers in 1,000 rows: this looks like a score",
        ),
        (
            "scores.jsonl",
            "".join(json.dumps({"text": f"t{n}", "label": n / 7}) + "\n" for n in range(3000)),
            "3,000 different values in 3,000 rows",
        ),
        ("one.csv", csv_of("same"), "'label', which has only 1 class, 'same'"),
        ("one-and-none.csv", csv_of("same", ""), "'label', which has only 1 class, 'same'"),
        ("none.csv", csv_of(""), "which leaves no rows: 6 of 6 have no label in column 'label'"),
        ("long.csv", csv_of("x", "y" * 201), "has a value of 201 characters"),
        (
            "lists.jsonl",
            json_of('"x"', '"y"') + '{"text": "a", "label": ["x", "y"]}\n',
            "a list or an object on line 13",
        ),
    ],
)
def test_column_without_classes_is_refused_by_name_and_count(
    divide: Divide, name: str, content: str, words: str
) -> None:
    with pytest.raises(BadInput) as refused:
        divide(name, content)
    (problem,) = refused.value.problems
    assert problem.field == "config.task.label_column"
    assert words in problem.message
    assert problem.next_step


def test_texts_that_are_all_missing_are_refused(divide: Divide) -> None:
    with pytest.raises(BadInput) as refused:
        divide("rows.csv", "text,label\n" + ",x\n ,y\n" * 20 + "good,\n")
    (problem,) = refused.value.problems
    assert problem.field == "config.task.text_columns"
    assert "leaves no rows: 40 of 41 have no text in column 'text'" in problem.message


def test_texts_that_are_all_the_same_are_refused(divide: Divide) -> None:
    with pytest.raises(BadInput) as refused:
        divide("rows.csv", "text,label\n" + "same,x\nsame,y\n" * 20)
    assert refused.value.problems[0].field == "config.task.text_columns"
    assert "the same in all 40 rows" in refused.value.problems[0].message


def test_a_class_with_one_row_is_a_warning(divide: Divide) -> None:
    counts = divide("rows.csv", csv_of("x", "y", times=40) + "rare one,z\n")
    assert [w for w in counts.warnings if "only one row has the class 'z'" in w]


def test_without_a_usual_name_the_column_has_to_be_chosen(divide: Divide) -> None:
    with pytest.raises(BadInput) as refused:
        divide("rows.csv", csv_of("x", "y", header="text,opinion"))
    (problem,) = refused.value.problems
    assert problem.field == "config.task.label_column"
    assert problem.next_step == "Use one of its columns: text, opinion."
    assert divide("rows.csv", csv_of("x", "y", header="text,opinion"), label_column="opinion").labels == ["x", "y"]


def test_sampling_fewer_rows_counts_the_sampled_ones(divide: Divide) -> None:
    counts = divide("rows.csv", csv_of("x", "y", times=200), max_train_rows=50, max_eval_rows=7)
    assert (counts.train_rows, counts.eval_rows) == (50, 7)


# ---------------------------------------------------------------- runs of earlier versions


def test_inputs_at_launch_are_compared_with_the_current_ones(divide: Divide) -> None:
    counts = divide("rows.csv", csv_of("x", "y", "", times=40))
    now = (counts.labels, counts.train_rows, counts.eval_rows)
    environment: Environment = {"labels": counts.labels, "train_rows": counts.train_rows, "eval_rows": counts.eval_rows}
    assert what_changed(environment, *now) is None
    assert what_changed({}, *now) is None
    with_empty = what_changed(environment | {"labels": ["", "x", "y"]}, *now)
    assert with_empty == "The run was launched with the classes '', 'x', 'y', but the data set now has 'x', 'y'."
    more = what_changed(environment | {"train_rows": 1000}, *now)
    assert more == f"The run was launched with 1,000 training rows, but the data set now has {counts.train_rows}."
