"""The columns of a data set that a run uses, and their problems."""

from rankscope.catalog.data.columns import Columns, find_column
from rankscope.catalog.data.entry import DatasetEntry
from rankscope.catalog.data.records import Record
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.tasks import Task
from rankscope.contract.tasks.task import UsualColumns


def columns_of(entry: DatasetEntry, data: DataConfig, task: Task) -> Columns:
    text_field, target_field = at(task.text_field), at(task.target_field)
    usual = task.usual_columns(entry.columns) or UsualColumns()
    texts = list(task.texts or usual.texts or entry.text_columns)
    if not texts:
        raise problem(
            text_field,
            None,
            f"is empty, and {entry.id} has no column that is clearly the text",
            f"Use {known_columns(entry)}.",
        )
    text = tuple(_column(entry, column, text_field) for column in texts)
    if len(set(text)) < len(text):
        raise problem(text_field, list(text), f"contains {text[0]!r} twice", "Use two different columns, or one.")
    wanted = task.target or usual.target or entry.target_column
    if not task.has_target:
        label = None
    elif wanted is None:
        raise problem(
            target_field,
            None,
            f"is empty, and {entry.id} has no column with a usual name for the label",
            f"Use {known_columns(entry)}.",
        )
    else:
        label = _column(entry, wanted, target_field)
    if label in text:
        raise problem(
            target_field,
            label,
            f"is {label!r}, which is also a text column: the model would see the answer",
            "Use another column.",
        )
    group = data.group_column or entry.group_column
    return Columns(text, label, None if group is None else _column(entry, group, "data.group_column"))


def _column(entry: DatasetEntry, column: str, field: str) -> str:
    found = find_column(entry.columns, column)
    if found is None:
        raise problem(field, column, f"is {column!r}, which {entry.id} does not have", f"Use {known_columns(entry)}.")
    return found


def known_columns(entry: DatasetEntry) -> str:
    more = f" and {len(entry.columns) - 30} more" if len(entry.columns) > 30 else ""
    return f"one of its columns: {', '.join(column[:100] for column in entry.columns[:30])}{more}"


def nested(record: Record, columns: Columns, task: Task, line: int, *, with_target: bool) -> BadInput:
    """Returns the error about the column that contains a list or an object."""
    used = [(at(task.target_field), columns.label if with_target else None), ("data.group_column", columns.group)]
    used += [(at(task.text_field), column) for column in columns.text]
    field, column = next((field, name) for field, name in used if name and isinstance(record.get(name), list | dict))
    return problem(
        field,
        column,
        f"is {column!r}, which contains a list or an object on line {line}",
        "Use another column, or replace the value with a single text or number.",
    )


def at(option: str) -> str:
    """Returns the field's path for an option of the task."""
    return f"task.{option}"


def problem(field: str, value: object, message: str, next_step: str) -> BadInput:
    return BadInput([FieldProblem(f"config.{field}", value, message, next_step)])
