"""Entry of a data set, or of a file that looks like one: its id and the content of its file."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unicodedata import category

from rankscope.catalog.data.files import JOINERS, UNREADABLE
from rankscope.catalog.data.left_out import LeftOut
from rankscope.catalog.data.records import NotText
from rankscope.catalog.data.tables import Table, open_rotten_tomatoes, open_table
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.imports import ColumnProfile, LengthHistogram

Row = dict[str, str]
DEMO = "rotten-tomatoes"
LOCAL = "local:"
DESCRIPTION = "From this installation's datasets folder."
SHORT_FORMS = (".csv", ".jsonl")


@dataclass(frozen=True)
class DatasetEntry:
    id: str
    name: str
    path: Path
    description: str = DESCRIPTION
    problem: str | None = None
    """Why it can't be used. The entry is still listed, with the fields below empty."""
    next_step: str | None = None
    columns: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    target_column: str | None = None
    group_column: str | None = None
    split_column: str | None = None
    """The column in which it names its own split."""
    rows: int | None = None
    """None for a large file that is being read for the first time."""
    classes: tuple[tuple[str, int], ...] = ()
    """The largest classes of the default target column, with their number of rows."""
    n_classes: int = 0
    left_out: tuple[LeftOut, ...] = ()
    """Rows that are left out with the default columns."""
    fingerprint: str = ""
    """SHA-256 of the file."""
    size_bytes: int = 0
    separator: str | None = None
    encoding: str | None = None
    longest: tuple[tuple[str, int], ...] = ()
    """Characters in the longest text of each column, if they were counted."""
    lengths: tuple[tuple[str, LengthHistogram], ...] = ()
    """Lengths of the texts of each column, of a data set that is not imported: an import has them in its profile."""
    alias: str | None = None
    """A given short id, instead of one derived from the file's name."""
    stored_columns: tuple[ColumnProfile, ...] = ()
    """How an imported data set stores its columns."""
    opener: Callable[[Sequence[str] | None, Sequence[int] | None], AbstractContextManager[Table]] | None = None
    """Opens a data set that is not a file of text: these columns of these rows."""

    @property
    def short_id(self) -> str | None:
        """The id without the file's extension, if it is unambiguous."""
        if self.problem is not None or self.path.suffix not in SHORT_FORMS or self.id == DEMO:
            return self.alias
        others = (self.path.with_suffix(ending) for ending in SHORT_FORMS if ending != self.path.suffix)
        return None if any(map(os.path.isfile, others)) else self.id.removesuffix(self.path.suffix)

    def open(self, columns: Sequence[str] | None = None) -> AbstractContextManager[Table]:
        """Opens the file as a table, with at least these columns. Raises BrokenFile if it can't be read."""
        if self.opener is not None:
            return self.opener(columns, None)
        return open_rotten_tomatoes(self.path) if self.id == DEMO else open_table(self.path)

    @contextmanager
    def pick(self, columns: Sequence[str], numbers: Sequence[int]) -> Iterator[Table]:
        """Opens it as a table of only these rows, counted from 1, in ascending order. Reads no further than needed."""
        if self.opener is not None:
            with self.opener(columns, numbers) as table:
                yield table
            return
        with self.open(columns) as table:
            wanted, last = set(numbers), max(numbers, default=0)
            numbered = enumerate(islice(table.records, last), 1)
            table.records = (item for number, item in numbered if number in wanted)
            yield table

    def first_rows(self, at_most: int) -> list[Row]:
        """Returns the first rows, with every value as text. Reads no further than needed."""
        with self.open() as table:
            return [
                {column: _shown(table, record.get(column)) for column in self.columns}
                for _, record in islice(table.records, at_most)
            ]

    def refusal(self, message: str, next_step: str, field: str = "config.data.id") -> BadInput:
        """Returns the error for a configuration with this data set; `message` continues "is 'ID', "."""
        return BadInput([FieldProblem(field, self.id, f"is {self.id!r}, {message}", next_step)])

    def still_reading(self, field: str = "config.data.id") -> BadInput:
        size = f"{size_of(self.path) / 1e6:,.0f} MB"
        return self.refusal(f"which is still being read ({size})", "Try again in a few seconds.", field)


def id_of(name: str) -> str:
    return f"{LOCAL}{readable(name)}"


def readable(name: str) -> str:
    """Returns a file's name as printable text: other bytes and characters are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter in JOINERS or category(letter) not in UNREADABLE else letter.encode("unicode_escape").decode()
        for letter in text
    )


def broken(name: str, path: Path, problem: str, next_step: str) -> DatasetEntry:
    return DatasetEntry(f"{LOCAL}{name}", name or path.name, path, problem=problem, next_step=next_step)


def with_unique_ids(entries: Sequence[DatasetEntry]) -> Iterator[DatasetEntry]:
    """Makes the ids unique, which the page needs: a folder may have the short id of a file, and escaped names may be equal."""
    seen = {entry.short_id for entry in entries}
    for entry in entries:
        unique, number = entry.id, 1
        while unique in seen:
            number += 1
            unique = f"{entry.id} ({number})"
        seen.add(unique)
        yield (
            entry
            if unique == entry.id
            else DatasetEntry(
                unique,
                entry.name,
                entry.path,
                entry.description,
                entry.problem,
                entry.next_step,
                size_bytes=entry.size_bytes,
            )
        )


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _shown(table: Table, value: object) -> str:
    try:
        text = table.text(value) or ""
    except NotText:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 500 else f"{text[:500]}…"
