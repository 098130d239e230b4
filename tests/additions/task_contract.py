"""Grading: a grade for a note, where one grade too high or too low is nearly right."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from rankscope.contract.metrics import Metric
from rankscope.contract.tasks.targets import AsText, BadTarget, ClassRows, Targets
from rankscope.contract.tasks.task import Task


class Grades(Targets):
    """Integers from 1 to 9. Every grade between the lowest and the highest is a class, even without rows."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self._seen: set[int] = set()

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        text = as_text(value)
        if text not in tuple("123456789"):
            return f"no grade in column {self.column!r}"
        self._seen.add(int(text))
        return text, int(text)

    def finish(self) -> None:
        if len(self._seen) < 2:
            raise BadTarget(f"is {self.column!r}, where all have the same grade", "Use another column.")

    @property
    def labels(self) -> list[str]:
        return [str(grade) for grade in range(min(self._seen), max(self._seen) + 1)]

    def class_rows(self, train: Counter[int], evaluation: Counter[int]) -> tuple[ClassRows, ...]:
        return tuple(ClassRows(grade, train[int(grade)], evaluation[int(grade)]) for grade in self.labels)


class Grading(Task):
    model_config = ConfigDict(title="Grading")

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_distance", title="Evaluation distance", group="evaluation", lower_is_better=True),
    )
    text_field: ClassVar[str] = "note_column"
    target_field: ClassVar[str] = "grade_column"

    name: Literal["grading"] = "grading"
    note_column: str | None = Field(default=None, title="Note")
    grade_column: str | None = Field(default=None, title="Grade")

    @property
    def texts(self) -> list[str] | None:
        return None if self.note_column is None else [self.note_column]

    @property
    def target(self) -> str | None:
        return self.grade_column

    def with_columns(self, texts: Sequence[str], target: str | None) -> Self:
        return self.model_copy(update={"note_column": texts[0], "grade_column": target})

    def targets(self, column: str) -> Targets:
        return Grades(column)

    def head_outputs(self, labels: Sequence[str]) -> int | None:
        return len(labels)

    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:
        return f'print("{folder}")\n'
