"""A row as it is read: column -> value."""

from collections.abc import Mapping

Record = Mapping[str, object]


class NotText(Exception):
    """A list or an object in a place that requires text."""
