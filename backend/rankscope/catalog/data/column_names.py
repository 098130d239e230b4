"""Checks of the column names of a data file."""

from collections import Counter
from collections.abc import Sequence

from rankscope.catalog.data.files import BrokenFile

_MAX_COLUMNS = 1000
_LONGEST_NAME = 1000
FIX = "Fix the file."


def check_names(names: list[str]) -> None:
    check_bounds(names)
    if len(set(names)) < len(names):
        raise BrokenFile(f"Two columns are named {double_name(names)!r}.", "Rename one of them in the first line.")


def check_bounds(names: list[str]) -> None:
    if len(names) > _MAX_COLUMNS:
        raise BrokenFile(f"It has more than {_MAX_COLUMNS:,} columns.", "Keep the columns that you need.")
    long = next((name for name in names if len(name) > _LONGEST_NAME), None)
    if long is not None:
        raise BrokenFile(
            f"A column's name has {len(long):,} characters: {long[:40]!r}…",
            "Add a first line that names the columns, for example text,label.",
        )


def double_name(names: Sequence[str]) -> str:
    return next(name for name, count in Counter(names).items() if count > 1)[:100]
