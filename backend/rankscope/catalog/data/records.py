"""Rows of a data file: column -> value."""

from collections.abc import Mapping

Record = Mapping[str, object]


class NotText(Exception):
    """A list or an object in a place that requires text."""
