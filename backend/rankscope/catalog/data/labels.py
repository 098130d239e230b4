"""Rules for class labels: labels that are spelled in several ways, and columns that don't contain classes."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from unicodedata import category, normalize

from rankscope.catalog.data.columns import is_number

MOST_CLASSES = 1000
LONGEST_LABEL = 200
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
# Words that may mean "missing" or may be a class: kept as a class, with a warning.
_DOUBTFUL = frozenset(
    {
        *(
            "none",
            "n/a",
            "na",
            "nan",
            "nat",
            "null",
            "nil",
            "(null)",
            "<null>",
            "<na>",
            "\\n",
            "-",
            "--",
            ".",
            "?",
            "unknown",
        ),
        *(
            "undefined",
            "missing",
            "empty",
            "(blank)",
            "#n/a",
            "#value!",
            "#ref!",
            "#name?",
            "#div/0!",
            "#num!",
            "#null!",
        ),
    }
)


@dataclass(frozen=True)
class LeftOut:
    """Rows that are not used, and the reason."""

    reason: str
    rows: int
    first_lines: tuple[int, ...]


class LeftOutCounter:
    """Counts the rows that are left out, by reason."""

    def __init__(self) -> None:
        self._lines: dict[str, list[int]] = {}
        self._rows: dict[str, int] = {}

    def add(self, reason: str, line: int) -> None:
        self._rows[reason] = self._rows.get(reason, 0) + 1
        lines = self._lines.setdefault(reason, [])
        if len(lines) < 5:
            lines.append(line)

    def all(self) -> tuple[LeftOut, ...]:
        """Returns the counts, with up to five line numbers per reason."""
        return tuple(LeftOut(reason, self._rows[reason], tuple(lines)) for reason, lines in self._lines.items())


def merge_spellings(labels: Iterable[str]) -> dict[str, str]:
    """Maps each label to its class. Equal numbers are one class with the shortest spelling: 1.0 and 1.00 become 1.

    So are labels that differ only in how an accent is encoded, because they look the same. A label with a single spelling
    keeps it.
    """
    spellings: defaultdict[Decimal | str, list[str]] = defaultdict(list)
    classes = {}
    for label in labels:
        classes[label] = label
        if _NUMBER.fullmatch(label):
            spellings[Decimal(label)].append(label)
        elif not label.isascii():
            spellings[normalize("NFC", label)].append(label)
    for same in spellings.values():
        classes |= dict.fromkeys(same, min(same, key=lambda label: (len(label), label)))
    return classes


def why_not_classes(column: str, counts: Mapping[str, int], n_different: int, is_all: bool) -> tuple[str, str] | None:
    """Returns why a column doesn't contain classes, as message and next step; None if it may contain classes.

    `counts` may stop at MOST_CLASSES + 1 of the `n_different` values. If `is_all` is false, there are even more.
    """
    rows = sum(counts.values())
    choose = "Choose the column that holds the class."
    different = f"{'' if is_all else 'more than '}{n_different:,}"
    if n_different < 2:
        found = f"only 1 class, {_shown(next(iter(counts)))}" if counts else "0 classes"
        return f"is {column!r}, which has {found}", ("Choose a column with at least two classes.")
    number = "a number or an id" if sum(map(is_number, counts)) > 0.9 * len(counts) else "a text or an id"
    looks = f"this looks like {number}, not a class"
    if n_different > MOST_CLASSES or (n_different > 10 and rows < 2 * n_different):
        return f"is {column!r}, which has {different} different values in {rows:,} rows: {looks}", choose
    if n_different > 10 and all(map(is_number, counts)) and any("." in label for label in counts):
        looks = "this looks like a score, not a class"
        return f"is {column!r}, which has {different} different numbers in {rows:,} rows: {looks}", choose
    return None


def class_warnings(
    column: str, spellings: Mapping[str, str], rows: Mapping[str, int], trained: Mapping[str, int]
) -> list[str]:
    """Returns warnings about classes that may be a mistake. `rows` and `trained` have the number of rows by class."""
    merged: defaultdict[str, list[str]] = defaultdict(list)
    for spelling, label in spellings.items():
        merged[label].append(spelling)
    alike: defaultdict[str | float, list[str]] = defaultdict(list)
    for label in rows:
        alike[_bare(label)].append(label)
    found = _first(
        f"Column {column!r}: {_all(sorted(same), ascii)} are the same class, {_shown(label)}."
        for label, same in merged.items()
        if len(same) > 1
    )
    found += _first(
        f"Column {column!r}: {_shown(label)} is a separate class with {count:,} rows. "
        "If it means that the label is missing, leave those cells empty."
        for label, count in rows.items()
        if label.casefold() in _DOUBTFUL
    )
    found += _first(
        f"Column {column!r}: {_all(same)} {_ALIKE[type(bare)]}, and are separate classes."
        for bare, same in alike.items()
        if len(same) > 1
    )
    single = [label for label, count in rows.items() if count == 1]
    if single:
        found.append(
            f"Column {column!r}: only one row has the class {_any(single)}, which is too few to train or evaluate."
        )
    untrained = [label for label in rows if label not in trained and label not in single]
    if untrained:
        found.append(
            f"Column {column!r}: no training row has the class {_any(untrained)}; all of its rows are used for evaluation."
        )
    if all(map(is_number, rows)) and (len(rows) > 20 or (len(rows) > 5 and any(map(_FRACTION.search, rows)))):
        found.append(
            f"Column {column!r} has {len(rows)} classes, all of them numbers. If they are scores, choose another column."
        )
    elif len(rows) > 20 and sum(rows.values()) < 10 * len(rows):
        found.append(
            f"Column {column!r} has {len(rows):,} classes in {sum(rows.values()):,} rows. If they are ids, choose another column."
        )
    return found


_ALIKE = {str: "differ only in case, spaces or invisible characters", float: "are equal numbers"}
_FRACTION = re.compile(r"\.\d*[1-9]")


def _bare(label: str) -> str | float:
    """The label without what is easily overlooked; of a number, its value."""
    text = normalize("NFKC", label)
    if not text.isascii():
        text = "".join(letter for letter in text if category(letter) not in ("Cf", "Cc") or letter.isspace())
    text = " ".join(text.casefold().split())
    return float(text) if is_number(text) else text


def _first(sentences: Iterable[str]) -> list[str]:
    """Returns at most three sentences: there may be hundreds."""
    return list(islice(sentences, 3))


def _shown(label: str, spelled: Callable[[str], str] = repr) -> str:
    return spelled(label if len(label) <= 60 else f"{label[:60]}…")


def _all(labels: list[str], spelled: Callable[[str], str] = repr) -> str:
    *first, last = (_shown(label, spelled) for label in labels[:8])
    return f"{', '.join(first)} and {last}"


def _any(labels: list[str]) -> str:
    more = f" (and {len(labels) - 3} other classes)" if len(labels) > 3 else ""
    return " or ".join(map(_shown, labels[:3])) + more
