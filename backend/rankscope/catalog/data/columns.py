"""The default text and label columns of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass

from rankscope.catalog.data.records import NotText, Record
from rankscope.catalog.data.tables import Table
from rankscope.contract.tasks.classes import is_number

_TEXT_NAMES = ("text", "sentence", "review", "content", "document", "question")
_LABEL_NAMES = ("label", "category", "class", "sentiment", "target")
_ID_NAMES = frozenset({"id", "index", "idx", "row", "nr", "no", "number", "uuid", "guid", "key", "column 1"})


@dataclass(frozen=True)
class Columns:
    """`text` is empty and `label` is None if there is no clear choice."""

    text: tuple[str, ...]
    label: str | None
    group: str | None = None

    def all(self, *others: str | None) -> list[str]:
        """Returns all of them, each once."""
        names = [*self.text, self.group, self.label, *others]
        return list(dict.fromkeys(name for name in names if name is not None))


def find_column(columns: Sequence[str], wanted: str) -> str | None:
    """Returns the column with this name, or None. Case and surrounding spaces are ignored if only one column fits."""
    if wanted in columns:
        return wanted
    fits = [column for column in columns if column.strip().casefold() == wanted.strip().casefold()]
    return fits[0] if len(fits) == 1 else None


def usual_columns(table: Table, sample: Sequence[Record]) -> Columns:
    """Returns the text and label columns, found by their usual names.

    If no column has a usual name for the text, it is the column with clearly the longest texts, if there is one.
    """
    label = _named(table.columns, _LABEL_NAMES)
    values = {column: _texts(table, sample, column) for column in table.columns if column != label}
    flat = {column: texts for column, texts in values.items() if texts is not None}
    text = _named(list(flat), _TEXT_NAMES) or _longest(flat)
    return Columns((text,) if text else (), label)


def _named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    for name in names:
        fits = [column for column in columns if column.strip().casefold() == name]
        if fits:
            return name if name in fits else fits[0]
    return None


def _texts(table: Table, sample: Sequence[Record], column: str) -> list[str] | None:
    """Returns the column's values as text, without missing ones; None if it contains lists or objects."""
    try:
        texts = [table.text(record.get(column)) for record in sample]
    except NotText:
        return None
    return [text for text in texts if text is not None]


def _longest(values: dict[str, list[str]]) -> str | None:
    """Returns the column with the longest texts, if they are at least twice as long as those of the next column.

    Ids, numbers and dates don't count as texts.
    """
    lengths = {
        column: sum(map(len, texts)) / len(texts)
        for column, texts in values.items()
        if texts and not _is_id(column) and not _are_numbers(texts) and not _are_codes(texts)
    }
    ranked = sorted(lengths, key=lambda column: -lengths[column])
    if not ranked or (len(ranked) > 1 and lengths[ranked[1]] * 2 > lengths[ranked[0]]):
        return None
    return ranked[0]


def _is_id(column: str) -> bool:
    name = column.strip().casefold()
    return name in _ID_NAMES or name.endswith(("_id", " id", "-id"))


def _are_numbers(texts: Sequence[str]) -> bool:
    return sum(is_number(text) for text in texts) >= 0.9 * len(texts)


def _are_codes(texts: Sequence[str]) -> bool:
    """Whether all values have the same length and contain no spaces: checksums, UUIDs, dates."""
    return len(texts) > 1 and len({len(text) for text in texts}) == 1 and not any(" " in text for text in texts)
