"""Text classification: one class for each text, or for each pair of texts."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.metrics import Metric
from rankscope.contract.parts import refuse
from rankscope.contract.tasks.classes import Classes
from rankscope.contract.tasks.targets import Targets
from rankscope.contract.tasks.task import UsualColumns
from rankscope.contract.tasks.text_or_pair import ColumnName, TextOrPair, usual_pair

_MAX_LABELS_IN_A_SCRIPT = 50


class TextClassification(TextOrPair):
    model_config = ConfigDict(title="Text classification")

    share_of_right_rows: ClassVar[str | None] = "eval_accuracy"
    zero_for_one_guess: ClassVar[str | None] = "eval_mcc"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_accuracy", title="Evaluation accuracy", group="evaluation"),
        Metric(name="eval_mcc", title="Evaluation MCC", group="evaluation"),
        Metric(name="eval_f1", title="Evaluation F1", group="evaluation"),
        Metric(name="eval_f1_macro", title="Evaluation macro F1", group="evaluation"),
        Metric(name="eval_f1_micro", title="Evaluation micro F1", group="evaluation"),
    )
    text_field: ClassVar[str] = "text_columns"
    target_field: ClassVar[str] = "label_column"

    name: Literal["text_classification"] = "text_classification"
    label_column: ColumnName | None = Field(
        default=None,
        title="Label column",
        description="The column with the class. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )

    def usual_columns(self, columns: Sequence[str]) -> UsualColumns:
        return usual_pair(columns, ("label",))

    def targets(self, column: str) -> Targets:
        return Classes(column)

    def head_outputs(self, labels: Sequence[str]) -> int | None:
        return len(labels)

    def answer_lines(self, labels: Sequence[str]) -> list[str]:
        best = "probabilities.argmax().item()"
        is_named = 0 < len(labels) <= _MAX_LABELS_IN_A_SCRIPT
        return [
            *([f"labels = {list(labels)!r}"] if is_named else []),
            "probabilities = logits.softmax(-1)",
            f"print({f'labels[{best}]' if is_named else best}, probabilities.max().item())",
        ]

    @classmethod
    def from_earlier(cls, config: Mapping[str, object]) -> Mapping[str, object]:
        """Before there were tasks, the columns were options of `data`."""
        data, task = config.get("data"), config.get("task") or {}
        if not isinstance(data, Mapping) or not isinstance(task, Mapping):
            return config
        names = {cls.text_field, cls.target_field} & data.keys()
        if not names or task.get("name", "text_classification") != "text_classification":
            return config
        moved = {name: data[name] for name in (cls.text_field, cls.target_field) if data.get(name) is not None}
        for name, column in moved.items():
            if task.get(name, column) not in (column, None):
                raise refuse(
                    name, column, "is set in data and, with another value, in task", "Set it in task.", at=("data",)
                )
        rest = {name: value for name, value in data.items() if name not in names}
        return {**config, "data": rest, "task": {**task, **moved}}
