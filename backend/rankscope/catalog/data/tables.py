"""Streams the rows of CSV and JSON lines files, each with its line number.

A file with a broken structure is rejected with the line number. A missing value is None, and not an error.
"""

import bz2
import csv
import io
import json
import math
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, getincrementaldecoder
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rankscope.catalog.data.files import HEAD, JSON_LINES, BrokenFile, HashedFile, check_content, opened

Record = Mapping[str, object]

_LONGEST_VALUE = 1 << 24
_LONGEST_LINE = 1 << 25
_MOST_COLUMNS = 1000
_LONGEST_NAME = 1000
_SAMPLE_LINES = 20
csv.field_size_limit(_LONGEST_VALUE)
# How programs write a missing value to a CSV file. Words that may be a class, such as None or N/A, are not included.
_CSV_MISSING = frozenset({"", "NaN", "nan", "null", "NULL", "<NA>", "#N/A"})
_SEPARATORS = (",", ";", "\t", "|")
_BOMS = (
    (BOM_UTF8, "utf-8-sig", "UTF-8"),
    (BOM_UTF32_LE, "utf-32", "UTF-32"),
    (BOM_UTF32_BE, "utf-32", "UTF-32"),
    (BOM_UTF16_LE, "utf-16", "UTF-16"),
    (BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_SAVE_AS_UTF8 = "Save the file as UTF-8."
_FIX = "Fix the file."


class NotText(Exception):
    """A list or an object in a place that requires text."""


@dataclass
class Table:
    """An open file with rows. `records` can be iterated once."""

    columns: list[str]
    """For a JSON lines file, those of the records that have been read so far."""
    separator: str | None
    encoding: str
    records: Iterator[tuple[int, Record]]
    """(line, column -> value)."""
    _file: HashedFile

    @property
    def text(self) -> Callable[[object], str | None]:
        """Converts a value to text, or to None if it is missing. Raises NotText for a list or an object."""
        return _json_text if self.separator is None else _csv_text

    @property
    def bytes_read(self) -> int:
        return self._file.bytes_read

    def fingerprint(self) -> str:
        """Returns the SHA-256 of the complete file, after reading the rest of it."""
        return self._file.fingerprint()


def _csv_text(value: object) -> str | None:
    text = str(value).strip()
    return None if text in _CSV_MISSING else text


def _json_text(value: object) -> str | None:
    match value:
        case str():
            return value if value and not value.isspace() else None
        case None:
            return None
        case float() if math.isnan(value):
            return None
        case list() | dict():
            raise NotText
        case _:
            return json.dumps(value)


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
            _check_bytes(file.head)
        lines = _Lines(file, path, codec, newline=None if is_json else "")
        if is_json:
            columns: dict[str, None] = {}
            table = Table([], None, encoding, iter(()), file)
            table.records = _json_records(lines, columns, table.columns)
        else:
            separator, names, reader = _csv_header(lines, file.head.decode(codec, "ignore"), path)
            table = Table(names, separator, encoding, _csv_records(lines, names, reader, separator), file)
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


# ---------------------------------------------------------------- lines


class _Lines:
    """Decoded lines of bounded length."""

    def __init__(self, file: HashedFile, path: Path, codec: str, newline: str | None) -> None:
        self._path, self._codec = path, codec
        # Decoding is strict after the BOM. The file is closed only by the code that opened it.
        self._text = io.TextIOWrapper(io.BufferedReader(file, 1 << 18), encoding=codec, newline=newline)
        self._readline = self._text.readline
        self.number = 0
        self.is_at_end = False

    def __iter__(self) -> Iterator[str]:
        while True:
            self.number += 1
            try:
                line = self._readline(_LONGEST_LINE)
            except UnicodeError as error:
                raise self._not_decodable() from error
            if not line:
                self.is_at_end = True
                return
            if "\0" in line:
                raise BrokenFile(
                    f"Line {self.number} has a NUL character: the file is damaged, or not text.",
                    "Copy or export it again.",
                )
            if len(line) == _LONGEST_LINE:
                raise BrokenFile(
                    f"Line {self.number} is longer than {_LONGEST_LINE >> 20} million characters.",
                    "Write one row per line, and split long texts.",
                )
            yield line

    def _not_decodable(self) -> BrokenFile:
        """Reads the file again to find the position."""
        decoder = getincrementaldecoder(self._codec)()
        line, offset = 1, 0
        with opened(self._path) as file:
            while block := file.read(1 << 16):
                try:
                    text = decoder.decode(block)
                except UnicodeDecodeError as error:
                    # `error.object` may begin with bytes left over from the previous block.
                    good = error.object[: error.start]
                    where = offset + len(block) - len(error.object) + error.start
                    line += good.count(b"\n") if self._codec.startswith("utf-8") else 0
                    at = f"line {line}, " if self._codec.startswith("utf-8") else ""
                    byte = error.object[error.start]
                    return BrokenFile(
                        f"It is not {self._codec[:6].upper().rstrip('-')}: {at}byte {where + 1} of the file is 0x{byte:02X}.",
                        _SAVE_AS_UTF8,
                    )
                line += text.count("\n")
                offset += len(block)
        return BrokenFile("It ends in the middle of a character.", "Copy the file again.")


def _check_bytes(head: bytes) -> None:
    """Raises BrokenFile for NUL bytes. If every second byte is NUL, the file is UTF-16 without a byte order mark."""
    nuls = head.count(b"\0")
    if nuls and max(head[::2].count(b"\0"), head[1::2].count(b"\0")) > 0.4 * len(head) / 2 and nuls < 0.6 * len(head):
        raise BrokenFile("It appears to be UTF-16 without a byte order mark.", _SAVE_AS_UTF8)
    if nuls:
        raise BrokenFile(
            f"Line {head[: head.index(0)].count(10) + 1} has a NUL byte: the file is damaged, or not text.",
            "Copy or export it again.",
        )


# ---------------------------------------------------------------- CSV

Fields = Iterator[list[str]]


def _csv_header(lines: _Lines, head: str, path: Path) -> tuple[str, list[str], Any]:
    if _is_json(head):
        raise BrokenFile(
            "The content is JSON, but the file name says that it is a table.", "Rename the file to .jsonl."
        )
    separator, skip = _separator(head, path)
    reader = csv.reader(lines, delimiter=separator)
    try:
        for _ in range(skip):
            next(iter(lines))
        header = next((fields for fields in reader if any(field.strip() for field in fields)), None)
    except csv.Error as error:
        raise BrokenFile(f"Line {lines.number}: {_csv_error(error)}.", _FIX) from error
    if header is None:
        raise BrokenFile("It contains only empty lines.", "Copy the file again, or remove it.")
    names = [name.strip() or f"column {number}" for number, name in enumerate(header, start=1)]
    _check_names(names)
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


def _check_names(names: list[str]) -> None:
    _check_bounds(names)
    if len(set(names)) < len(names):
        raise BrokenFile(f"Two columns are named {_double(names)!r}.", "Rename one of them in the first line.")


def _check_bounds(names: list[str]) -> None:
    if len(names) > _MOST_COLUMNS:
        raise BrokenFile(f"It has more than {_MOST_COLUMNS:,} columns.", "Keep the columns that you need.")
    long = next((name for name in names if len(name) > _LONGEST_NAME), None)
    if long is not None:
        raise BrokenFile(
            f"A column's name has {len(long):,} characters: {long[:40]!r}…",
            "Add a first line that names the columns, for example text,label.",
        )


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


def _csv_records(lines: _Lines, names: list[str], reader: Any, separator: str) -> Iterator[tuple[int, Record]]:
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
        raise BrokenFile(f"The row that starts on line {line}: {_csv_error(error)}.", _FIX) from error


_SPOKEN = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}


def _csv_error(error: csv.Error) -> str:
    if "field larger" in str(error):
        return f"a field is longer than {_LONGEST_VALUE >> 20} million characters, or a quote is never closed"
    return str(error)


# ---------------------------------------------------------------- JSON lines


def _json_records(lines: _Lines, seen: dict[str, None], columns: list[str]) -> Iterator[tuple[int, Record]]:
    double: list[Sequence[tuple[str, Any]] | None] = [None]

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        # The outermost object is created last, so the final value is about the row itself.
        double[0] = None if len(made) == len(pairs) else pairs
        return made

    decoder = json.JSONDecoder(object_pairs_hook=as_dict)
    for line in lines:
        if not line.strip():
            continue
        number = lines.number
        try:
            record = decoder.decode(line)
        except RecursionError as error:
            raise BrokenFile(f"Line {number} is nested too deeply.", "Write flat objects.") from error
        except ValueError as error:
            hint = "Write one object per line, without [ ] around them." if line[0] == "[" else _FIX
            raise BrokenFile(f"Line {number} is not JSON: {str(error)[:200]}.", hint) from error
        if not isinstance(record, dict):
            raise BrokenFile(
                f"Line {number} is {_JSON_KINDS.get(type(record), 'a number')}, not an object.",
                'Write one object per line, such as {"text": "...", "label": "..."}.',
            )
        if double[0] is not None:
            name = _double([name for name, _ in double[0]])
            raise BrokenFile(f"Line {number} has the name {name!r} twice.", "Keep one of them.")
        if record.keys() - seen.keys():
            new = [name for name in record if name not in seen]
            seen.update(dict.fromkeys(new))
            columns.extend(new)
            _check_bounds(columns)
            _check_letters(number, new)
        if "\\ud" in line or "\\uD" in line:
            _check_letters(number, [value for value in record.values() if isinstance(value, str)])
        yield number, record


_JSON_KINDS: dict[type, str] = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}


def _double(names: Sequence[str]) -> str:
    return next(name for name, count in Counter(names).items() if count > 1)[:100]


def _check_letters(number: int, texts: list[str]) -> None:
    """Raises BrokenFile for half of a surrogate pair, which neither UTF-8 nor a tokenizer accepts."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(text[error.start]):04x}"
            raise BrokenFile(
                f"Line {number} has half of a surrogate pair: {half}.", "Write the complete pair, or remove it."
            ) from error
