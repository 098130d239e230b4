"""RowReader: reads each row of a table as a task uses it, and assigns it to a side of the split."""

import json
from collections.abc import Hashable, Iterator, Mapping
from hashlib import blake2b, sha256
from typing import NamedTuple, Protocol

from rankscope.catalog.data.columns import Columns
from rankscope.catalog.data.entry import DatasetEntry, Row
from rankscope.catalog.data.files import ChangedFile
from rankscope.catalog.data.parts import Parts, Side
from rankscope.catalog.data.profiles import no_text
from rankscope.catalog.data.records import NotText, Record
from rankscope.catalog.data.tables import Table
from rankscope.catalog.data.used_columns import nested
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import Task
from rankscope.contract.tasks.targets import Targets


class UsedRow(NamedTuple):
    side: Side
    text: str
    """All texts of the row, joined."""
    group: str | None
    """The value of the group column, also if it is missing; None without a group column."""
    has_group: bool
    part: str | None
    """None if the data set's parts are not used."""
    target: str
    target_group: int
    """See Targets.read."""


class CountedRow(NamedTuple):
    """What a split needs to know about a row."""

    side: Side
    key: Hashable
    """The number that determines the side: equal for the same text, or the same group."""
    text_hash: int
    group_hash: int | None
    """None without a group column. Both hashes are 0 unless they are requested."""
    has_group: bool
    part: str | None
    target_group: int
    row: Row | None
    """As in `Split`, with the target that `Targets.read` returned; None unless rows are kept."""


class ReadRows(Protocol):
    """Reads all rows of a data set in their order. Raises BrokenFile, BadInput or BadTarget."""

    def __call__(
        self,
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
        """Yields the line of each row with the result of `RowReader.read`."""
        ...


def read_rows(
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
    with entry.open(columns.all(None if parts is None else parts.column)) as table:
        reader = RowReader(table, columns, data, task, targets, parts)
        for line, record in table.records:
            row = reader.read(line, record)
            if row is None or isinstance(row, str):
                yield line, row
                continue
            yield (
                line,
                CountedRow(
                    side=row.side,
                    key=row.text if row.group is None else row.group,
                    text_hash=text_hash(row.text) if with_hashes else 0,
                    group_hash=None if row.group is None else text_hash(row.group) if with_hashes else 0,
                    has_group=row.has_group,
                    part=row.part,
                    target_group=row.target_group,
                    row=reader.stored(record, row.target) if keep_rows else None,
                ),
            )
        if table.fingerprint() != entry.fingerprint:
            raise ChangedFile


def text_hash(text: str) -> int:
    """Returns eight bytes of a hash. Among a million texts, the probability of a collision is 3e-8."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


class RowReader:
    def __init__(
        self, table: Table, columns: Columns, data: DataConfig, task: Task, targets: Targets, parts: Parts | None
    ) -> None:
        self._table, self._columns, self._data, self._task, self._targets = table, columns, data, task, targets
        self._parts_column = None if parts is None else parts.column
        self._sides: Mapping[str, Side | None] = parts.sides() if parts else {}
        # Besides the target.
        self._used = list(dict.fromkeys([*columns.text, *([columns.group] if columns.group else [])]))

    def read(self, line: int, record: Record) -> UsedRow | str | None:
        """Returns the row; the reason if it is left out; None if its target makes the column unusable.

        The latter is reported by `Targets.finish`. Raises BadInput or BadTarget.
        """
        columns, text_of = self._columns, self._table.text
        try:
            side: Side | None = None
            part: str | None = None
            if self._parts_column is not None:
                # Checked first: targets of an unused part may have another form, such as -1 in a test part.
                part = text_of(record.get(self._parts_column))
                part = part and part.strip()
                side = None if part is None else self._sides.get(part)
                if side is None:
                    return no_side(part, str(self._parts_column))
            read = [self._task.read_text(record.get(column), text_of) for column in columns.text]
            group = columns.group and text_of(record.get(columns.group))
            texts = [text for text in read if text is not None]
            if len(texts) < len(read):
                return no_text(columns.text)
            target = self._targets.read(columns.label and record.get(columns.label), text_of, line)
        except NotText:
            with_target = not self._targets.accepts_lists
            raise nested(record, columns, self._task, line, with_target=with_target) from None
        if isinstance(target, tuple):
            target = self._targets.why_left_out(target[0], texts) or target
        if target is None or isinstance(target, str):
            return target
        text = "\x1f".join(texts)
        key = plain(self._table.separator, record.get(columns.group)) if columns.group else None
        if side is None:
            share = _share(text if key is None else key, self._data.split_seed)
            side = "evaluation" if share < self._data.eval_fraction else "train"
        return UsedRow(side, text, key, group is not None, part, *target)

    def stored(self, record: Record, target: str) -> Row:
        """Returns the used columns of a row as texts, with the text of its target that `read` returned."""
        row = {column: plain(self._table.separator, record.get(column)) for column in self._used}
        if self._columns.label is not None:
            row[self._columns.label] = target
        return row


def no_side(part: str | None, column: str) -> str:
    """Returns the reason for leaving out a row whose part has no side."""
    if part is None:
        return f"no part in column {column!r}"
    return f"part {part[:60]!r} in column {column!r}, which is not used"


def plain(separator: str | None, value: object) -> str:
    """Converts a value to text, including a missing one: rows without a group form one group."""
    if isinstance(value, str):
        return value if separator is None else value.strip()
    return json.dumps(value, ensure_ascii=not isinstance(value, list | dict))


def _share(key: str, seed: int) -> float:
    """Returns a number in [0, 1) that depends only on the key and the seed."""
    return int.from_bytes(sha256(f"{seed}:{key}".encode()).digest()[:8], "big") / 2**64
