"""Individual rows of a data set as a run uses them, without reading the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankscope.catalog.data.columns import Columns
from rankscope.catalog.data.entry import DatasetEntry, Row
from rankscope.catalog.data.parts import Parts, Side
from rankscope.catalog.data.row_reader import RowReader
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import Task


@dataclass(frozen=True)
class SingleRow:
    number: int
    """From 1, counting all rows of the data set."""
    line: int
    side: Side | None
    """None if the row is left out."""
    left_out: str | None
    """The reason."""
    row: Row | None
    """As in `Split`."""


def read_single_rows(
    entry: DatasetEntry,
    columns: Columns,
    data: DataConfig,
    task: Task,
    parts: Parts | None,
    spellings: Mapping[str, str],
    numbers: Sequence[int],
) -> list[SingleRow]:
    """Returns the rows with these numbers, in ascending order. `parts` and `spellings` are those of the counted split.

    Whether a row is dropped by `max_train_rows`, `max_eval_rows` or `drop_equal_texts` depends on all rows: unknown.
    """
    targets = task.targets(columns.label or "")
    found = []
    with entry.pick(columns.all(None if parts is None else parts.column), numbers) as table:
        reader = RowReader(table, columns, data, task, targets, parts)
        for number, (line, record) in zip(numbers, table.records, strict=False):
            row = reader.read(line, record)
            if row is None or isinstance(row, str):
                found.append(SingleRow(number, line, None, row or "a target that can't be used", None))
                continue
            target = spellings.get(row.target, row.target)
            found.append(SingleRow(number, line, row.side, None, reader.stored(record, target)))
    return found
