"""The split of a data set into training and evaluation rows: the same in server and worker while the file is unchanged."""

import json
import random
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from rankscope.catalog.data.columns import Columns
from rankscope.catalog.data.entry import DatasetEntry, Row
from rankscope.catalog.data.files import BrokenFile, ChangedFile
from rankscope.catalog.data.left_out import LeftOut, LeftOutCounter
from rankscope.catalog.data.profiles import no_text
from rankscope.catalog.data.records import NotText
from rankscope.catalog.data.tables import Table
from rankscope.catalog.data.used_columns import at, columns_of, nested, problem
from rankscope.contract.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.stored import Environment
from rankscope.contract.tasks import Task
from rankscope.contract.tasks.targets import BadTarget, ClassRows, Targets


@dataclass(frozen=True)
class Split:
    train: list[Row]
    evaluation: list[Row]
    """Each row has only the columns that are used."""
    text_columns: list[str]
    target_column: str | None
    """None for a task without targets."""
    group_column: str | None
    labels: list[str]
    """Classes in a fixed order; a class's number is its index in this list. Empty if the targets are not classes."""


@dataclass(frozen=True)
class SplitCounts:
    """The counts of a split, without its rows, as shown in a plan."""

    text_columns: tuple[str, ...]
    target_column: str | None
    group_column: str | None
    train_rows: int
    eval_rows: int
    labels: list[str]
    classes: tuple[ClassRows, ...]
    """In the order of the labels."""
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]


@dataclass
class _Side:
    groups: "array[int]" = field(default_factory=lambda: array("H"))
    """The group of each row's target (see Targets.read)."""
    rows: list[Row] = field(default_factory=list)
    """Empty if only counts are needed."""


@dataclass(frozen=True)
class _Sides:
    """The complete data set, split, before rows are sampled."""

    columns: Columns
    train: _Side
    evaluation: _Side
    targets: Targets
    left_out: LeftOutCounter
    no_group: int


def split(entry: DatasetEntry, data: DataConfig, task: Task) -> Split:
    """Splits the rows by a hash of the group (or of the texts), so that a row's side does not depend on other rows.

    Raises BadInput if a column does not exist, if the task can't learn its targets, or if one side would have no rows.
    """
    sides = _divide(entry, data, task, keep_rows=True)
    return Split(
        _sampled_rows(sides, sides.train, data.max_train_rows, data.split_seed),
        _sampled_rows(sides, sides.evaluation, data.max_eval_rows, data.split_seed),
        list(sides.columns.text),
        sides.columns.label,
        sides.columns.group,
        sides.targets.labels,
    )


def count_split(entry: DatasetEntry, data: DataConfig, task: Task) -> SplitCounts:
    """Returns the counts of the same split. Reads the file without keeping its rows."""
    sides = _divide(entry, data, task, keep_rows=False)
    train, evaluation = (
        Counter(side.groups[index] for index in _sampled(len(side.groups), at_most, data.split_seed))
        for side, at_most in ((sides.train, data.max_train_rows), (sides.evaluation, data.max_eval_rows))
    )
    warnings = sides.targets.warnings(train, evaluation)
    if sides.no_group:
        warnings.append(f"{sides.no_group:,} rows have no {sides.columns.group!r}; they are treated as one group.")
    return SplitCounts(
        sides.columns.text,
        sides.columns.label,
        sides.columns.group,
        train.total(),
        evaluation.total(),
        sides.targets.labels,
        sides.targets.class_rows(train, evaluation),
        sides.left_out.all(),
        tuple(warnings),
    )


def what_changed(before: Environment, labels: Sequence[str], train_rows: int, eval_rows: int) -> str | None:
    """Returns how a data set's classes and rows differ from those at the run's launch, as a sentence; None if they don't.

    `before` is the run's environment. The same bytes can give another result: earlier versions counted an empty label as
    a class.
    """
    names = before.get("labels")
    if names is not None and list(names) != list(labels):
        return f"The run was launched with the classes {_listed(names)}, but the data set now has {_listed(labels)}."
    sides = (
        (before.get("train_rows", train_rows), train_rows, "training"),
        (before.get("eval_rows", eval_rows), eval_rows, "evaluation"),
    )
    for then, now, side in sides:
        if then != now:
            return f"The run was launched with {then:,} {side} rows, but the data set now has {now:,}."
    return None


def _divide(entry: DatasetEntry, data: DataConfig, task: Task, *, keep_rows: bool) -> _Sides:
    columns = columns_of(entry, data, task)
    used = dict.fromkeys([*columns.text, *([columns.group] if columns.group else [])])
    targets = task.targets(columns.label or "")
    train, evaluation, left_out = _Side(), _Side(), LeftOutCounter()
    no_group, is_one_text, first_key = 0, True, None
    try:
        with entry.open([*used, *([columns.label] if columns.label else [])]) as table:
            text_of = table.text
            for line, record in table.records:
                try:
                    read = [task.read_text(record.get(column), text_of) for column in columns.text]
                    group = columns.group and text_of(record.get(columns.group))
                    texts = [text for text in read if text is not None]
                    if len(texts) < len(read):
                        left_out.add(no_text(columns.text), line)
                        continue
                    target = targets.read(columns.label and record.get(columns.label), text_of, line)
                except NotText:
                    raise nested(record, columns, task, line, with_target=not targets.accepts_lists) from None
                if isinstance(target, tuple):
                    target = targets.why_left_out(target[0], texts) or target
                if isinstance(target, str):
                    left_out.add(target, line)
                if target is None or isinstance(target, str):
                    continue
                target_text, target_group = target
                if columns.group:
                    key = _plain(table, record.get(columns.group))
                    no_group += group is None
                else:
                    key = "\x1f".join(texts)
                first_key = key if first_key is None else first_key
                is_one_text = is_one_text and key == first_key
                side = evaluation if _share(key, data.split_seed) < data.eval_fraction else train
                side.groups.append(target_group)
                if keep_rows:
                    row = {column: _plain(table, record.get(column)) for column in used}
                    if columns.label is not None:
                        row[columns.label] = target_text
                    side.rows.append(row)
            if table.fingerprint() != entry.fingerprint:
                raise ChangedFile
        if not train.groups and not evaluation.groups and left_out.all():
            raise _nothing_left(columns, task, left_out)
        targets.finish()
    except BadTarget as error:
        raise problem(at(task.target_field), columns.label, error.message, error.next_step) from error
    except BrokenFile as error:
        raise entry.refusal(f"which cannot be used. {error.problem}", error.next_step) from error
    except FileNotFoundError as error:
        raise entry.refusal("which has just been removed", "Restore the file, or use another data set.") from error
    _check_sides(data, task, columns, train, evaluation, is_one_text)
    return _Sides(columns, train, evaluation, targets, left_out, no_group)


def _nothing_left(columns: Columns, task: Task, left_out: LeftOutCounter) -> BadInput:
    """Returns the error about the column that is empty in all or most rows."""
    most = max(left_out.all(), key=lambda each: each.rows)
    field, column = at(task.target_field), columns.label
    if most.reason == no_text(columns.text):
        field, column = at(task.text_field), " and ".join(columns.text)
    every = sum(each.rows for each in left_out.all())
    return problem(
        field,
        column,
        f"is {column!r}, which leaves no rows: {most.rows:,} of {every:,} have {most.reason}",
        "Use another column.",
    )


def _check_sides(
    data: DataConfig, task: Task, columns: Columns, train: _Side, evaluation: _Side, is_one_text: bool
) -> None:
    rows = len(train.groups) + len(evaluation.groups)
    for side, name in ((train, "training"), (evaluation, "evaluation")):
        if side.groups:
            continue
        if is_one_text and rows > 1:
            what = columns.group or " and ".join(columns.text)
            field = "data.group_column" if columns.group else at(task.text_field)
            raise problem(
                field,
                what,
                f"is {what!r}, which is the same in all {rows:,} rows, so they can't be split",
                "Use another column.",
            )
        raise problem(
            "data.eval_fraction",
            data.eval_fraction,
            f"leaves no {name} rows out of {rows:,}" + (f" in groups by {columns.group!r}" if columns.group else ""),
            f"Change it, {'choose another group_column, ' if columns.group else ''}or use more data.",
        )


def _plain(table: Table, value: object) -> str:
    """Converts a value to text, including a missing one: rows without a group form one group."""
    if isinstance(value, str):
        return value if table.separator is None else value.strip()
    return json.dumps(value, ensure_ascii=not isinstance(value, list | dict))


def _share(key: str, seed: int) -> float:
    """Returns a number in [0, 1) that depends only on the key and the seed."""
    return int.from_bytes(sha256(f"{seed}:{key}".encode()).digest()[:8], "big") / 2**64


def _sampled(count: int, at_most: int | None, seed: int) -> Sequence[int]:
    """Returns the indices of the rows that are used."""
    if at_most is None or count <= at_most:
        return range(count)
    return sorted(random.Random(seed).sample(range(count), at_most))


def _sampled_rows(sides: _Sides, side: _Side, at_most: int | None, seed: int) -> list[Row]:
    rows = [side.rows[index] for index in _sampled(len(side.rows), at_most, seed)]
    if sides.columns.label is not None:
        for row in rows:
            row[sides.columns.label] = sides.targets.stored(row[sides.columns.label])
    return rows


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(repr(str(name)[:60]) for name in names[:8]) + more
