"""Multi-label classification: any number of labels for each text, or for each pair of texts."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.metrics import Metric
from rankscope.contract.tasks.classes import LONGEST_LABEL, MAX_CLASSES
from rankscope.contract.tasks.targets import AsText, BadTarget, ClassRows, Targets
from rankscope.contract.tasks.task import UsualColumns
from rankscope.contract.tasks.text_or_pair import ColumnName, TextOrPair

_MAX_LABELS_IN_A_SCRIPT = 50
_MAX_SETS = 65_535


class LabelSets(Targets):
    """Each value is a list of labels, or a text in which they are separated. A row without labels is a valid one."""

    accepts_lists = True

    def __init__(self, column: str, separator: str) -> None:
        super().__init__(column)
        self._separator = separator
        self._labels: dict[str, None] = {}
        self._sets: dict[str, int] = {}
        """The number of each set of labels, as JSON."""

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        labels = self._labels_in(value, as_text, line)
        for label in labels:
            if len(label) > LONGEST_LABEL:
                raise BadTarget(
                    f"is {self.column!r}, which has a label of {len(label):,} characters on line {line}: it looks like a text",
                    "Choose the column with the labels, or change the separator.",
                )
            self._labels.setdefault(label)
            if len(self._labels) > MAX_CLASSES:
                raise BadTarget(
                    f"is {self.column!r}, which has more than {MAX_CLASSES:,} different labels",
                    "Choose the column with the labels, or change the separator.",
                )
        text = json.dumps(sorted(set(labels)), ensure_ascii=False)
        number = self._sets.setdefault(text, len(self._sets))
        if number > _MAX_SETS:
            raise BadTarget(
                f"is {self.column!r}, which has more than {_MAX_SETS:,} different sets of labels",
                "Use fewer labels or rows.",
            )
        return text, number

    def _labels_in(self, value: object, as_text: AsText, line: int) -> list[str]:
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, list | dict) for one in value)):
            raise BadTarget(
                f"is {self.column!r}, which has a nested value on line {line}", 'Write a list such as ["a", "b"].'
            )
        if isinstance(value, list):
            labels = [as_text(one) for one in value]
            return [label.strip() for label in labels if label is not None]
        text = as_text(value)
        if text is None:
            return []
        return [label.strip() for label in text.split(self._separator) if label.strip()]

    def finish(self) -> None:
        if len(self._labels) < 2:
            raise BadTarget(
                f"is {self.column!r}, which has {len(self._labels)} different labels",
                "Choose a column with at least two, or set the separator of the labels within a cell.",
            )

    @property
    def labels(self) -> list[str]:
        return sorted(self._labels)

    def class_rows(self, train: Counter[int], evaluation: Counter[int]) -> tuple[ClassRows, ...]:
        trained, evaluated = self._by_label(train), self._by_label(evaluation)
        return tuple(ClassRows(label, trained[label], evaluated[label]) for label in self.labels)

    def warnings(self, train: Counter[int], evaluation: Counter[int]) -> list[str]:
        trained, evaluated = self._by_label(train), self._by_label(evaluation)
        found = []
        untrained = [label for label in self.labels if evaluated[label] and not trained[label]]
        if untrained:
            more = f" and {len(untrained) - 3} more" if len(untrained) > 3 else ""
            found.append(
                f"Column {self.column!r}: no training row has {', '.join(map(repr, untrained[:3]))}{more}; "
                "all of its rows are used for evaluation."
            )
        if all(text.count('"') <= 2 for text in self._sets):
            found.append(
                f"Column {self.column!r}: no row has more than one label. If labels are separated within a cell, set their "
                "separator; otherwise use text classification."
            )
        return found

    def _by_label(self, rows: Counter[int]) -> Counter[str]:
        sets = list(self._sets)
        counted: Counter[str] = Counter()
        for number, count in rows.items():
            for label in json.loads(sets[number]):
                counted[label] += count
        return counted


class MultiLabelClassification(TextOrPair):
    model_config = ConfigDict(title="Multi-label classification")

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_f1_micro", title="Evaluation micro F1", group="evaluation"),
        Metric(name="eval_f1_macro", title="Evaluation macro F1", group="evaluation"),
        Metric(name="eval_exact_match", title="Evaluation exact match", group="evaluation"),
    )
    text_field: ClassVar[str] = "text_columns"
    target_field: ClassVar[str] = "labels_column"

    name: Literal["multi_label"] = "multi_label"
    labels_column: ColumnName | None = Field(
        default=None,
        title="Labels column",
        description="The column with the labels: a list, or a text in which they are separated. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )
    separator: str = Field(
        default=",",
        min_length=1,
        max_length=10,
        title="Separator of the labels",
        description="Within a cell that is not a list.",
    )

    def usual_columns(self, columns: Sequence[str]) -> UsualColumns:
        return UsualColumns(target="labels" if "labels" in columns else None)

    @classmethod
    def is_likely(cls, columns: Sequence[str], labels: Sequence[str]) -> bool:
        return "labels" in columns and "tokens" not in columns and not labels

    def targets(self, column: str) -> Targets:
        return LabelSets(column, self.separator)

    def head_outputs(self, labels: Sequence[str]) -> int | None:
        return len(labels)

    def answer_lines(self, labels: Sequence[str]) -> list[str]:
        is_named = 0 < len(labels) <= _MAX_LABELS_IN_A_SCRIPT
        return [
            *([f"labels = {list(labels)!r}"] if is_named else []),
            "probabilities = logits.sigmoid()",
            f"print([{'labels[i]' if is_named else 'i'} for i, p in enumerate(probabilities) if p >= 0.5])",
        ]
