"""The split asks the task what its targets are: it handles numbers and lists of tags as it does classes."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rankscope.catalog import Catalog, DatasetEntry
from rankscope.catalog.data.splits import count_split, split
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.tasks import DEFAULT_TASK, Task, TextClassification
from rankscope.contract.tasks.targets import AsText, BadTarget, NoTargets, Targets, text_or_json
from rankscope.settings import Settings

DATA = DataConfig(id="x", eval_fraction=0.3)


class Numbers(Targets):
    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        text = as_text(value)
        if text is None:
            return f"no number in column {self.column!r}"
        try:
            return str(float(text)), 0
        except ValueError:
            raise BadTarget(f"is {self.column!r}, which has {text!r} on line {line}", "Write numbers.") from None

    def finish(self) -> None:
        pass


class Tags(Targets):
    accepts_lists = True

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        return json.dumps(value), 0

    def finish(self) -> None:
        pass


class Scoring(TextClassification):
    def targets(self, column: str) -> Targets:
        return Numbers(column)


class Tagging(TextClassification):
    def targets(self, column: str) -> Targets:
        return Tags(column)


class Reading(TextClassification):
    """Learns only from its texts, which may be lists."""

    @property
    def has_target(self) -> bool:
        return False

    def read_text(self, value: object, as_text: AsText) -> str | None:
        return text_or_json(value, as_text)

    def targets(self, column: str) -> Targets:
        return NoTargets()


class Short(Tags):
    """Leaves out rows with more tags than words."""

    def why_left_out(self, target: str, texts: Sequence[str]) -> str | None:
        words = len(texts[0].split())
        return None if len(json.loads(target)) == words else f"another number of tags than the {words} words"


class Aligning(Tagging):
    def targets(self, column: str) -> Targets:
        return Short(column)


def dataset(folder: Path, targets: Sequence[object]) -> DatasetEntry:
    settings = Settings(data_dir=folder)
    settings.datasets_dir.mkdir(parents=True)
    lines = [json.dumps({"text": f"text {n}", "label": target}) for n, target in enumerate(targets)]
    (settings.datasets_dir / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Catalog(settings).dataset("local:rows")


def test_numbers_are_split_without_classes(tmp_path: Path) -> None:
    entry = dataset(tmp_path, [n / 7 for n in range(200)] + [None])
    parts, counts = split(entry, DATA, Scoring()), count_split(entry, DATA, Scoring())
    assert sorted(float(row["label"]) for row in (*parts.train, *parts.evaluation)) == [n / 7 for n in range(200)]
    assert (parts.labels, counts.labels, counts.classes, counts.warnings) == ([], [], (), ())
    assert (counts.train_rows, counts.eval_rows) == (len(parts.train), len(parts.evaluation))
    assert [(each.reason, each.rows) for each in counts.left_out] == [("no number in column 'label'", 1)]


def test_a_value_that_the_task_rejects_is_reported_at_its_column(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        split(dataset(tmp_path, [1, 2, "high"]), DATA, Scoring())
    (problem,) = refused.value.problems
    assert (problem.field, problem.message) == ("config.task.label_column", "is 'label', which has 'high' on line 3")


@pytest.mark.parametrize(("task", "is_accepted"), [(Tagging(), True), (DEFAULT_TASK, False)])
def test_lists_are_targets_only_for_a_task_that_reads_them(tmp_path: Path, task: Task, is_accepted: bool) -> None:
    entry = dataset(tmp_path, [["O", "B-PER"]] * 40)
    if is_accepted:
        parts = split(entry, DATA, task)
        assert {row["label"] for row in (*parts.train, *parts.evaluation)} == {'["O", "B-PER"]'}
    else:
        with pytest.raises(BadInput, match="list or an object on line 1"):
            split(entry, DATA, task)


def test_a_task_without_targets_reads_lists_as_json_and_needs_no_other_column(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.datasets_dir.mkdir(parents=True)
    chats = [[{"role": "user", "content": f"é {number}"}] for number in range(40)] + [[]]
    lines = [json.dumps({"messages": chat}) for chat in chats]
    (settings.datasets_dir / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    entry, task = Catalog(settings).dataset("local:rows"), Reading(text_columns=["messages"])
    parts, counts = split(entry, DATA, task), count_split(entry, DATA, task)
    assert (parts.target_column, counts.target_column, counts.labels) == (None, None, [])
    read = [json.loads(row["messages"]) for row in (*parts.train, *parts.evaluation)]
    assert sorted(read, key=chats.index) == chats[:-1]
    assert [(each.reason, each.first_lines) for each in counts.left_out] == [("no text in column 'messages'", (41,))]


def test_a_row_whose_target_does_not_fit_its_text_is_left_out_with_its_line(tmp_path: Path) -> None:
    entry = dataset(tmp_path, [["O", "B-PER"]] * 40 + [["O"]])
    (left_out,) = count_split(entry, DATA, Aligning()).left_out
    assert (left_out.reason, left_out.first_lines) == ("another number of tags than the 2 words", (41,))
