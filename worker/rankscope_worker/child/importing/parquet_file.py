"""Writes the rows of a query to a Parquet file, and collects the facts for each column's profile in the same pass.

DuckDB's own COPY takes more processor time than this, and the file would have to be read again for the profile.
"""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BATCH_ROWS = 2048
"""Rows that DuckDB returns at a time."""
_GROUP_ROWS = 20_480
"""Rows in a row group. Showing a page of rows reads one group."""
_GROUP_BYTES = 64 << 20
_PENDING = 3
_HASHES_KEPT = 4096
_SHORT = 1 << 16
_FEW = 1000
_PRIME = np.uint64(0x9E3779B97F4A7C15)

Hashes = npt.NDArray[np.uint64]


class Distinct:
    """Counts different values by the smallest of their hashes: exactly up to 4,095, and with an error of 2 % above."""

    def __init__(self) -> None:
        self._smallest: Hashes = np.empty(0, np.uint64)

    def add(self, values: pa.Array) -> None:
        """Adds hashes, of the type uint64."""
        if len(self._smallest) == _HASHES_KEPT:
            hashes = _numbers(values)
            hashes = hashes[hashes < self._smallest[-1]]
        else:
            hashes = _numbers(pc.unique(values))  # faster than sorting a few values that repeat
        if len(hashes):
            self._smallest = np.unique(np.concatenate([self._smallest, hashes]))[:_HASHES_KEPT]

    @property
    def count(self) -> int:
        if len(self._smallest) < _HASHES_KEPT:
            return len(self._smallest)
        return round((_HASHES_KEPT - 1) * 2.0**64 / float(self._smallest[-1]))


class Lengths:
    """Counts texts by their length in characters."""

    def __init__(self) -> None:
        self._short = np.zeros(0, np.int64)
        self._long: Counter[int] = Counter()

    def add(self, lengths: npt.NDArray[np.int64]) -> None:
        is_long = lengths >= _SHORT
        if is_long.any():
            self._long.update(lengths[is_long].tolist())
            lengths = lengths[~is_long]
        counts = np.bincount(lengths, minlength=len(self._short))
        counts[: len(self._short)] += self._short
        self._short = counts

    def counts(self) -> dict[int, int]:
        """Returns the number of texts of each length."""
        (lengths,) = self._short.nonzero()
        return {int(length): int(self._short[length]) for length in lengths} | dict(self._long)


@dataclass
class ColumnFacts:
    missing: int = 0
    distinct: Distinct = field(default_factory=Distinct)
    lengths: Lengths = field(default_factory=Lengths)
    """Empty for a column that is stored as numbers."""


@dataclass
class RowFacts:
    rows: int
    columns: list[ColumnFacts]
    duplicates: int
    """Rows that are equal to an earlier one in every column."""


class TooManyRows(Exception):
    """There are more rows than an import may have."""


def write_parquet_file(
    database: duckdb.DuckDBPyConnection,
    query: str,
    n_columns: int,
    target: Path,
    work: Path,
    max_rows: int,
    batch_rows: int = BATCH_ROWS,
) -> RowFacts:
    """Writes the columns c0, c1, ... of the query in its order. `work`: a folder for scratch files. `batch_rows` bounds
    the memory of long rows.

    Raises TooManyRows or duckdb.Error.
    """
    names = [f"c{place}" for place in range(n_columns)]
    hashes = ", ".join(f"hash({name}) AS {name}_hash" for name in names)
    reader = database.sql(f"SELECT {', '.join(names)}, {hashes} FROM ({query})").to_arrow_reader(batch_rows)
    facts, rows = [ColumnFacts() for _ in names], 0
    row_hashes = work / "row-hashes"
    with (
        row_hashes.open("wb") as hash_file,
        _Writer(target, pa.schema([reader.schema.field(name) for name in names])) as writer,
    ):
        for group in _read_ahead(_groups(reader)):
            rows += len(group)
            if rows > max_rows:
                raise TooManyRows
            of_rows = np.zeros(len(group), np.uint64)
            for name, column in zip(names, facts, strict=True):
                of_column = _add(column, group.column(name), group.column(f"{name}_hash"))
                of_rows *= _PRIME
                of_rows += of_column
            of_rows.tofile(hash_file)
            # Looking for repetitions isn't worth it for texts that hardly repeat.
            few = [name for name, column in zip(names, facts, strict=True) if column.distinct.count <= _FEW]
            writer.write(group.select(names), few)
    return RowFacts(rows, facts, _duplicates(row_hashes, rows))


class _Writer:
    """Compresses and writes groups of rows while the next ones are read. Use it as a context manager."""

    def __init__(self, target: Path, schema: pa.Schema) -> None:
        self._target, self._schema = target, schema
        self._thread = ThreadPoolExecutor(1, "parquet")
        self._pending: deque[Future[None]] = deque()
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._wait_until_pending(0)
        finally:
            self._thread.shutdown()
            self._opened([]).close()

    def write(self, table: pa.Table, repeating: list[str]) -> None:
        """Writes the table as one row group, after the one before it. `repeating`: columns with few distinct values."""
        self._wait_until_pending(_PENDING - 1)
        self._pending.append(self._thread.submit(self._opened(repeating).write_table, table))

    def _wait_until_pending(self, at_most: int) -> None:
        while len(self._pending) > at_most:
            self._pending.popleft().result()

    def _opened(self, repeating: list[str]) -> pq.ParquetWriter:
        if self._file is None:
            self._file = pq.ParquetWriter(
                self._target, self._schema, compression="snappy", use_dictionary=repeating, write_statistics=False
            )
        return self._file


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yields the batches. Arrow raises a DuckDB error as an OSError, which is converted back."""
    while True:
        try:
            yield reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            kind = duckdb.OutOfMemoryException if str(error).startswith("Out of Memory") else duckdb.Error
            raise kind(str(error)) from error


def _groups(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Yields the rows in groups of bounded size."""
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in _batches(reader):
        batches.append(batch)
        rows += len(batch)
        size += batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(batches)
            batches, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(batches)


def _read_ahead(groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Reads the next group while the current one is used."""
    with ThreadPoolExecutor(1, "reader") as thread:
        coming = thread.submit(next, groups, None)
        while (group := coming.result()) is not None:
            coming = thread.submit(next, groups, None)
            yield group


def _add(facts: ColumnFacts, values: pa.ChunkedArray, hashes: pa.ChunkedArray) -> Hashes:
    """Adds a column's values to its facts, and returns their hashes."""
    found = hashes.combine_chunks()
    facts.missing += values.null_count
    facts.distinct.add(found.filter(values.is_valid().combine_chunks()) if values.null_count else found)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        texts = values.drop_null()
        count = pc.binary_length if pc.all(pc.string_is_ascii(texts)).as_py() else pc.utf8_length
        facts.lengths.add(_numbers(count(texts).combine_chunks()).astype(np.int64))
    return _numbers(found)


def _numbers(values: pa.Array) -> npt.NDArray[Any]:
    """Returns the values without a copy. Arrow's own `to_numpy` imports pandas, which takes half a second."""
    return np.from_dlpack(values)


def _duplicates(path: Path, rows: int) -> int:
    if not rows:
        return 0
    hashes = np.memmap(path, np.uint64, mode="r+")
    hashes.sort()
    return int((hashes[1:] == hashes[:-1]).sum())
