"""Rows of CSV and TSV files."""

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rankscope.catalog.data.column_names import FIX, check_names
from rankscope.catalog.data.files import HEAD, BrokenFile
from rankscope.catalog.data.lines import Lines
from rankscope.catalog.data.records import Record

Fields = Iterator[list[str]]
_LONGEST_VALUE = 1 << 24
_SAMPLE_LINES = 20
# How programs write a missing value to a CSV file. Words that may be a class, such as None or N/A, are not included.
CSV_MISSING = frozenset({"", "NaN", "nan", "null", "NULL", "<NA>", "#N/A"})
_SEPARATORS = (",", ";", "\t", "|")
_SPOKEN = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
csv.field_size_limit(_LONGEST_VALUE)


def csv_text(value: object) -> str | None:
    text = str(value).strip()
    return None if text in CSV_MISSING else text


def csv_header(
    lines: Lines, head: str, path: Path, given: str | None = None
) -> tuple[str, list[str], Iterator[list[str]]]:
    """Returns separator, column names and the reader of the rows. `given`: the separator, if it is not to be detected."""
    if _is_json(head):
        raise BrokenFile(
            "The content is JSON, but the file name says that it is a table.", "Rename the file to .jsonl."
        )
    separator, skip = _separator(head, path)
    separator = given or separator
    lines.separator = separator
    reader = csv.reader(lines, delimiter=separator)
    try:
        for _ in range(skip):
            next(iter(lines))
        header = next((fields for fields in reader if any(field.strip() for field in fields)), None)
    except csv.Error as error:
        raise BrokenFile(f"Line {lines.number}: {_csv_error(error)}.", FIX) from error
    if header is None:
        raise BrokenFile("It contains only empty lines.", "Copy the file again, or remove it.")
    names = [name.strip() or f"column {number}" for number, name in enumerate(header, start=1)]
    check_names(names)
    return separator, names, reader


def _is_json(head: str) -> bool:
    """Whether the first line is a JSON object or list, or the start of one."""
    first = head.lstrip("\ufeff \r\n\t").partition("\n")[0].strip()
    if first in ("[", "{"):
        return True
    try:
        return first.startswith(("[", "{")) and isinstance(json.loads(first), list | dict)
    except (ValueError, RecursionError):
        return first.startswith('{"')


def _separator(head: str, path: Path) -> tuple[str, int]:
    """Returns the column separator, and the number of lines before the header.

    It is the first separator that gives all sampled lines the same number of fields.
    """
    declared = re.match('\ufeff?"?sep=(.)"?\r?\n', head)
    if declared:
        return declared[1], 1
    order = ("\t", *_SEPARATORS) if path.suffix.lower() == ".tsv" else _SEPARATORS
    widths = {separator: _widths(head, separator) for separator in order}
    even = [one for one in order if widths[one][:1] > [1] and len(set(widths[one])) == 1]
    wide = [one for one in order if widths[one][:1] > [1]]
    return (even or wide or list(order))[0], 0


def _widths(head: str, separator: str) -> list[int]:
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=separator)
    try:
        widths = [len(fields) for fields in islice(reader, _SAMPLE_LINES) if fields]
        # The last row may be cut off at the end of the head, which in UTF-32 has a quarter as many characters.
        is_cut = len(head) >= HEAD // 4 and next(reader, None) is None
    except csv.Error:
        return []
    return widths[:-1] if is_cut and len(widths) > 1 else widths


def csv_records(
    lines: Lines, names: list[str], reader: Iterator[list[str]], separator: str
) -> Iterator[tuple[int, Record]]:
    width, line = len(names), lines.number + 1
    try:
        for fields in reader:
            if lines.is_at_end:
                raise BrokenFile(
                    f"The quote that opens in the row of line {line} is never closed.",
                    'Close it. Inside a quoted text, write quotes twice: "".',
                )
            if len(fields) == width:
                yield line, dict(zip(names, fields, strict=True))
            elif any(field.strip() for field in fields):
                raise BrokenFile(
                    f"Line {line} has {len(fields)} field{'s' * (len(fields) != 1)}, but the header has {width}.",
                    f"Fix the line: put texts that contain {_SPOKEN.get(separator, repr(separator))} in double quotes.",
                )
            line = lines.number + 1
    except csv.Error as error:
        raise BrokenFile(f"The row that starts on line {line}: {_csv_error(error)}.", FIX) from error


def _csv_error(error: csv.Error) -> str:
    if "field larger" in str(error):
        return f"a field is longer than {_LONGEST_VALUE >> 20} million characters, or a quote is never closed"
    return str(error)
