"""Reads Parquet files with DuckDB, which may open only files in the given folder, and uses bounded memory."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.data.records import Record
from rankscope.catalog.data.tables import Table
from rankscope.contract.imports import STORED_AS_JSON, ColumnProfile

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB is imported where it is used: it takes 35 MB and a fifth of a second, and most processes read no Parquet.
_BATCH = 5000
_READERS = threading.BoundedSemaphore(4)


@contextmanager
def connection(
    folder: Path, *, also: Path | None = None, memory: str = "256MB", threads: int = 2
) -> "Iterator[DuckDBPyConnection]":
    """Opens a DuckDB in memory. It can open files in `folder` and `also` only, and loads no extensions."""
    import duckdb

    opened = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": memory,
            "threads": threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": str(folder / ".duckdb"),
            "preserve_insertion_order": True,
        },
    )
    try:
        folders = ", ".join(quoted(f"{each}/") for each in (folder, also) if each is not None)
        opened.execute(f"SET allowed_directories = [{folders}]")
        opened.execute("SET enable_external_access = false")
        opened.execute("SET lock_configuration = true")
        yield opened
    finally:
        opened.close()


def quoted(text: str) -> str:
    """Returns the text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def open_rows(path: Path, columns: Sequence[ColumnProfile], numbers: Sequence[int] | None = None) -> Iterator[Table]:
    """Opens an imported file as a table of these columns, read in batches. `numbers`: only these rows (from 1, ascending)."""
    with reading(path) as database:
        names = ", ".join(column.stored for column in columns)
        records: Iterator[tuple[int, Record]]
        if numbers is None:
            found = database.execute(f"SELECT {names} FROM read_parquet({quoted(str(path))})")
            records = _records(found, columns)
        else:
            records = _chosen(database, path, columns, numbers)
        yield Table([column.name for column in columns], None, "UTF-8", records, _Rows(path))


def _chosen(
    database: "DuckDBPyConnection", path: Path, columns: Sequence[ColumnProfile], numbers: Sequence[int]
) -> Iterator[tuple[int, Record]]:
    """Reads only the row groups between the first and the last of the rows."""
    if not numbers:
        return
    names = ", ".join(["file_row_number", *(column.stored for column in columns)])
    first, last = numbers[0] - 1, numbers[-1] - 1
    only = (
        ""
        if len(numbers) == last - first + 1
        else f" AND file_row_number IN ({', '.join(str(n - 1) for n in numbers)})"
    )
    rows = database.execute(
        f"SELECT {names} FROM read_parquet({quoted(str(path))}, file_row_number = true) "
        f"WHERE file_row_number BETWEEN {first} AND {last}{only}"
    ).fetchall()
    for number, *values in sorted(rows, key=lambda row: int(row[0])):
        yield number + 1, _record(values, columns)


def read_page(
    path: Path,
    columns: Sequence[ColumnProfile],
    *,
    offset: int,
    limit: int,
    where: tuple[ColumnProfile, str | None] | None = None,
) -> list[tuple[int, Record]]:
    """Returns rows with their numbers from 1. `where`: only rows with this value in the column; None is a missing one.

    Only the row groups that contain the page are read. With `where`, its column is read up to the end of the page.
    """
    source = f"read_parquet({quoted(str(path))}, file_row_number = true)"
    names = ", ".join(column.stored for column in columns)
    with _READERS, reading(path) as database:
        values: list[str] = []
        first, last, only = offset, offset + limit - 1, ""
        if where is not None:
            condition, values = _condition(*where)
            query = f"SELECT file_row_number FROM {source} WHERE {condition} LIMIT {limit} OFFSET {offset}"
            numbers = [number for (number,) in database.execute(query, values).fetchall()]
            if not numbers:
                return []
            # All matching rows between these are on the page.
            first, last, only = min(numbers), max(numbers), f" AND {condition}"
        rows = f"file_row_number BETWEEN {first} AND {last}{only}"
        page = database.execute(f"SELECT file_row_number, {names} FROM {source} WHERE {rows}", values).fetchall()
    page.sort(key=lambda row: row[0])
    return [(row[0] + 1, _record(row[1:], columns)) for row in page]


def count_rows(path: Path, column: ColumnProfile, value: str | None) -> int:
    """Returns the number of rows with this value in the column."""
    condition, values = _condition(column, value)
    with _READERS, reading(path) as database:
        query = f"SELECT count(*) FROM read_parquet({quoted(str(path))}) WHERE {condition}"
        found = database.execute(query, values).fetchone()
    return int(found[0]) if found else 0


def _condition(column: ColumnProfile, value: str | None) -> tuple[str, list[str]]:
    name = column.stored
    if value is None:
        return f"{name} IS NULL", []
    return (f"{name} = ?" if column.kind == "text" else f"CAST({name} AS VARCHAR) = ?"), [value]


@contextmanager
def reading(path: Path) -> "Iterator[DuckDBPyConnection]":
    import duckdb

    if path.is_symlink() or not path.is_file():
        raise BrokenFile("Its rows are missing from the data folder.", "Restore the data folder, or import it again.")
    try:
        with connection(path.parent) as database:
            yield database
    except duckdb.Error as error:
        raise BrokenFile(
            f"Its rows can't be read: {str(error).splitlines()[0][:300]}",
            "Restore the data folder, or import the file again.",
        ) from error


def _records(found: "DuckDBPyConnection", columns: Sequence[ColumnProfile]) -> Iterator[tuple[int, Record]]:
    names = [column.name for column in columns]
    is_plain = all(column.kind not in STORED_AS_JSON for column in columns)
    number = 0
    while rows := found.fetchmany(_BATCH):
        for row in rows:
            number += 1
            yield number, dict(zip(names, row, strict=True)) if is_plain else _record(row, columns)


def _record(row: Sequence[Any], columns: Sequence[ColumnProfile]) -> Record:
    """Lists and objects are stored as JSON."""
    return {
        column.name: json.loads(value) if column.kind in STORED_AS_JSON and value is not None else value
        for column, value in zip(columns, row, strict=True)
    }


class _Rows:
    """What a table needs to know about its file."""

    bytes_read = 0

    def __init__(self, path: Path) -> None:
        self._path = path

    def fingerprint(self) -> str:
        """Returns the SHA-256 of the file."""
        return file_sha256(self._path)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
