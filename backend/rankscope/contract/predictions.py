"""Predictions of a finished run's model and of its base model for given inputs. A background job, kept for minutes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rankscope.contract.jobs import JobState


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class InputField(_Shape):
    """One field of an input that a run's model reads, such as a question."""

    name: str
    """Its name in an input: the column that it was trained on."""
    title: str
    is_long: bool = False
    """Whether it may have several lines. Otherwise, if it is the only field, each line can be an input."""
    is_required: bool = True
    """Whether it may not be blank."""


class ClassGuess(_Shape):
    """The prediction of a class."""

    kind: Literal["class"] = "class"
    label: str
    """The most probable class."""
    probabilities: dict[str, float]
    """The probability of each class, in the run's order; they sum to 1."""


class LabelsGuess(_Shape):
    """The prediction of any number of labels."""

    kind: Literal["labels"] = "labels"
    labels: list[str]
    """The labels with a probability of at least 0.5."""
    probabilities: dict[str, float]
    """The probability of each label, in the run's order."""


class NumberGuess(_Shape):
    """The prediction of a number."""

    kind: Literal["number"] = "number"
    value: float


class TaggedSpan(_Shape):
    """Consecutive words with one entity: those from `start` to before `end`."""

    start: int
    end: int
    entity: str


class TagsGuess(_Shape):
    """The prediction of a tag for each word."""

    kind: Literal["tags"] = "tags"
    words: list[str]
    """The input's words; those beyond the model's length have no tag."""
    tags: list[str]
    """The tag of each of the first words."""
    spans: list[TaggedSpan]
    """The entities that the tags mark."""


class SpanGuess(_Shape):
    """The prediction of a part of a text, or of no answer."""

    kind: Literal["span"] = "span"
    answer: str
    """The text from `start` to before `end`; empty if the model predicts that there is no answer."""
    field: str
    """The field of the input that contains it."""
    start: int | None
    """Position of the first character; null without an answer."""
    end: int | None
    score: float
    """Score of the best answer."""
    no_answer_score: float | None = None
    """Score of "no answer"; null if the run's task always has one."""


class TextGuess(_Shape):
    """Generated text."""

    kind: Literal["text"] = "text"
    text: str


def _of_a_class(guess: Any) -> Any:
    """Earlier versions predicted classes only, without a kind."""
    return {"kind": "class", **guess} if isinstance(guess, Mapping) and "label" in guess else guess


Guess = Annotated[
    ClassGuess | LabelsGuess | NumberGuess | TagsGuess | SpanGuess | TextGuess,
    Field(discriminator="kind"),
    BeforeValidator(_of_a_class),
]
"""The prediction of one model for one input."""


class PredictionItem(_Shape):
    inputs: dict[str, str] = {}
    """The input, by the names of its fields."""
    text: str
    """The input as one text."""
    base: Guess
    """The model before training."""
    tuned: Guess
    """The run's result: base model and adapter, or for full fine-tuning the trained model."""


class PredictPayload(_Shape):
    """The payload of a `predict` job."""

    run_id: str
    attempt: int
    """The attempt whose result is used."""
    texts: list[str]
    """Each input as one text."""
    inputs: list[dict[str, str]] = []
    """Empty in payloads of earlier versions, whose inputs were `texts`."""


class PredictResult(_Shape):
    """The result of a `predict` job."""

    items: list[PredictionItem]
    note: str | None


class Prediction(_Shape):
    id: str
    run_id: str
    attempt: int
    """The attempt whose result is used."""
    status: JobState = "waiting"
    texts: list[str]
    """Each input as one text."""
    items: list[PredictionItem] = []
    """One per input, in order, once the job is done."""
    note: str | None = None
    """A note on the items, for example that the base model's head is untrained."""
    message: str | None = None
    """Why it failed, or what it is waiting for."""
    next_step: str | None = None


def as_one_text(fields: Mapping[str, str]) -> str:
    """Returns an input as one text, for a heading."""
    return " | ".join(text for text in fields.values() if text.strip())
