"""Targets that are classes: labels that are spelled in several ways, and columns that don't contain classes."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import islice
from unicodedata import category, normalize

from rankscope.contract.tasks.targets import AsText, BadTarget, ClassRows, Targets

MAX_CLASSES = 1000
LONGEST_LABEL = 200
_MAX_COUNTED = 100_000
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


class Classes(Targets):
    """Each value is the label of a class; a class's number is its index in `labels`."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self._numbers: dict[str, int] = {}
        """The number of each spelling, in order of first appearance."""
        self._counts: Counter[str] = Counter()
        self._more: set[int] = set()
        self._classes: dict[str, str] = {}
        """Spelling -> class."""
        self._spellings: dict[str, str] = {}

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        label = as_text(value)
        if label is None:
            return no_label(self.column)
        label = label.strip()
        if label not in self._numbers:
            if len(label) > LONGEST_LABEL:
                raise BadTarget(
                    f"is {self.column!r}, which has a value of {len(label):,} characters on line {line}: it looks "
                    "like a text, not a class",
                    "Choose the column with the class.",
                )
            if len(self._numbers) > MAX_CLASSES:  # will be rejected; from here on, only count values
                if len(self._more) < _MAX_COUNTED:
                    self._more.add(hash(label))
                self._counts[""] += 1
                return None
            self._numbers[label] = len(self._numbers)
        self._counts[label] += 1
        return label, self._numbers[label]

    def finish(self) -> None:
        self._classes = merge_spellings(self._numbers)
        self._spellings = {spelling: label for spelling, label in self._classes.items() if spelling != label}
        by_class: Counter[str] = Counter()
        for label, count in self._counts.items():
            by_class[self._classes.get(label, label)] += count
        n_more = len(self._more)
        n_different = len(set(self._classes.values())) + n_more
        found = why_not_classes(self.column, by_class, n_different, n_more < _MAX_COUNTED)
        if found is not None:
            raise BadTarget(*found)

    @property
    def labels(self) -> list[str]:
        return sorted(set(self._classes.values()))

    @property
    def spellings(self) -> dict[str, str]:
        return self._spellings

    def class_rows(self, train: Counter[int], evaluation: Counter[int]) -> tuple[ClassRows, ...]:
        trained, evaluated = self._by_class(train), self._by_class(evaluation)
        return tuple(ClassRows(label, trained[label], evaluated[label]) for label in self.labels)

    def warnings(self, train: Counter[int], evaluation: Counter[int]) -> list[str]:
        trained = self._by_class(train)
        return class_warnings(self.column, self._classes, trained + self._by_class(evaluation), trained)

    def _by_class(self, rows: Counter[int]) -> Counter[str]:
        spellings = list(self._numbers)
        counted: Counter[str] = Counter()
        for number, count in rows.items():
            counted[self._classes[spellings[number]]] += count
        return counted


def no_label(column: str) -> str:
    """Returns the reason for leaving out a row without a label."""
    return f"no label in column {column!r}"


def merge_spellings(labels: Iterable[str]) -> dict[str, str]:
    """Maps each label to its class. Equal numbers are one class with the shortest spelling: 1.0 and 1.00 become 1.

    Labels that differ only in Unicode normalisation are also one class, because they look the same. A label with a single
    spelling keeps it.
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

    `counts` may stop at MAX_CLASSES + 1 of the `n_different` values. If `is_all` is false, there are even more.
    """
    rows = sum(counts.values())
    choose = "Choose the column with the class."
    different = f"{'' if is_all else 'more than '}{n_different:,}"
    if n_different < 2:
        found = f"only 1 class, {_shown(next(iter(counts)))}" if counts else "0 classes"
        return f"is {column!r}, which has {found}", ("Choose a column with at least two classes.")
    number = "a number or an id" if sum(map(is_number, counts)) > 0.9 * len(counts) else "a text or an id"
    looks = f"this looks like {number}, not a class"
    if n_different > MAX_CLASSES or (n_different > 10 and rows < 2 * n_different):
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
    """Returns the label without differences that are easy to miss; for a number, its value."""
    text = normalize("NFKC", label)
    if not text.isascii():
        text = "".join(letter for letter in text if category(letter) not in ("Cf", "Cc") or letter.isspace())
    text = " ".join(text.casefold().split())
    # NaN equals nothing, not even itself.
    return float(text) if is_number(text) and math.isfinite(float(text)) else text


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


def is_number(text: str) -> bool:
    """Whether the text is a number, including NaN and infinity."""
    try:
        float(text)
    except ValueError:
        return False
    return True
