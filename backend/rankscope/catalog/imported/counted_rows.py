"""Reads what a split needs to know about each row of an imported data set, without copying its texts out of DuckDB.

The result is that of `rankscope.catalog.data.row_reader.read_rows`, in a third of the time: texts are hashed and
checked in DuckDB, and only unusual ones are passed to Python.
"""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rankscope.catalog.data.columns import Columns
from rankscope.catalog.data.entry import DatasetEntry
from rankscope.catalog.data.files import ChangedFile
from rankscope.catalog.data.json_rows import json_text
from rankscope.catalog.data.parts import Parts, Side
from rankscope.catalog.data.profiles import no_text
from rankscope.catalog.data.row_reader import CountedRow, no_side, read_rows
from rankscope.catalog.imported.parquet import file_sha256, quoted, reading
from rankscope.contract.data.config import DataConfig
from rankscope.contract.imports import STORED_AS_JSON, ColumnProfile
from rankscope.contract.tasks import Task
from rankscope.contract.tasks.targets import Targets

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH_ROWS = 8192
_IS_PLAIN = "coalesce(regexp_matches({column}, '[!-~]'), false)"
"""Whether a text has a visible ASCII character, so that it is not blank. Others are checked in Python."""
_DIGITS = 16


def count_rows(
    entry: DatasetEntry,
    columns: Columns,
    data: DataConfig,
    task: Task,
    targets: Targets,
    parts: Parts | None,
    /,
    *,
    with_hashes: bool,
    keep_rows: bool,
) -> Iterator[tuple[int, CountedRow | str | None]]:
    """A `ReadRows`. Columns of other types, and tasks that compare targets with texts, are read by `read_rows`."""
    by_name = {column.name: column for column in entry.stored_columns}
    stored = [by_name.get(name) for name in columns.all(None if parts is None else parts.column)]
    is_simple = type(targets).why_left_out is Targets.why_left_out and None not in stored and not keep_rows
    # The validation part is chosen by the hashes of `read_rows`, which are not DuckDB's.
    if is_simple and data.validation_fraction is None:
        with reading(entry.path) as database:
            found = _Query(database, entry, columns, data, parts, by_name, with_hashes=with_hashes)
            if found.are_texts():
                yield from found.rows(targets)
                if file_sha256(entry.path) != entry.fingerprint:
                    raise ChangedFile
                return
    yield from read_rows(entry, columns, data, task, targets, parts, with_hashes=with_hashes, keep_rows=keep_rows)


def threshold(share: float) -> str:
    """Returns the smallest 64-bit number n with n / 2**64 >= `share`, in hexadecimal digits.

    The division of two integers is rounded to the nearest float, so the number is searched for instead of computed.
    """
    low, high = 0, 2**64
    while low < high:
        middle = (low + high) // 2
        if middle / 2**64 < share:
            low = middle + 1
        else:
            high = middle
    return f"{low:0{_DIGITS}x}"


class _Query:
    def __init__(
        self,
        database: "DuckDBPyConnection",
        entry: DatasetEntry,
        columns: Columns,
        data: DataConfig,
        parts: Parts | None,
        by_name: dict[str, ColumnProfile],
        *,
        with_hashes: bool,
    ) -> None:
        self._database, self._columns, self._data = database, columns, data
        self._source = f"read_parquet({quoted(str(entry.path))})"
        self._texts = [by_name[name] for name in columns.text]
        self._group = None if columns.group is None else by_name[columns.group]
        self._part = None if parts is None else by_name[parts.column]
        self._sides: dict[str, Side | None] = {} if parts is None else parts.sides()
        self._part_column = "" if parts is None else parts.column
        self._target = None if columns.label is None else by_name[columns.label]
        self._with_hashes = with_hashes

    def are_texts(self) -> bool:
        """Whether texts, group and part are stored as texts."""
        used = [*self._texts, *(column for column in (self._group, self._part) if column is not None)]
        described = self._database.execute(f"DESCRIBE SELECT * FROM {self._source}").fetchall()
        types = {name: kind for name, kind, *_ in described}
        return all(types[each.stored] == "VARCHAR" and each.kind not in STORED_AS_JSON for each in used)

    def rows(self, targets: Targets) -> Iterator[tuple[int, CountedRow | str | None]]:
        is_json = self._target is not None and self._target.kind in STORED_AS_JSON
        line = 0
        found = self._database.execute(self._sql())
        while batch := found.fetchmany(_BATCH_ROWS):
            for values in batch:
                line += 1
                yield line, self._row(values, targets, line, is_json=is_json)

    def _sql(self) -> str:
        """Selects for each row: unusual texts or null, the side, the key's hash, two hashes, group, part and target."""
        texts = [each.stored for each in self._texts]
        plain = " AND ".join(_IS_PLAIN.format(column=column) for column in texts)
        unusual = f"CASE WHEN {plain} THEN NULL ELSE [{', '.join(texts)}] END"
        text = " || chr(31) || ".join(texts)
        group = None if self._group is None else f"coalesce({self._group.stored}, 'null')"
        key = group or text
        digits = f"left(sha256({quoted(f'{self._data.split_seed}:')} || {key}), {_DIGITS})"
        is_evaluated = f"{digits} < {quoted(threshold(self._data.eval_fraction))}" if self._part is None else "NULL"
        chosen = [
            unusual,
            is_evaluated,
            f"hash({key})" if self._part is None else "0",
            f"hash({text})" if self._with_hashes else "0",
            f"hash({group})" if self._with_hashes and group else "0",
            "NULL"
            if self._group is None
            else f"CASE WHEN {_IS_PLAIN.format(column=self._group.stored)} THEN NULL "
            f"ELSE coalesce({self._group.stored}, '') END",
            "NULL" if self._part is None else self._part.stored,
            "NULL" if self._target is None else self._target.stored,
        ]
        return f"SELECT {', '.join(f'{each} AS v{place}' for place, each in enumerate(chosen))} FROM {self._source}"

    def _row(self, values: tuple[Any, ...], targets: Targets, line: int, *, is_json: bool) -> CountedRow | str | None:
        unusual, is_evaluated, key, text_hash, group_hash, unusual_group, part, target = values
        side: Side | None = "evaluation" if is_evaluated else "train"
        if self._part is not None:
            part = json_text(part)
            part = part and sys.intern(part.strip())
            side = None if part is None else self._sides.get(part)
            if side is None:
                return no_side(part, self._part_column)
        if unusual is not None and any(json_text(text) is None for text in unusual):
            return no_text(self._columns.text)
        assert side is not None
        read = targets.read(json.loads(target) if is_json and target is not None else target, json_text, line)
        if read is None or isinstance(read, str):
            return read
        has_group = self._group is not None and (unusual_group is None or json_text(unusual_group) is not None)
        return CountedRow(
            side, key, text_hash, None if self._group is None else group_hash, has_group, part, read[1], None
        )
