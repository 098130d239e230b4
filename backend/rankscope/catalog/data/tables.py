"""Streams the rows of CSV and JSON lines files, each with its line number.

A file with a broken structure is rejected with the line number. A missing value is None, and not an error.
"""

import bz2
import csv
import io
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rankscope.catalog.data.csv_rows import csv_header, csv_records, csv_text
from rankscope.catalog.data.files import JSON_LINES, BrokenFile, check_content, opened
from rankscope.catalog.data.json_rows import json_records, json_text
from rankscope.catalog.data.lines import Lines, check_bytes
from rankscope.catalog.data.records import Record

_BOMS = (
    (BOM_UTF8, "utf-8-sig", "UTF-8"),
    (BOM_UTF32_LE, "utf-32", "UTF-32"),
    (BOM_UTF32_BE, "utf-32", "UTF-32"),
    (BOM_UTF16_LE, "utf-16", "UTF-16"),
    (BOM_UTF16_BE, "utf-16", "UTF-16"),
)


class Source(Protocol):
    """The file of a table."""

    @property
    def bytes_read(self) -> int: ...

    def fingerprint(self) -> str: ...


@dataclass
class Table:
    """An open file with rows. `records` can be iterated once."""

    columns: list[str]
    """For a JSON lines file, those of the records that have been read so far."""
    separator: str | None
    encoding: str
    records: Iterator[tuple[int, Record]]
    """(line, column -> value)."""
    _file: Source

    @property
    def text(self) -> Callable[[object], str | None]:
        """Converts a value to text, or to None if it is missing. Raises NotText for a list or an object."""
        return json_text if self.separator is None else csv_text

    @property
    def bytes_read(self) -> int:
        return self._file.bytes_read

    def fingerprint(self) -> str:
        """Returns the SHA-256 of the complete file, after reading the rest of it."""
        return self._file.fingerprint()


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Opens a .csv, .tsv or .jsonl file. Raises BrokenFile, here or while the records are read, if it is damaged."""
    with opened(path) as file:
        check_content(file)
        codec, encoding = next(
            ((codec, name) for bom, codec, name in _BOMS if file.head.startswith(bom)), ("utf-8", "UTF-8")
        )
        is_json = path.suffix.lower() in JSON_LINES
        if codec == "utf-8":
            check_bytes(file.head)
        lines = Lines(file, path, codec, newline=None if is_json else "")
        if is_json:
            columns: dict[str, None] = {}
            table = Table([], None, encoding, iter(()), file)
            table.records = json_records(lines, columns, table.columns)
        else:
            separator, names, reader = csv_header(lines, file.head.decode(codec, "ignore"), path)
            table = Table(names, separator, encoding, csv_records(lines, names, reader, separator), file)
        yield table


@contextmanager
def open_rotten_tomatoes(path: Path) -> Iterator[Table]:
    """Opens the demo's reviews, from the file in the package that contains them."""
    with opened(path) as file, bz2.open(io.BufferedReader(file), "rt", encoding="utf-8", newline="") as text:
        yield Table(["text", "category", "movie_name"], ",", "UTF-8", _rotten_tomatoes(text), file)


def _rotten_tomatoes(text: io.TextIOWrapper) -> Iterator[tuple[int, Record]]:
    """Yields reviews only, without missing and repeated texts."""
    seen: set[str] = set()
    reader = csv.DictReader(text)
    try:
        for row in reader:
            review = row["text"].strip()
            if row["category"] == "plot" or not review or review in seen:
                continue
            seen.add(review)
            yield (
                reader.line_num,
                {"text": review, "category": row["category"].strip(), "movie_name": row["movie_name"].strip()},
            )
    except (ValueError, KeyError, EOFError, AttributeError, csv.Error) as error:
        raise BrokenFile("The package that contains it is damaged.", "Install requirements-demo.txt again.") from error
