"""TextOrPair: tasks whose input is one text or a pair of texts, read by a head with one or more outputs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field

from rankscope.contract.tasks.column_names import named
from rankscope.contract.tasks.task import Task, UsualColumns

ColumnName = Annotated[str, Field(max_length=500)]
PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text_a", "text_b"),
)
"""Usual names of the columns of a pair, with those of GLUE."""


class TextOrPair(Task, ABC):
    text_columns: list[ColumnName] | None = Field(
        default=None,
        min_length=1,
        max_length=2,
        title="Text columns",
        description="One column, or two for a pair of sentences. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )

    @property
    def texts(self) -> list[str] | None:
        return self.text_columns

    @property
    def target(self) -> str | None:
        target: str | None = getattr(self, self.target_field)
        return target

    def with_columns(self, texts: Sequence[str], target: str | None) -> Self:
        return self.model_copy(update={self.text_field: list(texts), self.target_field: target})

    @abstractmethod
    def answer_lines(self, labels: Sequence[str]) -> list[str]:
        """Returns the lines of a script that print the answer for the outputs `logits` (n,)."""

    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:
        if base is None:
            load = [f'model = AutoModelForSequenceClassification.from_pretrained("{folder}")']
        else:
            outputs = self.head_outputs(labels) or 2
            load = [
                f"base = AutoModelForSequenceClassification.from_pretrained({base}, num_labels={outputs})",
                f'model = PeftModel.from_pretrained(base, "{folder}").merge_and_unload()',
            ]
        is_pair = len(self.text_columns or []) == 2
        texts = '"your first text", "your second text"' if is_pair else '"your text"'
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
                "",
                f'inputs = tokenizer({texts}, return_tensors="pt")',
                "with torch.no_grad():",
                "    logits = model(**inputs).logits[0]",
                *self.answer_lines(labels),
                "",
            ]
        )


def usual_pair(columns: Sequence[str], targets: Sequence[str]) -> UsualColumns:
    """Returns the columns of a data set of pairs, with the first of `targets` that it has; nothing for another data set."""
    target = named(columns, targets)
    for first, second in PAIRS:
        pair = named(columns, [first]), named(columns, [second])
        if pair[0] and pair[1] and target:
            return UsualColumns((pair[0], pair[1]), target)
    return UsualColumns()
