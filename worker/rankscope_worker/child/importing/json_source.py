"""Rows of JSON: checked one by one, and written with the column types that their values have."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.data.json_rows import JsonReader
from rankscope.contract.imports import RejectedRow, ValueKind
from rankscope_worker.child.importing.rejects import Rejects

_BLOCK = 1 << 20
_LONGEST = 32 << 20
_INT64 = 1 << 63
_BETWEEN = re.compile(r"[ \r\n\t,]*")
Report = Callable[[float], None]


class _Large:
    """The kind of an integer with more than 64 bits."""


class JsonKind(NamedTuple):
    sql: str
    shown: ValueKind


def write_plain_rows(source: Path, target: Path, rejects: Rejects, report: Report) -> tuple[list[str], list[JsonKind]]:
    """Writes one object with the names c0, c1, ... per line. Returns the columns and their kinds."""
    columns: list[str] = []
    reader = JsonReader({}, columns)
    kinds: dict[str, set[type]] = {}
    with target.open("w", encoding="utf-8") as file:
        for number, text in _rows(source, rejects, report):
            try:
                record = reader.read(text, number)
            except BrokenFile as error:
                rejects.add(RejectedRow(line=number, reason=_reason(error, number), text=text.strip()[:200]))
                continue
            for name, value in record.items():
                kinds.setdefault(name, set()).add(_kind(value))
            places = {name: f"c{place}" for place, name in enumerate(columns)} if record else {}
            file.write(json.dumps({places[name]: _plain(value) for name, value in record.items()}) + "\n")
    return columns, [_column_kind(kinds.get(name, set())) for name in columns]


def _reason(error: BrokenFile, number: int) -> str:
    words = error.problem.removeprefix(f"Line {number} ")
    return f"It {words}" if words != error.problem else words


def _kind(value: object) -> type:
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return _Large  # kept as JSON, with every digit
    return type(value)


def _column_kind(kinds: set[type]) -> JsonKind:
    """Returns the type that keeps every value as it is: JSON if they are of several types."""
    found = kinds - {type(None)}
    if found <= {str}:
        return JsonKind("VARCHAR", "text")
    if found == {bool}:
        return JsonKind("BOOLEAN", "true or false")
    if found == {int}:
        return JsonKind("BIGINT", "number")
    if found == {float}:
        return JsonKind("DOUBLE", "number")
    return JsonKind("JSON", "list or object" if found & {list, dict} else "mixed")


def _plain(value: object) -> object:
    """JSON has no NaN, which means a missing value."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _rows(source: Path, rejects: Rejects, report: Report) -> Iterator[tuple[int, str]]:
    """Yields the objects of JSON lines, or the elements of one document that is a list."""
    size = max(1, source.stat().st_size)
    with source.open("rb") as head:
        first = head.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    if first.startswith(b"["):
        yield from _elements(source, report, size)
        return
    done = number = 0
    with source.open("rb") as file:
        while line := file.readline(_LONGEST):
            number += 1
            done += len(line)
            if number % 10_000 == 0:
                report(0.1 + 0.4 * done / size)
            if len(line) == _LONGEST:
                raise BrokenFile(
                    f"Line {number} is longer than {_LONGEST >> 20} million bytes.", "Write one object per line."
                )
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                shown = line.decode("utf-8", "replace").strip()[:200]
                rejects.add(RejectedRow(line=number, reason="It has bytes that are not UTF-8.", text=shown))
                continue
            if text:
                yield number, text


def _elements(source: Path, report: Report, size: int) -> Iterator[tuple[int, str]]:
    decoder = json.JSONDecoder()
    number = done = at = 0
    with source.open(encoding="utf-8-sig", errors="replace") as file:
        text = file.read(_BLOCK)
        at = text.index("[") + 1
        while True:
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
            if text.startswith("]", at):
                return
            try:
                _, end = decoder.raw_decode(text, at)
                more = file.read(_BLOCK) if end == len(text) else ""  # a number may continue
            except RecursionError as error:
                raise BrokenFile(f"Element {number + 1} is nested too deeply.", "Write flat objects.") from error
            except ValueError as error:
                more = file.read(max(_BLOCK, len(text) - at))
                if not more or len(text) - at > _LONGEST:
                    reason = str(error)[:200] if text[at:].strip() else "the list has no end"
                    raise BrokenFile(
                        f"Element {number + 1} of the list can't be read: {reason}.",
                        "Fix the file, or write one object per line, so that only its broken lines are left out.",
                    ) from error
            if more:
                text, at = text[at:] + more, 0
                continue
            number += 1
            done += end - at
            if number % 1000 == 0:
                report(0.1 + 0.4 * min(1.0, done / size))
            yield number, text[at:end]
            at = end
