"""Columns that are found by their usual names."""

from collections.abc import Sequence


def named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """Returns the column with the first of these names that exists, ignoring case and surrounding spaces."""
    by_name = {column.strip().casefold(): column for column in reversed(columns)}
    return next((by_name[name] for name in names if name in by_name), None)
