"""Predictions: texts that a finished run's model and its base model classify. A background job, kept for minutes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

PredictionStatus = Literal["waiting", "running", "done", "failed"]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Guess(_Shape):
    """What one model says of one text."""

    label: str
    """The most probable class."""
    probabilities: dict[str, float]
    """By class, in the run's order; they sum to 1."""


class PredictionItem(_Shape):
    text: str
    base: Guess
    """The model before training."""
    tuned: Guess
    """The run's result: base model and adapter, or for full fine-tuning the trained model."""


class PredictPayload(_Shape):
    """What a `predict` job is to do."""

    run_id: str
    attempt: int
    """The attempt whose result answers."""
    texts: list[str]


class PredictResult(_Shape):
    """What a `predict` job has found."""

    items: list[PredictionItem]
    note: str | None


class Prediction(_Shape):
    id: str
    run_id: str
    attempt: int
    """The attempt whose result answers."""
    status: PredictionStatus = "waiting"
    texts: list[str]
    items: list[PredictionItem] = []
    """One a text, in order, once it is done."""
    note: str | None = None
    """What to know when reading the items, for example that the base model's head is untrained."""
    message: str | None = None
    """Why it failed, or what it waits for."""
    next_step: str | None = None
