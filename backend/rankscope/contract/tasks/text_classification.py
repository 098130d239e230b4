"""Text classification: one class for each text, or for each pair of texts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from rankscope.contract.metrics import Metric
from rankscope.contract.parts import refuse
from rankscope.contract.tasks.classes import Classes
from rankscope.contract.tasks.targets import Targets
from rankscope.contract.tasks.task import Task

_ColumnName = Annotated[str, Field(max_length=500)]
_MAX_LABELS_IN_A_SCRIPT = 50


class TextClassification(Task):
    model_config = ConfigDict(title="Text classification")

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_accuracy", title="Evaluation accuracy", group="evaluation"),
        Metric(name="eval_mcc", title="Evaluation MCC", group="evaluation"),
    )
    text_field: ClassVar[str] = "text_columns"
    target_field: ClassVar[str] = "label_column"

    name: Literal["text_classification"] = "text_classification"
    text_columns: list[_ColumnName] | None = Field(
        default=None,
        min_length=1,
        max_length=2,
        title="Text columns",
        description="One column, or two for a pair of sentences. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )
    label_column: _ColumnName | None = Field(
        default=None,
        title="Label column",
        description="The column with the class. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )

    @property
    def texts(self) -> list[str] | None:
        return self.text_columns

    @property
    def target(self) -> str | None:
        return self.label_column

    def with_columns(self, texts: Sequence[str], target: str | None) -> Self:
        return self.model_copy(update={"text_columns": list(texts), "label_column": target})

    def targets(self, column: str) -> Targets:
        return Classes(column)

    def head_outputs(self, labels: Sequence[str]) -> int | None:
        return len(labels)

    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:
        if base is None:
            load = [f'model = AutoModelForSequenceClassification.from_pretrained("{folder}")']
        else:
            load = [
                f"base = AutoModelForSequenceClassification.from_pretrained({base}, num_labels={len(labels) or 2})",
                f'model = PeftModel.from_pretrained(base, "{folder}").merge_and_unload()',
            ]
        names = repr(list(labels)) if 0 < len(labels) <= _MAX_LABELS_IN_A_SCRIPT else None
        answer = "scores.argmax().item()"
        return "\n".join(
            [
                "import torch",
                *(["from peft import PeftModel"] if base is not None else []),
                "from transformers import AutoModelForSequenceClassification, AutoTokenizer",
                "",
                f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
                *load,
                "model.config.pad_token_id = tokenizer.pad_token_id",
                "model.eval()",
                *([f"labels = {names}"] if names else []),
                "",
                'inputs = tokenizer("your text", return_tensors="pt")',
                "with torch.no_grad():",
                "    scores = model(**inputs).logits[0].softmax(-1)",
                f"print({f'labels[{answer}]' if names else answer}, scores.max().item())",
                "",
            ]
        )

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
