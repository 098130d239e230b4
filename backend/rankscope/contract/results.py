"""The result of a run: what its model predicts for each evaluation row at the end."""

from pydantic import BaseModel, ConfigDict


class RowResult(BaseModel):
    """The prediction for one evaluation row."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    inputs: dict[str, str]
    """Its texts, by column. Long ones are truncated and end with "…"."""
    target: str
    prediction: str
    loss: float | None
    """How wrong it is, larger is worse; null if the task has no such number."""
    is_right: bool | None
    """Whether prediction and target are equal; null for a target that can be nearly right, such as a number."""
