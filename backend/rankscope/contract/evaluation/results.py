"""The result of a run: what its model predicts for each evaluation row at the end, as file `results.jsonl` of an attempt.

The first line is a ResultsHeader, every other line a StoredRow. Rows are sorted by loss, the largest first; among equal
losses, wrong predictions come first.
"""

from pydantic import BaseModel, ConfigDict

RESULTS_FILE = "results.jsonl"
MAX_ROWS = 20_000
"""Rows of a file."""
MAX_CHARACTERS = 1_000
"""Of each text; a longer one is truncated and ends with "…"."""
MAX_CONFUSION_LABELS = 100


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="strings")


class RowResult(_Shape):
    """The prediction for one evaluation row."""

    inputs: dict[str, str]
    """Its texts, by column."""
    target: str
    prediction: str
    loss: float | None
    """How wrong it is, larger is worse; null if the task has no such number."""
    is_right: bool | None
    """Whether prediction and target are equal; null for a target that can be nearly right, such as a number."""


class StoredRow(RowResult):
    row: int
    """Index among the evaluation rows, in the order of the data set."""


class ResultsHeader(_Shape):
    version: int = 1
    step: int
    rows: int
    """All evaluation rows."""
    kept_rows: int
    """Rows in the file: at most 20,000."""
    labels: list[str]
    """Classes in the order of `confusion`; empty for targets that are not classes."""
    confusion: list[list[int]] | None
    """How often each class (row) was predicted as each class (column); null without classes, or with more than 100."""
