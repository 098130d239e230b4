"""The rows of a run's split. The rows of an imported data set are read when they are used, one row group at a time."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, overload

from rankscope.catalog.data.columns import Columns
from rankscope.catalog.data.entry import DatasetEntry, Row
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.data.json_rows import json_text
from rankscope.catalog.data.row_reader import plain
from rankscope.catalog.data.splits import Split, SplitCounts, split, split_key
from rankscope.catalog.imported.counted import stored_lines
from rankscope.catalog.imported.folders import IMPORTED
from rankscope.contract.data.config import DataConfig
from rankscope.contract.imports import STORED_AS_JSON
from rankscope.contract.tasks import Task

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile


def read_split(entry: DatasetEntry, data: DataConfig, task: Task) -> Split:
    """Returns the same as `split`, but doesn't keep rows of an imported data set, and counts its split only once."""
    if not entry.id.startswith(IMPORTED):
        return split(entry, data, task)
    counts, lines = stored_lines(entry, data, task)
    return Split(
        PickedRows(entry, task, counts, lines.train),
        PickedRows(entry, task, counts, lines.evaluation),
        list(counts.text_columns),
        counts.target_column,
        counts.group_column,
        counts.labels,
        lines.eval_parts,
        entry.fingerprint,
        split_key(entry, data, task),
    )


class PickedRows(Sequence[Row]):
    """The rows with these ascending numbers, counted from 1. Each has the same form as in `Split`.

    The rows of one row group are in memory, so read them in their order. Raises BrokenFile if the file is damaged.
    """

    def __init__(self, entry: DatasetEntry, task: Task, counts: SplitCounts, numbers: Sequence[int]) -> None:
        self._entry, self._numbers, self._spellings = entry, numbers, counts.spellings
        self._task = task
        columns = Columns(counts.text_columns, counts.target_column, counts.group_column)
        self._label = columns.label
        self._used = [each for each in entry.stored_columns if each.name in columns.all()]
        self._stored = list(dict.fromkeys([*columns.text, *([columns.group] if columns.group else [])]))
        self._targets = task.targets(columns.label or "")
        self._counts = counts
        self._file: ParquetFile | None = None
        self._starts: list[int] = []
        self._rows: dict[int, Row] = {}

    def only(self, indices: Sequence[int]) -> "PickedRows":
        """Returns only these rows; the indices must be ascending."""
        numbers = [self._numbers[index] for index in indices]
        return PickedRows(self._entry, self._task, self._counts, numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self._row(number) for number in self._numbers[index]]
        return self._row(self._numbers[index])

    def __iter__(self) -> Iterator[Row]:
        return map(self._row, self._numbers)

    def _row(self, number: int) -> Row:
        if number not in self._rows:
            self._read_group_of(number)
        # Return a copy, because the caller may change the row.
        return self._rows[number].copy()

    def _read_group_of(self, number: int) -> None:
        """Reads the selected rows of the row group that contains this row."""
        # Not needed by a run whose tokens are in the cache, or whose data is a file in datasets/.
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

        try:
            if self._file is None:
                self._file = ParquetFile(self._entry.path)
                groups = (self._file.metadata.row_group(at).num_rows for at in range(self._file.num_row_groups))
                self._starts = list(accumulate(groups, initial=1))
            group = bisect_right(self._starts, number) - 1
            names = [each.stored for each in self._used]
            table = self._file.read_row_group(group, columns=names)
        except (OSError, pa.ArrowException) as error:
            raise BrokenFile(
                f"Its rows can't be read: {str(error).splitlines()[0][:300]}",
                "Restore the data folder, or import the file again.",
            ) from error
        first = bisect_right(self._numbers, self._starts[group] - 1)
        last = bisect_right(self._numbers, self._starts[group + 1] - 1)
        values = {}
        places = [each - self._starts[group] for each in self._numbers[first:last]]
        for column in self._used:
            cells: list[Any] = table.column(column.stored).take(places).to_pylist()
            is_json = column.kind in STORED_AS_JSON
            values[column.name] = [None if cell is None else json.loads(cell) for cell in cells] if is_json else cells
        rows = zip(*values.values(), strict=True) if values else (() for _ in places)
        self._rows = {
            each: self._stored_row(dict(zip(values, cells, strict=True)), each)
            for each, cells in zip(self._numbers[first:last], rows, strict=True)
        }

    def _stored_row(self, record: dict[str, Any], number: int) -> Row:
        row = {column: plain(None, record[column]) for column in self._stored}
        if self._label is not None:
            read = self._targets.read(record[self._label], json_text, number)
            if read is None or isinstance(read, str):
                raise BrokenFile(f"Row {number:,} is no longer the one that was counted.", "Import the file again.")
            row[self._label] = self._spellings.get(read[0], read[0])
        return row
