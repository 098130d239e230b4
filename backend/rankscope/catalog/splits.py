"""Training and evaluation rows of a data set: the same in server and worker, for as long as the file is the same."""

import random
from dataclasses import dataclass
from hashlib import sha256

from rankscope.catalog.datasets import DatasetEntry, Row
from rankscope.contract.config import DataConfig
from rankscope.contract.errors import BadInput, FieldProblem

_MAX_CLASSES = 1000


@dataclass(frozen=True)
class Split:
    train: list[Row]
    evaluation: list[Row]
    text_columns: list[str]
    label_column: str
    group_column: str | None
    labels: list[str]
    """Classes in a fixed order; a class's number is its place here."""


def split(entry: DatasetEntry, data: DataConfig) -> Split:
    """Splits by a hash of the group (or of the texts), so that a row's side does not depend on the other rows.

    Raises BadInput for a column that is not there, fewer than two classes, or a side without rows.
    """
    text_columns = _text_columns(entry, data)
    label_column = _column(entry, data.label_column or entry.label_column, "label_column")
    group_column = data.group_column or entry.group_column
    if group_column is not None:
        _column(entry, group_column, "group_column")
    if label_column in text_columns:
        raise _refuse(
            "label_column", label_column, "is a text column too: the model would see the answer", "Use another column."
        )
    train: list[Row] = []
    evaluation: list[Row] = []
    for row in entry.read():
        key = row[group_column] if group_column else "\x1f".join(row[column] for column in text_columns)
        (evaluation if _share(key, data.split_seed) < data.eval_fraction else train).append(row)
    labels = sorted({row[label_column] for row in entry.read()})
    if len(labels) < 2:
        raise _refuse(
            "label_column", label_column, f"has {len(labels)} class(es)", "Choose a column with two classes or more."
        )
    if len(labels) > _MAX_CLASSES:
        raise _refuse(
            "label_column", label_column, f"has {len(labels)} different values; at most {_MAX_CLASSES} classes work",
            "Choose the column that holds the class.",
        )  # fmt: skip
    for rows, side in ((train, "training"), (evaluation, "evaluation")):
        if not rows:
            raise _refuse(
                "eval_fraction",
                data.eval_fraction,
                f"leaves no {side} rows of {entry.rows}",
                "Change it, or use more data.",
            )
    return Split(
        _sample(train, data.max_train_rows, data.split_seed),
        _sample(evaluation, data.max_eval_rows, data.split_seed),
        text_columns,
        label_column,
        group_column,
        labels,
    )


def _text_columns(entry: DatasetEntry, data: DataConfig) -> list[str]:
    columns = list(data.text_columns or entry.text_columns)
    if not columns:
        raise _refuse(
            "text_columns", None, f"is empty, and {entry.id} has no usual text column", f"Use {_known(entry)}."
        )
    return [_column(entry, column, "text_columns") for column in columns]


def _column(entry: DatasetEntry, column: str | None, field: str) -> str:
    if column is None:
        raise _refuse(field, None, f"is empty, and {entry.id} has no usual one", f"Use {_known(entry)}.")
    if column not in entry.columns:
        raise _refuse(field, column, f"is {column!r}, which {entry.id} does not have", f"Use {_known(entry)}.")
    return column


def _known(entry: DatasetEntry) -> str:
    return f"one of its columns: {', '.join(entry.columns)}"


def _share(key: str, seed: int) -> float:
    """A number in [0, 1) that depends on key and seed alone."""
    return int.from_bytes(sha256(f"{seed}:{key}".encode()).digest()[:8], "big") / 2**64


def _sample(rows: list[Row], at_most: int | None, seed: int) -> list[Row]:
    if at_most is None or len(rows) <= at_most:
        return rows
    chosen = sorted(random.Random(seed).sample(range(len(rows)), at_most))
    return [rows[index] for index in chosen]


def _refuse(field: str, value: object, message: str, next_step: str) -> BadInput:
    return BadInput([FieldProblem(f"config.data.{field}", value, message, next_step)])
