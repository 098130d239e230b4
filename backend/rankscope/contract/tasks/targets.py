"""Targets: the values in one column of a data set that a task learns to predict. Each task defines its kind of targets.

The split of a data set reads every row once, in the order of the file, and does not interpret the values.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

AsText = Callable[[object], str | None]
"""Converts a cell to text, or to None if it is empty. Raises an error for a list or an object."""


def text_or_json(value: object, as_text: AsText) -> str | None:
    """Returns a cell as text, with a list or an object as its JSON; None if it is empty."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False) if value else None
    return as_text(value)


class BadTarget(Exception):
    """The column can't be used as targets. The message continues "the column ..."."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


@dataclass(frozen=True)
class ClassRows:
    """The number of rows of a class on each side."""

    label: str
    train_rows: int
    eval_rows: int


class Targets(ABC):
    """Reads the target column of one data set: first each value, then all of them together."""

    accepts_lists: ClassVar[bool] = False
    """Whether a value may be a list or an object of a JSON lines file; otherwise such a row is refused."""

    def __init__(self, column: str) -> None:
        self.column = column

    @abstractmethod
    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        """Reads one row: the target as text, and the number of the group that it is counted in (0 to 65535).

        Returns a str with the reason if the row is left out, and None if `finish` will reject the column anyway. Raises
        BadTarget for a value that makes the column unusable.
        """

    def why_left_out(self, target: str, texts: Sequence[str]) -> str | None:  # noqa: ARG002
        """Returns why a row is left out although its target and its texts can be read, or None.

        `target` is the text that `read` returned. Raises BadTarget if the column can't be used.
        """
        return None

    @abstractmethod
    def finish(self) -> None:
        """Call it after the last row and before the methods below. Raises BadTarget if the column can't be used."""

    @property
    def labels(self) -> list[str]:
        """The classes in the order of the head's outputs; empty for targets that are not classes."""
        return []

    @property
    def spellings(self) -> dict[str, str]:
        """Texts returned by `read` that stand for another one: text -> a row's target."""
        return {}

    def stored(self, text: str) -> str:
        """Returns a row's target for the text that `read` returned."""
        return self.spellings.get(text, text)

    def class_rows(self, train: Counter[int], evaluation: Counter[int]) -> tuple[ClassRows, ...]:  # noqa: ARG002
        """Returns the rows of each class, in the order of `labels`. `train` and `evaluation` count the rows of each group."""
        return ()

    def warnings(self, train: Counter[int], evaluation: Counter[int]) -> list[str]:  # noqa: ARG002
        """Returns sentences about possible mistakes."""
        return []


class NoTargets(Targets):
    """For a task that learns from its texts alone."""

    def __init__(self) -> None:
        super().__init__("")

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:  # noqa: ARG002
        return "", 0

    def finish(self) -> None:
        pass
