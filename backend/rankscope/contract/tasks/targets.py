"""Targets: what a task learns to predict, as it is written in one column of a data set. A task says which ones it has.

The split of a data set reads every row once, in the order of the file, and knows nothing of what the values mean.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

AsText = Callable[[object], str | None]
"""A cell as text; None if it is empty. Raises for a list or an object."""


class BadTarget(Exception):
    """The column can't be learned. The message goes on from "the column ..."."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


@dataclass(frozen=True)
class ClassRows:
    """How many rows of each side have a class."""

    label: str
    train_rows: int
    eval_rows: int


class Targets(ABC):
    """Reads the target column of one data set: each value, and then what they are together."""

    accepts_lists: ClassVar[bool] = False
    """Whether a value may be a list or an object of a JSON lines file; otherwise such a row is refused."""

    def __init__(self, column: str) -> None:
        self.column = column

    @abstractmethod
    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        """Reads one row: the target as text, and the number of the group that it is counted in (0 to 65535).

        A str is the reason why the row is left out. None: `finish` will refuse the column, so the row doesn't matter.
        Raises BadTarget for a value that refutes the whole column.
        """

    @abstractmethod
    def finish(self) -> None:
        """Called after the last row and before everything below. Raises BadTarget if the column can't be learned."""

    @property
    def labels(self) -> list[str]:
        """The classes in the order of the head's outputs; empty for targets that are not classes."""
        return []

    def stored(self, text: str) -> str:
        """What a row has as its target, for the text that `read` returned."""
        return text

    def class_rows(self, train: Counter[int], evaluation: Counter[int]) -> tuple[ClassRows, ...]:  # noqa: ARG002
        """The rows of each class, in the order of `labels`. `train` and `evaluation` count the rows of each group."""
        return ()

    def warnings(self, train: Counter[int], evaluation: Counter[int]) -> list[str]:  # noqa: ARG002
        """Sentences about what may be a mistake."""
        return []
