"""Extractive question answering: the answer to a question is a part of its context (SQuAD 1.1 and 2.0)."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from rankscope.contract.metrics import Metric
from rankscope.contract.parts import advanced
from rankscope.contract.predictions import InputField
from rankscope.contract.tasks.column_names import named
from rankscope.contract.tasks.squad_answers import SquadAnswers
from rankscope.contract.tasks.targets import Targets
from rankscope.contract.tasks.task import Task, UsualColumns

_ColumnName = Annotated[str, Field(max_length=500)]


class QuestionAnswering(Task):
    model_config = ConfigDict(title="Extractive question answering")

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_f1", title="Evaluation F1", group="evaluation"),
        Metric(name="eval_exact_match", title="Evaluation exact match", group="evaluation"),
    )
    has_linear_head: ClassVar[bool] = True
    text_field: ClassVar[str] = "context_column"
    target_field: ClassVar[str] = "answers_column"

    name: Literal["question_answering"] = "question_answering"
    question_column: _ColumnName | None = Field(
        default=None,
        title="Question column",
        description="Empty: the column named question.",
        json_schema_extra={"x-options": "columns"},
    )
    context_column: _ColumnName | None = Field(
        default=None,
        title="Context column",
        description="The column with the text that contains the answer. Empty: the column named context.",
        json_schema_extra={"x-options": "columns"},
    )
    answers_column: _ColumnName | None = Field(
        default=None,
        title="Answers column",
        description='The column with {"text": [...], "answer_start": [...]}. Empty: the column named answers.',
        json_schema_extra={"x-options": "columns"},
    )
    unanswerable: bool = Field(
        default=False,
        title="Some questions have no answer",
        description="As in SQuAD 2.0: rows without answers are learned, and the model may answer nothing. Otherwise such rows "
        "are left out.",
    )
    overlap: int = Field(
        default=128,
        ge=0,
        le=4096,
        title="Overlap of windows",
        description="A context that is longer than the maximum length is read in windows that share this many tokens.",
        json_schema_extra={"x-unit": "tokens"},
    )
    max_answer_tokens: int = Field(
        default=30,
        ge=1,
        le=1000,
        title="Longest answer",
        json_schema_extra={"x-unit": "tokens", **advanced()},
    )
    n_best: int = Field(
        default=20,
        ge=1,
        le=200,
        title="Starts and ends to combine",
        description="The answer is the best combination of this many of the likeliest starts and ends of a window.",
        json_schema_extra=advanced(),
    )
    null_threshold: float = Field(
        default=0.0,
        ge=-1000,
        le=1000,
        title="No-answer threshold",
        description="The model answers nothing if the score of no answer exceeds that of the best answer by more than this. "
        "Only if some questions have no answer.",
        json_schema_extra=advanced(),
    )

    @property
    def texts(self) -> list[str] | None:
        if self.question_column is None or self.context_column is None:
            return None
        return [self.question_column, self.context_column]

    @property
    def target(self) -> str | None:
        return self.answers_column

    def usual_columns(self, columns: Sequence[str]) -> UsualColumns | None:
        question = self.question_column or named(columns, ("question", "query"))
        context = self.context_column or named(columns, ("context", "passage", "paragraph"))
        texts = () if question is None or context is None else (question, context)
        return UsualColumns(texts, named(columns, ("answers", "answer")))

    @classmethod
    def is_likely(cls, columns: Sequence[str], labels: Sequence[str]) -> bool:  # noqa: ARG003
        return {"question", "context", "answers"} <= {column.strip().casefold() for column in columns}

    def with_columns(self, texts: Sequence[str], target: str | None) -> Self:
        question, context = texts
        return self.model_copy(
            update={"question_column": question, "context_column": context, "answers_column": target}
        )

    def targets(self, column: str) -> Targets:
        return SquadAnswers(column, self.unanswerable)

    def head_outputs(self, labels: Sequence[str]) -> int | None:  # noqa: ARG002
        return 2  # a score as start and one as end

    def inputs(self) -> list[InputField]:
        return [
            InputField(name=self.question_column or "question", title="Question"),
            InputField(name=self.context_column or "context", title="Context", is_long=True),
        ]

    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:  # noqa: ARG002
        if base is None:
            load = [f'model = AutoModelForQuestionAnswering.from_pretrained("{folder}")']
        else:
            load = [
                f"base = AutoModelForQuestionAnswering.from_pretrained({base})",
                f'model = PeftModel.from_pretrained(base, "{folder}").merge_and_unload()',
            ]
        return "\n".join(
            [
                "import torch",
                *(["from peft import PeftModel"] if base is not None else []),
                "from transformers import AutoModelForQuestionAnswering, AutoTokenizer",
                "",
                f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
                *load,
                "model.eval()",
                "",
                'question, context = "your question", "your context"',
                'inputs = tokenizer(question, context, truncation="only_second", return_tensors="pt")',
                "with torch.no_grad():",
                "    found = model(**inputs)",
                "inside = torch.tensor([part == 1 for part in inputs.sequence_ids()])",
                "scores = found.start_logits[0][:, None] + found.end_logits[0]",
                f"allowed = torch.ones_like(scores).triu().tril({self.max_answer_tokens - 1}).bool()",
                "allowed &= inside[:, None] & inside",
                'scores = scores.masked_fill(~allowed, float("-inf"))',
                "start, end = divmod(scores.argmax().item(), len(inside))",
                "print(context[inputs.token_to_chars(start).start : inputs.token_to_chars(end).end])",
                "",
            ]
        )
