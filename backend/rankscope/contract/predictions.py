"""Predictions of a finished run's model and of its base model for given texts. A background job, kept for minutes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

PredictionStatus = Literal["waiting", "running", "done", "failed"]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Guess(_Shape):
    """The prediction of one model for one text."""

    label: str
    """The most probable class."""
    probabilities: dict[str, float]
    """The probability of each class, in the run's order; they sum to 1."""


class PredictionItem(_Shape):
    text: str
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


class PredictResult(_Shape):
    """The result of a `predict` job."""

    items: list[PredictionItem]
    note: str | None


class Prediction(_Shape):
    id: str
    run_id: str
    attempt: int
    """The attempt whose result is used."""
    status: PredictionStatus = "waiting"
    texts: list[str]
    items: list[PredictionItem] = []
    """One per text, in order, once the job is done."""
    note: str | None = None
    """A note on the items, for example that the base model's head is untrained."""
    message: str | None = None
    """Why it failed, or what it is waiting for."""
    next_step: str | None = None
