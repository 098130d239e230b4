"""Grading: a grade for a note, where one grade too high or too low is nearly right."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from rankscope.contract.metrics import Metric
from rankscope.contract.tasks.task import Task


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

    def with_columns(self, texts: Sequence[str], target: str) -> Self:
        return self.model_copy(update={"note_column": texts[0], "grade_column": target})

    def head_outputs(self, labels: Sequence[str]) -> int | None:
        return len(labels)

    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:
        return f'print("{folder}")\n'
