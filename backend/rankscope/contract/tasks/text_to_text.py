"""Text to text: an encoder-decoder writes a text from another one, such as a summary."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from rankscope.contract.metrics import Metric
from rankscope.contract.parts import advanced, refuse
from rankscope.contract.predictions import InputField
from rankscope.contract.tasks.column_names import named
from rankscope.contract.tasks.free_texts import FreeTexts
from rankscope.contract.tasks.targets import Targets
from rankscope.contract.tasks.task import Task, UsualColumns

_ColumnName = Annotated[str, Field(max_length=500)]
_SOURCES = ("document", "article", "source", "dialogue", "text")
_TARGETS = ("summary", "highlights", "target")


class TextToText(Task):
    model_config = ConfigDict(title="Summarisation and text to text")

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_rougeL", title="Evaluation ROUGE-L", group="evaluation"),
        Metric(name="eval_rouge1", title="Evaluation ROUGE-1", group="evaluation"),
        Metric(name="eval_rouge2", title="Evaluation ROUGE-2", group="evaluation"),
        Metric(name="eval_bleu", title="Evaluation BLEU", group="evaluation"),
        Metric(name="eval_chrf", title="Evaluation chrF", group="evaluation"),
        Metric(name="eval_perplexity", title="Evaluation perplexity", group="evaluation", lower_is_better=True),
        Metric(name="eval_token_accuracy", title="Evaluation token accuracy", group="evaluation"),
        Metric(name="eval_generated_words", title="Evaluation words per text", group="evaluation"),
    )
    has_target_tokens: ClassVar[bool] = True
    text_field: ClassVar[str] = "source_column"
    target_field: ClassVar[str] = "target_column"

    name: Literal["text_to_text"] = "text_to_text"
    source_column: _ColumnName | None = Field(
        default=None,
        title="Source column",
        description="The column with the text to read, such as an article. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )
    target_column: _ColumnName | None = Field(
        default=None,
        title="Target column",
        description="The column with the text to write, such as a summary. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )
    prefix: str = Field(
        default="",
        max_length=500,
        title="Prefix",
        description='Written in front of each source. T5 expects one, such as "summarize: ".',
    )
    max_target_length: int = Field(
        default=64,
        ge=2,
        le=1024,
        title="Maximum target length",
        description="Longer targets are truncated. Generated texts are not longer either.",
        json_schema_extra={"x-unit": "tokens"},
    )
    generated_rows: int = Field(
        default=64,
        ge=1,
        le=20_000,
        title="Rows with a generated text",
        description="Evaluation rows whose text is generated, for ROUGE and BLEU. Each takes as many forward passes as it "
        "gets tokens.",
        json_schema_extra={"x-unit": "rows"},
    )
    beams: int = Field(
        default=4,
        ge=1,
        le=16,
        title="Beams",
        description="Candidates that the search for the best text keeps. 1: greedy, the fastest.",
    )
    min_target_length: int = Field(
        default=0,
        ge=0,
        le=1024,
        title="Minimum length of a generated text",
        description="0: no minimum.",
        json_schema_extra={"x-unit": "tokens", **advanced()},
    )
    length_penalty: float = Field(
        default=1.0,
        ge=-10,
        le=10,
        title="Length penalty",
        description="Above 1, the search prefers longer texts; below 1, shorter ones. Only with several beams.",
        json_schema_extra=advanced(),
    )
    no_repeat_ngram_size: int = Field(
        default=0,
        ge=0,
        le=20,
        title="No repetition of",
        description="A generated text contains no sequence of this many tokens twice. 0: no such rule.",
        json_schema_extra={"x-unit": "tokens", **advanced()},
    )

    @model_validator(mode="after")
    def _minimum_is_possible(self) -> Self:
        if self.min_target_length >= self.max_target_length:
            raise refuse(
                "min_target_length",
                self.min_target_length,
                f"is {self.min_target_length}; it must be below max_target_length, which is {self.max_target_length}",
                "Lower it, or raise max_target_length.",
            )
        return self

    @property
    def target_length(self) -> int:
        return self.max_target_length

    @property
    def texts(self) -> list[str] | None:
        return None if self.source_column is None else [self.source_column]

    @property
    def target(self) -> str | None:
        return self.target_column

    def usual_columns(self, columns: Sequence[str]) -> UsualColumns | None:
        source, target = named(columns, _SOURCES), named(columns, _TARGETS)
        return None if source is None or target is None else UsualColumns((source,), target)

    @classmethod
    def is_likely(cls, columns: Sequence[str], labels: Sequence[str]) -> bool:  # noqa: ARG003
        source, target = named(columns, _SOURCES), named(columns, ("summary", "highlights"))
        return source is not None and target is not None

    def with_columns(self, texts: Sequence[str], target: str | None) -> Self:
        return self.model_copy(update={"source_column": texts[0], "target_column": target})

    def targets(self, column: str) -> Targets:
        return FreeTexts(column, "target")

    def head_outputs(self, labels: Sequence[str]) -> int | None:  # noqa: ARG002
        return None

    def inputs(self) -> list[InputField]:
        return [InputField(name=self.source_column or "text", title="Source", is_long=True)]

    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:  # noqa: ARG002
        if base is None:
            load = [f'model = AutoModelForSeq2SeqLM.from_pretrained("{folder}")']
        else:
            load = [
                f"base = AutoModelForSeq2SeqLM.from_pretrained({base})",
                f'model = PeftModel.from_pretrained(base, "{folder}").merge_and_unload()',
            ]
        return "\n".join(
            [
                *(["from peft import PeftModel"] if base is not None else []),
                "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer",
                "",
                f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
                *load,
                "model.eval()",
                "",
                f'inputs = tokenizer({self.prefix + "your text"!r}, return_tensors="pt")',
                f'tokens = model.generate(inputs["input_ids"], max_new_tokens={self.max_target_length}, '
                f"num_beams={self.beams}, do_sample=False)",
                "print(tokenizer.decode(tokens[0], skip_special_tokens=True))",
                "",
            ]
        )
