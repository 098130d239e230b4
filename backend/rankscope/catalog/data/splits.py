"""The split of a data set into training and evaluation rows: the same in server and worker while the file is unchanged."""

import random
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import compress

from rankscope.catalog.data.columns import Columns
from rankscope.catalog.data.entry import DatasetEntry, Row
from rankscope.catalog.data.equal_texts import (
    EqualTexts,
    NotedTexts,
    chosen,
    count_common,
    count_different,
    find_equal_texts,
    is_in,
)
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.data.left_out import LeftOut, LeftOutCounter
from rankscope.catalog.data.parts import Parts, find_parts
from rankscope.catalog.data.profiles import no_text
from rankscope.catalog.data.row_reader import CountedRow, ReadRows, read_rows
from rankscope.catalog.data.used_columns import at, columns_of, problem
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.tasks import Task
from rankscope.contract.tasks.targets import BadTarget, ClassRows, Targets


@dataclass(frozen=True)
class Split:
    train: Sequence[Row]
    evaluation: Sequence[Row]
    """Each row has only the columns that are used."""
    text_columns: list[str]
    target_column: str | None
    """None for a task without targets."""
    group_column: str | None
    labels: list[str]
    """Classes in a fixed order; a class's number is its index in this list. Empty if the targets are not classes."""
    eval_parts: list[str] = field(default_factory=list)
    """The part of each evaluation row; empty if the data set's parts are not used."""
    fingerprint: str = field(default="", compare=False)
    """SHA-256 of the data set's file."""
    key: str = field(default="", compare=False)
    """The same for the same rows of the same file, also in another process. Empty: unknown."""


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
    spellings: Mapping[str, str]
    """The label of each class that is also spelled in another way, by that spelling."""
    parts: Parts | None
    """None if a share of the rows is split off."""
    groups: "GroupCounts | None"
    """None without a group column."""
    equal_texts: EqualTexts


@dataclass(frozen=True)
class GroupCounts:
    """The number of groups on each side."""

    train: int
    evaluation: int
    both: int
    """Groups on both sides; possible only with parts."""


@dataclass(frozen=True)
class UsedLines:
    """The lines of the rows that a split uses, in their order."""

    train: "array[int]"
    evaluation: "array[int]"
    eval_parts: list[str]
    """As in `Split`."""


_METHOD = 2
"""Increment it when the way in which rows are split or counted changes."""
EQUAL_TEXT = "a text that an evaluation row has too"
"""Why a training row is left out with drop_equal_texts."""


@dataclass
class _Side:
    groups: "array[int]" = field(default_factory=lambda: array("H"))
    """The group of each row's target (see Targets.read)."""
    rows: list[Row] = field(default_factory=list)
    """Empty if only counts are needed."""
    parts: list[str] = field(default_factory=list)
    """The part of each of these rows, if the data set's parts are used."""
    lines: "array[int]" = field(default_factory=lambda: array("L"))
    texts: "array[int]" = field(default_factory=lambda: array("Q"))
    """A hash of each row's text; empty, as the next one, if equal texts can't be on both sides."""
    keys: "array[int]" = field(default_factory=lambda: array("Q"))
    """A hash of each row's group, if there is a group column."""

    def add(self, line: int, row: CountedRow, *, with_hashes: bool) -> None:
        self.lines.append(line)
        self.groups.append(row.target_group)
        if row.row is not None:
            self.rows.append(row.row)
        if row.part is not None:
            self.parts.append(row.part)
        if with_hashes:
            self.texts.append(row.text_hash)
            if row.group_hash is not None:
                self.keys.append(row.group_hash)

    def keep(self, are_kept: Sequence[bool]) -> None:
        """Removes the rows that are not kept."""
        self.groups, self.lines, self.texts, self.keys = (
            array(values.typecode, compress(values, are_kept))
            for values in (self.groups, self.lines, self.texts, self.keys)
        )
        self.rows = list(compress(self.rows, are_kept))
        self.parts = list(compress(self.parts, are_kept))

    def noted(self, indices: Sequence[int]) -> NotedTexts:
        return NotedTexts(chosen(self.texts, indices), chosen(self.lines, indices))


@dataclass(frozen=True)
class _Sides:
    """The complete data set, split, before rows are sampled."""

    columns: Columns
    train: _Side
    evaluation: _Side
    targets: Targets
    left_out: LeftOutCounter
    no_group: int
    parts: Parts | None


def split(entry: DatasetEntry, data: DataConfig, task: Task) -> Split:
    """Splits the rows by a hash of the group (or of the texts), so that a row's side does not depend on other rows, or by
    the parts that the data set names.

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
        _sampled_parts(sides.evaluation, data.max_eval_rows, data.split_seed),
        entry.fingerprint,
        split_key(entry, data, task),
    )


def split_key(entry: DatasetEntry, data: DataConfig, task: Task) -> str:
    """Returns a key that identifies a split by its rows, their columns and the task's options."""
    options = data.model_copy(update={"id": entry.id}).model_dump_json()
    return sha256(f"{_METHOD} {entry.fingerprint} {options} {task.model_dump_json()}".encode()).hexdigest()[:32]


def count_split(entry: DatasetEntry, data: DataConfig, task: Task) -> SplitCounts:
    """Returns the counts of the same split. Reads the file without keeping its rows."""
    return number_split(entry, data, task)[0]


def number_split(
    entry: DatasetEntry, data: DataConfig, task: Task, read: ReadRows = read_rows
) -> tuple[SplitCounts, UsedLines]:
    """Returns the counts of the same split, and the lines of its rows."""
    sides = _divide(entry, data, task, keep_rows=False, read=read)
    columns = sides.columns
    used = (
        _sampled(len(sides.train.groups), data.max_train_rows, data.split_seed),
        _sampled(len(sides.evaluation.groups), data.max_eval_rows, data.split_seed),
    )
    train, evaluation = (
        Counter(side.groups[index] for index in indices)
        for side, indices in zip((sides.train, sides.evaluation), used, strict=True)
    )
    warnings = sides.targets.warnings(train, evaluation)
    if sides.no_group:
        warnings.append(f"{sides.no_group:,} rows have no {columns.group!r}; they are treated as one group.")
    train_keys, eval_keys = chosen(sides.train.keys, used[0]), chosen(sides.evaluation.keys, used[1])
    counts = SplitCounts(
        columns.text,
        columns.label,
        columns.group,
        train.total(),
        evaluation.total(),
        sides.targets.labels,
        sides.targets.class_rows(train, evaluation),
        sides.left_out.all(),
        tuple(warnings),
        sides.targets.spellings,
        sides.parts,
        GroupCounts(count_different(train_keys), count_different(eval_keys), count_common(train_keys, eval_keys))
        if columns.group
        else None,
        find_equal_texts(entry, columns, sides.train.noted(used[0]), sides.evaluation.noted(used[1])),
    )
    lines = UsedLines(
        chosen(sides.train.lines, used[0]),
        chosen(sides.evaluation.lines, used[1]),
        _sampled_parts(sides.evaluation, data.max_eval_rows, data.split_seed),
    )
    return counts, lines


def _divide(
    entry: DatasetEntry, data: DataConfig, task: Task, *, keep_rows: bool, read: ReadRows = read_rows
) -> _Sides:
    columns = columns_of(entry, data, task)
    targets = task.targets(columns.label or "")
    train, evaluation, left_out = _Side(), _Side(), LeftOutCounter()
    no_group, is_one_text, first_key = 0, True, None
    parts = None
    try:
        if data.split == "parts":
            parts = find_parts(entry, data)
        # In a split by text, equal texts are on the same side.
        is_noted = (columns.group is not None or parts is not None) and (data.drop_equal_texts or not keep_rows)
        is_noted |= data.validation_fraction is not None
        rows = read(entry, columns, data, task, targets, parts, with_hashes=is_noted, keep_rows=keep_rows)
        for line, row in rows:
            if isinstance(row, str):
                left_out.add(row, line)
            if row is None or isinstance(row, str):
                continue
            no_group += columns.group is not None and not row.has_group
            first_key = row.key if first_key is None else first_key
            is_one_text = is_one_text and row.key == first_key
            side = evaluation if row.side == "evaluation" else train
            if data.validation_fraction is not None:
                if side is evaluation:
                    continue
                is_validation = _validation_share(row, data.split_seed) < data.validation_fraction
                side = evaluation if is_validation else train
            side.add(line, row, with_hashes=is_noted)
        if not train.groups and not evaluation.groups and left_out.all():
            raise _nothing_left(columns, task, left_out)
        targets.finish()
    except BadTarget as error:
        raise problem(at(task.target_field), columns.label, error.message, error.next_step) from error
    except BrokenFile as error:
        raise entry.refusal(f"which cannot be used. {error.problem}", error.next_step) from error
    except FileNotFoundError as error:
        raise entry.refusal("which has just been removed", "Restore the file, or use another data set.") from error
    if data.drop_equal_texts and is_noted:
        dropped = is_in(train.texts, evaluation.texts)
        for index in dropped.nonzero()[0]:
            left_out.add(EQUAL_TEXT, train.lines[index])
        if dropped.any():
            train.keep((~dropped).tolist())
    _check_sides(data, task, columns, train, evaluation, parts, is_one_text)
    return _Sides(columns, train, evaluation, targets, left_out, no_group, parts)


def _validation_share(row: CountedRow, seed: int) -> float:
    """Returns a number in [0, 1) that depends only on the row's group, or on its texts, and the seed."""
    key = row.text_hash if row.group_hash is None else row.group_hash
    return int.from_bytes(sha256(f"{seed}:validation:{key}".encode()).digest()[:8], "big") / 2**64


def _nothing_left(columns: Columns, task: Task, left_out: LeftOutCounter) -> BadInput:
    """Returns the error about the column that is empty in all or most rows."""
    most = max(left_out.all(), key=lambda each: each.rows)
    field, column = at(task.target_field), columns.label
    if most.reason == no_text(columns.text) or column is None:
        field, column = at(task.text_field), " and ".join(columns.text)
    every = sum(each.rows for each in left_out.all())
    return problem(
        field,
        column,
        f"is {column!r}, which leaves no rows: {most.rows:,} of {every:,} have {most.reason}",
        "Use another column.",
    )


def _check_sides(
    data: DataConfig,
    task: Task,
    columns: Columns,
    train: _Side,
    evaluation: _Side,
    parts: Parts | None,
    is_one_text: bool,
) -> None:
    rows = len(train.groups) + len(evaluation.groups)
    for side, name in ((train, "training"), (evaluation, "evaluation")):
        if side.groups:
            continue
        if parts is not None:
            names = " and ".join(map(repr, parts.names("train" if side is train else "evaluation")))
            fault = "has a text that the evaluation rows lack" if data.drop_equal_texts else "can be used"
            raise problem(
                "data.split_column",
                parts.column,
                f"is {parts.column!r}, and no row of its {name} part ({names}) {fault}",
                "Choose other parts, or set data.split to share.",
            )
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
            f"is {data.eval_fraction:g}, which leaves no {name} rows out of {rows:,}"
            + (f" in groups by {columns.group!r}" if columns.group else ""),
            f"Change it, {'choose another group_column, ' if columns.group else ''}or use more data.",
        )


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


def _sampled_parts(side: _Side, at_most: int | None, seed: int) -> list[str]:
    return [side.parts[index] for index in _sampled(len(side.parts), at_most, seed)]
