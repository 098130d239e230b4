"""Rows that can't be read, with their line and the reason. The first ones are kept, and all are counted."""

from rankscope.contract.imports import RejectedRow

KEPT = 500


class Rejects:
    def __init__(self) -> None:
        self.first: list[RejectedRow] = []
        self.count = 0

    def add(self, row: RejectedRow, count: int = 1) -> None:
        self.count += count
        if len(self.first) < KEPT:
            self.first.append(row)
