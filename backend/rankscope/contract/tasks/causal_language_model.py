"""Causal language model: continues a text, or answers a prompt or a conversation."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from rankscope.contract.metrics import Metric
from rankscope.contract.parts import advanced, refuse
from rankscope.contract.predictions import InputField
from rankscope.contract.tasks.column_names import named
from rankscope.contract.tasks.conversations import Conversations
from rankscope.contract.tasks.free_texts import FreeTexts
from rankscope.contract.tasks.targets import AsText, NoTargets, Targets, text_or_json
from rankscope.contract.tasks.task import Task, UsualColumns

_ColumnName = Annotated[str, Field(max_length=500)]
_PROMPTS = ("prompt", "instruction", "question")
_ANSWERS = ("answer", "completion", "response", "output")
_CONVERSATIONS = ("messages", "conversation", "conversations")


class CausalLanguageModel(Task):
    model_config = ConfigDict(title="Language model and chat")

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_perplexity", title="Evaluation perplexity", group="evaluation", lower_is_better=True),
        Metric(name="eval_token_accuracy", title="Evaluation token accuracy", group="evaluation"),
        Metric(name="eval_exact_match", title="Evaluation exact match", group="evaluation"),
    )
    text_field: ClassVar[str] = "text_column"
    target_field: ClassVar[str] = "answer_column"

    name: Literal["causal_language_model"] = "causal_language_model"
    form: Literal["prompt", "messages", "text"] = Field(
        default="prompt",
        title="Rows contain",
        description="prompt: a prompt and its answer, in two columns. messages: a list of {role, content}. "
        "text: a text without an answer, which is learned as a whole.",
    )
    text_column: _ColumnName | None = Field(
        default=None,
        title="Prompt, messages or text",
        description="The column with the prompt, the messages or the text. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )
    answer_column: _ColumnName | None = Field(
        default=None,
        title="Answer column",
        description="Only for prompts. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )
    template: Literal["chat", "plain"] = Field(
        default="chat",
        title="Template of prompts",
        description="chat: the chat template of the model's tokenizer. plain: the prompt, the separator, the answer and the "
        "end token, for models without a chat template. Messages always use the chat template.",
    )
    system_prompt: str | None = Field(
        default=None,
        max_length=4000,
        title="System prompt",
        description="The first message of each prompt, such as an instruction. Only for prompts with the chat template.",
    )
    separator: str = Field(
        default="\n",
        max_length=200,
        title="Separator",
        description="Between prompt and answer in the plain template.",
        json_schema_extra=advanced(),
    )
    loss_on: Literal["answer", "all"] = Field(
        default="answer",
        title="Loss on",
        description="answer: only the tokens of the answers count. all: the tokens of the prompts count too.",
        json_schema_extra=advanced(),
    )
    pack: bool = Field(
        default=False,
        title="Pack rows",
        description="Put short rows of a batch into one sequence of at most max_length tokens, so that less padding is computed. "
        "The loss is the same: rows don't see each other.",
        json_schema_extra=advanced(),
    )
    generated_rows: int = Field(
        default=32,
        ge=0,
        le=1000,
        title="Rows with a generated answer",
        description="Evaluation rows whose answer is generated, for the exact match. 0: none.",
        json_schema_extra={"x-unit": "rows"},
    )
    max_new_tokens: int = Field(
        default=32,
        ge=1,
        le=1024,
        title="Longest generated answer",
        description="In evaluations and in Try it.",
        json_schema_extra={"x-unit": "tokens"},
    )

    @model_validator(mode="after")
    def _answers_only_for_prompts(self) -> Self:
        if self.form != "prompt":
            for name, value in (("answer_column", self.answer_column), ("system_prompt", self.system_prompt)):
                if value is not None:
                    raise refuse(
                        name,
                        value,
                        f"is only for form prompt, but form is {self.form}",
                        f"Clear {name}, or use prompt.",
                    )
        elif self.template == "plain" and self.system_prompt is not None:
            raise refuse(
                "system_prompt",
                self.system_prompt,
                "is only for the chat template, but template is plain",
                "Clear system_prompt, or set template to chat.",
            )
        return self

    @property
    def has_target(self) -> bool:
        return self.form == "prompt"

    @property
    def texts(self) -> list[str] | None:
        return None if self.text_column is None else [self.text_column]

    @property
    def target(self) -> str | None:
        return self.answer_column

    @property
    def chat_template_field(self) -> str | None:
        if self.form == "messages":
            return "form"
        return "template" if self.form == "prompt" and self.template == "chat" else None

    without_chat_template: ClassVar[str] = (
        "Choose a model that was trained for chat, or, for prompts and answers in two columns, the template plain."
    )

    def usual_columns(self, columns: Sequence[str]) -> UsualColumns | None:
        if self.form == "messages":
            found = named(columns, _CONVERSATIONS)
            return None if found is None else UsualColumns((found,), None)
        if self.form == "text":
            return None
        prompt, answer = named(columns, _PROMPTS), named(columns, _ANSWERS)
        return None if prompt is None or answer is None else UsualColumns((prompt,), answer)

    @classmethod
    def is_likely(cls, columns: Sequence[str], labels: Sequence[str]) -> bool:  # noqa: ARG003
        names = {column.strip().casefold() for column in columns}
        is_answered = "prompt" in names and not names.isdisjoint(_ANSWERS)
        return is_answered or not names.isdisjoint(_CONVERSATIONS) or {"instruction", "output"} <= names

    @classmethod
    def likely_options(cls, columns: Sequence[str]) -> dict[str, str]:
        names = {column.strip().casefold() for column in columns}
        return {} if names.isdisjoint(_CONVERSATIONS) else {"form": "messages"}

    def with_columns(self, texts: Sequence[str], target: str | None) -> Self:
        return self.model_copy(update={"text_column": texts[0], "answer_column": target})

    def read_text(self, value: object, as_text: AsText) -> str | None:
        return text_or_json(value, as_text) if self.form == "messages" else as_text(value)

    def targets(self, column: str) -> Targets:
        if self.form == "prompt":
            return FreeTexts(column, "answer")
        return Conversations() if self.form == "messages" else NoTargets()

    def head_outputs(self, labels: Sequence[str]) -> int | None:  # noqa: ARG002
        return None

    def inputs(self) -> list[InputField]:
        titles = {"prompt": "Prompt", "messages": "Message", "text": "Beginning of a text"}
        return [InputField(name=self.text_column or "text", title=titles[self.form], is_long=True)]

    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:  # noqa: ARG002
        is_chat = self.form == "messages" or (self.form == "prompt" and self.template == "chat")
        if base is None:
            load = [f'model = AutoModelForCausalLM.from_pretrained("{folder}")']
        else:
            load = [
                f"base = AutoModelForCausalLM.from_pretrained({base})",
                f'model = PeftModel.from_pretrained(base, "{folder}").merge_and_unload()',
            ]
        if is_chat:
            system = [] if self.system_prompt is None else [{"role": "system", "content": self.system_prompt}]
            encode = [
                f"messages = {[*system, {'role': 'user', 'content': 'your prompt'}]!r}",
                "inputs = tokenizer.apply_chat_template(",
                '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True',
                ")",
            ]
        else:
            separator = self.separator if self.form == "prompt" else ""
            encode = [f'inputs = tokenizer({"your prompt" + separator!r}, return_tensors="pt")']
        return "\n".join(
            [
                *(["from peft import PeftModel"] if base is not None else []),
                "from transformers import AutoModelForCausalLM, AutoTokenizer",
                "",
                f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
                *load,
                "model.eval()",
                "",
                *encode,
                f"tokens = model.generate(**inputs, max_new_tokens={self.max_new_tokens}, do_sample=False)",
                'print(tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))',
                "",
            ]
        )
