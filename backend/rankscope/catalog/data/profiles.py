"""The profile of a data file, computed in one pass and small enough to cache: columns, rows, classes, fingerprint."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from rankscope.catalog.data.columns import Columns, usual_columns
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.data.left_out import LeftOut, LeftOutCounter
from rankscope.catalog.data.part_names import has_usual_name, own_column
from rankscope.catalog.data.records import NotText, Record
from rankscope.catalog.data.tables import Table
from rankscope.contract.data.config import MOST_PARTS
from rankscope.contract.imports import LengthHistogram
from rankscope.contract.tasks.classes import merge_spellings, no_label

CLASSES_KEPT = 50
_SAMPLE_ROWS = 1000
_SAMPLE_BYTES = 8 << 20
_MAX_COUNTED = 100_000
_BARS = 40
_EXACT = 1 << 16
_STEP = 1 << 10
_MAX_MEASURED = 20
"""Columns whose texts are measured."""


@dataclass(frozen=True)
class Profile:
    columns: tuple[str, ...]
    chosen: Columns
    """The default columns, used unless the configuration names others."""
    split_column: str | None
    """The column in which the table names its own split."""
    rows: int
    classes: tuple[tuple[str, int], ...]
    """The largest classes of the default label column, with their number of rows."""
    n_classes: int
    left_out: tuple[LeftOut, ...]
    separator: str | None
    encoding: str
    fingerprint: str
    lengths: tuple[tuple[str, LengthHistogram], ...] = ()
    """Of the columns with texts that are not numbers."""


def read_profile(table: Table, fixed: Columns | None = None) -> Profile:
    """Returns a table's profile. Reads it once and keeps no rows. `fixed`: columns that are known in advance.

    Raises BrokenFile if the table has no rows or can't be read.
    """
    sample = []
    for item in islice(table.records, _SAMPLE_ROWS):
        sample.append(item)
        if table.bytes_read > _SAMPLE_BYTES:
            break
    if not sample:
        raise BrokenFile("It has a header but no rows.", "Add rows, or remove the file.")
    if not table.columns:
        raise BrokenFile("Its rows are empty objects.", "Write named values, for example text and label.")
    chosen = fixed or usual_columns(table, [record for _, record in sample])
    counts: Counter[str] = Counter()
    left_out = LeftOutCounter()
    rows = 0
    lengths = {column: TextLengths() for column in _with_texts(table, [record for _, record in sample])}
    parts: dict[str, set[str]] = {column: set() for column in table.columns if has_usual_name(column)}
    for line, record in chain(sample, table.records):
        rows += 1
        for column, values in parts.items():
            if len(values) <= MOST_PARTS and (part := _text(table, record.get(column))) is not None:
                values.add(part.strip())
        for column, counted in lengths.items():
            if (text := _text(table, record.get(column))) is not None:
                counted.add(len(text))
        label = _text(table, record.get(chosen.label)) if chosen.label else None
        if any(_text(table, record.get(column)) is None for column in chosen.text):
            left_out.add(no_text(chosen.text), line)
        elif chosen.label and label is None:
            left_out.add(no_label(chosen.label), line)
        elif label is not None and (len(counts) < _MAX_COUNTED or label in counts):
            counts[label.strip()[:200]] += 1
    spellings = merge_spellings(counts)
    classes: Counter[str] = Counter()
    for label, count in counts.items():
        classes[spellings[label]] += count
    ranked = sorted(classes.items(), key=lambda pair: (-pair[1], pair[0]))
    return Profile(
        columns=tuple(table.columns),
        chosen=chosen,
        split_column=own_column(parts, parts),
        rows=rows,
        classes=tuple(ranked[:CLASSES_KEPT]),
        n_classes=len(classes),
        left_out=left_out.all(),
        separator=table.separator,
        encoding=table.encoding,
        fingerprint=table.fingerprint(),
        lengths=tuple((column, found) for column, counted in lengths.items() if (found := counted.histogram())),
    )


def _with_texts(table: Table, sample: Sequence[Record]) -> list[str]:
    """Returns the columns in which a row of the sample has a text that is not a number."""
    return [
        column
        for column in table.columns[:_MAX_MEASURED]
        if any(isinstance(value := record.get(column), str) and not _is_number(value) for record in sample)
    ]


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return not value.strip()
    return True


def no_text(columns: tuple[str, ...]) -> str:
    return f"no text in column {' or '.join(map(repr, columns))}"


def _text(table: Table, value: object) -> str | None:
    try:
        return table.text(value)
    except NotText:
        return None


class TextLengths:
    """Counts texts by length: exactly below 65,536 characters, and in steps of 1,024 above."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._longest = self._sum = 0

    def add(self, length: int) -> None:
        self._counts[length if length < _EXACT else length - length % _STEP] += 1
        self._longest = max(self._longest, length)
        self._sum += length

    def histogram(self) -> LengthHistogram | None:
        """None if there are no texts."""
        if not self._counts:
            return None
        return length_histogram(self._counts, self._longest, self._sum)


def length_histogram(counts: Mapping[int, int], longest: int, characters: int) -> LengthHistogram:
    """`counts`: the number of texts of each length; at least one. `characters`: of all texts."""
    width = -(-(longest + 1) // _BARS)
    bars = [0] * (longest // width + 1)
    for length, count in counts.items():
        bars[length // width] += count
    return LengthHistogram(
        edges=[bar * width for bar in range(len(bars) + 1)],
        counts=bars,
        longest=longest,
        mean=round(characters / sum(counts.values()), 1),
    )
