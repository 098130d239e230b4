"""Rows of JSON lines files."""

import json
import math
from collections.abc import Iterator, Sequence

from rankscope.catalog.data.column_names import FIX, check_bounds, double_name
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.data.lines import Lines
from rankscope.catalog.data.records import NotText, Record

_JSON_KINDS: dict[type, str] = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}


def json_text(value: object) -> str | None:
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


def json_records(lines: Lines, seen: dict[str, None], columns: list[str]) -> Iterator[tuple[int, Record]]:
    reader = JsonReader(seen, columns)
    for line in lines:
        if line.strip():
            yield lines.number, reader.read(line, lines.number)


class JsonReader:
    """Reads rows one by one, and collects their names in `seen` and `columns`."""

    def __init__(self, seen: dict[str, None], columns: list[str]) -> None:
        self._seen, self._columns = seen, columns
        self._double: Sequence[tuple[str, object]] | None = None
        self._decoder = json.JSONDecoder(object_pairs_hook=self._as_dict)

    def _as_dict(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        made = dict(pairs)
        # The outermost object is created last, so the final value is about the row itself.
        self._double = None if len(made) == len(pairs) else pairs
        return made

    def read(self, line: str, number: int) -> dict[str, object]:
        """Returns the row in a line. Raises BrokenFile, which names the line, if it isn't one."""
        try:
            record = self._decoder.decode(line)
        except RecursionError as error:
            raise BrokenFile(f"Line {number} is nested too deeply.", "Write flat objects.") from error
        except ValueError as error:
            raise BrokenFile(f"Line {number} is not JSON: {str(error)[:200]}.", _hint(line.strip())) from error
        if not isinstance(record, dict):
            raise BrokenFile(
                f"Line {number} is {_JSON_KINDS.get(type(record), 'a number')}, not an object.",
                'Write one object per line, such as {"text": "...", "label": "..."}.',
            )
        if self._double is not None:
            name = double_name([name for name, _ in self._double])
            raise BrokenFile(f"Line {number} has the name {name!r} twice.", "Keep one of them.")
        if record.keys() - self._seen.keys():
            new = [name for name in record if name not in self._seen]
            _check_letters(number, new)
            check_bounds([*self._columns, *new])
            self._seen.update(dict.fromkeys(new))
            self._columns.extend(new)
        if "\\u0000" in line:
            _check_no_nul(number, record)
        if "\\ud" in line or "\\uD" in line:
            _check_letters(number, [value for value in record.values() if isinstance(value, str)])
        return record


def _hint(line: str) -> str:
    """Returns the next step for a line that is not JSON."""
    if line.startswith("["):
        return "Write one object per line, without [ ] around them."
    if line.startswith("{") and line.endswith(","):
        return "Write one object per line, without commas between them."
    if line == "{":
        return "Write each object on one line."
    if not line.startswith(("{", '"')):
        return "If it is a table with a header, name it .csv or .tsv; otherwise write one JSON object per line."
    return FIX


def _check_no_nul(number: int, record: Record) -> None:
    """Raises BrokenFile for a NUL character, as for a CSV file: not every database accepts it."""
    for name, value in record.items():
        if "\0" in name or (isinstance(value, str) and "\0" in value):
            raise BrokenFile(f"Line {number} has a NUL character (\\u0000).", "Remove it.")


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
