"""Regression: a number for each text, or for each pair of texts."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.metrics import Metric
from rankscope.contract.tasks.classes import is_number
from rankscope.contract.tasks.column_names import named
from rankscope.contract.tasks.targets import AsText, BadTarget, Targets
from rankscope.contract.tasks.task import UsualColumns
from rankscope.contract.tasks.text_or_pair import ColumnName, TextOrPair, usual_pair

_SCORES = ("score", "similarity_score", "similarity", "rating", "label")


class Numbers(Targets):
    """Each value is a finite number."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self._lowest, self._highest = math.inf, -math.inf

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        text = as_text(value)
        if text is None:
            return f"no number in column {self.column!r}"
        if not is_number(text) or isinstance(value, bool):
            raise BadTarget(
                f"is {self.column!r}, which has {text[:60]!r} on line {line}: not a number",
                "Fix the line, leave the cell empty, or choose the column with the number.",
            )
        number = float(text)
        if not math.isfinite(number):
            return f"a number that is not finite in column {self.column!r}"
        self._lowest, self._highest = min(self._lowest, number), max(self._highest, number)
        return repr(number), 0

    def finish(self) -> None:
        if self._lowest >= self._highest:
            raise BadTarget(
                f"is {self.column!r}, which has the same number in all rows", "Choose a column with different numbers."
            )


class Regression(TextOrPair):
    model_config = ConfigDict(title="Regression")

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_pearson", title="Evaluation Pearson", group="evaluation"),
        Metric(name="eval_spearman", title="Evaluation Spearman", group="evaluation"),
        Metric(name="eval_mse", title="Evaluation MSE", group="evaluation", lower_is_better=True),
    )
    text_field: ClassVar[str] = "text_columns"
    target_field: ClassVar[str] = "number_column"

    name: Literal["regression"] = "regression"
    number_column: ColumnName | None = Field(
        default=None,
        title="Number column",
        description="The column with the number. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )

    def usual_columns(self, columns: Sequence[str]) -> UsualColumns:
        pair = usual_pair(columns, _SCORES)
        return pair if pair.texts else UsualColumns(target=named(columns, _SCORES))

    @classmethod
    def is_likely(cls, columns: Sequence[str], labels: Sequence[str]) -> bool:
        """More than ten numbers, some of them fractions; or a score, and no column of classes."""
        numbers = [label for label in labels if is_number(label)]
        if len(numbers) > 10 and len(numbers) == len(labels) and any("." in label for label in labels):
            return True
        return named(columns, _SCORES[:-1]) is not None and not labels

    def targets(self, column: str) -> Targets:
        return Numbers(column)

    def head_outputs(self, labels: Sequence[str]) -> int | None:  # noqa: ARG002
        return 1

    def answer_lines(self, labels: Sequence[str]) -> list[str]:  # noqa: ARG002
        return ["print(logits.item())"]
