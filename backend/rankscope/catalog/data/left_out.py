"""Rows of a data set that are not used."""

from dataclasses import dataclass


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
