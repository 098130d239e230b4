"""Task: everything that the rest of the product needs to know about a task. Never imports torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import Field, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from rankscope.contract.metrics import EVAL_LOSS, REPORTED, Metric, describe
from rankscope.contract.parts import Part, advanced, is_stored, refuse
from rankscope.contract.predictions import InputField
from rankscope.contract.tasks.targets import AsText, Targets


class UsualColumns(NamedTuple):
    """The columns of a data set that a task uses unless others are chosen."""

    texts: tuple[str, ...] = ()
    target: str | None = None


class Task(Part, ABC):
    """Options and properties of a task. The part that needs torch is in `rankscope_worker.child.tasks`."""

    name: str
    headline_metric: Annotated[str, Field(max_length=65)] | None = Field(
        default=None,
        title="Headline metric",
        description="The metric that lists and charts of the run show first, and by which its best checkpoint is chosen unless "
        "best_metric is another one. Empty: the task's usual one.",
        json_schema_extra=advanced(),
    )

    metrics: ClassVar[tuple[Metric, ...]] = ()
    """The metrics of an evaluation besides the loss. The first one is the headline metric unless a run chooses another."""
    share_of_right_rows: ClassVar[str | None] = None
    """The metric that is the share of rows with the right class. For one guess everywhere, it is the share of that class."""
    zero_for_one_guess: ClassVar[str | None] = None
    """A metric that is exactly 0 for one guess everywhere, and practically never otherwise."""
    text_field: ClassVar[str]
    """The option with the text columns, at which their problems are reported."""
    has_target_tokens: ClassVar[bool] = False
    """Whether part of the model reads the tokens of the target instead of those of the input, as a decoder after an encoder."""
    has_linear_head: ClassVar[bool] = False
    """Whether the new head is one linear layer on the last hidden states, instead of the model's own kind of classifier."""
    target_field: ClassVar[str]
    """The option with the target column; for a task that has none, `text_field`."""

    @classmethod
    def usual_headline(cls) -> Metric:
        """Returns the headline metric of a run that chooses none."""
        return cls.metrics[0]

    def headline(self) -> Metric:
        """Returns the run's headline metric, which lists show."""
        return self.headline_of(self.headline_metric)

    @classmethod
    def headline_of(cls, chosen: str | None) -> Metric:
        """Returns the headline metric of a run with this `headline_metric`."""
        return cls.usual_headline() if chosen is None else cls.describe(chosen)

    @classmethod
    def described(cls) -> tuple[Metric, ...]:
        """Returns every metric that a run of this task can have, in the order of the page."""
        evaluated = [metric for metric in REPORTED if metric.name == EVAL_LOSS]
        others = [metric for metric in REPORTED if metric.name != EVAL_LOSS]
        return (*others, cls.usual_headline(), *evaluated, *cls.metrics[1:])

    @classmethod
    def describe(cls, metric: str) -> Metric:
        return describe(metric, cls.described())

    @classmethod
    def best_by(cls) -> list[str]:
        """Returns the names of the metrics that can determine the best checkpoint: all metrics of an evaluation."""
        return [*(metric.name for metric in cls.metrics), EVAL_LOSS]

    @model_validator(mode="after")
    def _headline_is_computed(self, info: ValidationInfo) -> Self:
        if self.headline_metric is not None and self.headline_metric not in self.best_by() and not is_stored(info):
            raise refuse(
                "headline_metric",
                self.headline_metric,
                f"is {self.headline_metric!r}, which no evaluation computes",
                f"Use one of {', '.join(self.best_by())}.",
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Lists this task's metrics as the choices of `headline_metric`."""
        schema = handler(core)
        properties: dict[str, Any] = handler.resolve_ref_schema(schema).get("properties", {})
        for member in properties.get("headline_metric", {}).get("anyOf", []):
            if member.get("type") == "string":
                member["enum"] = cls.best_by()
        return schema

    @property
    @abstractmethod
    def texts(self) -> list[str] | None:
        """The text columns; None: the data set's default."""

    @property
    @abstractmethod
    def target(self) -> str | None:
        """The target column; None: the data set's default."""

    @property
    def target_length(self) -> int | None:
        """The largest number of target tokens in a row, if part of the model reads those instead of the input's."""
        return None

    @property
    def has_target(self) -> bool:
        """Whether the task reads a target column. Without one, `targets` is called with an empty name."""
        return True

    @property
    def chat_template_field(self) -> str | None:
        """The option because of which the model's tokenizer needs a chat template; None if it needs none."""
        return None

    without_chat_template: ClassVar[str] = ""
    """What to do if there is none."""

    def usual_columns(self, columns: Sequence[str]) -> UsualColumns | None:  # noqa: ARG002
        """Returns this task's columns in a data set with these columns, by their names.

        Without texts or target: the data set's default ones.
        """
        return UsualColumns()

    @classmethod
    def is_likely(cls, columns: Sequence[str], labels: Sequence[str]) -> bool:  # noqa: ARG003
        """Whether a data set with these columns is most likely for this task. `labels`: values of its default target column."""
        return False

    @classmethod
    def likely_options(cls, columns: Sequence[str]) -> dict[str, str]:  # noqa: ARG003
        """Returns the options, other than columns, that fit a data set for which this task is likely."""
        return {}

    @abstractmethod
    def with_columns(self, texts: Sequence[str], target: str | None) -> Self:
        """Returns the task with these columns, given by their exact names."""

    def read_text(self, value: object, as_text: AsText) -> str | None:
        """Returns a cell of a text column as text, or None if it is empty.

        A task that reads lists or objects returns them as JSON (`text_or_json`); otherwise such a cell is refused.
        """
        return as_text(value)

    @abstractmethod
    def targets(self, column: str) -> Targets:
        """Returns a new reader of the target column, for one pass over a data set."""

    @abstractmethod
    def head_outputs(self, labels: Sequence[str]) -> int | None:
        """Returns the number of outputs of the head that is added to the model; None for a task without a new head."""

    def inputs(self) -> list[InputField]:
        """Returns the fields of an input of "Try it": one for each text column of a resolved configuration."""
        return [InputField(name=column, title=column) for column in self.texts or ["text"]]

    @abstractmethod
    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:
        """Returns a Python script that loads the result in `folder` and uses it once.

        `base`: the base model for `from_pretrained`, as a Python expression. None: the folder has all weights.
        """

    @classmethod
    def from_earlier(cls, config: Mapping[str, object]) -> Mapping[str, object]:
        """Converts a configuration of an earlier version: moves the task's options from where they were stored then."""
        return config
