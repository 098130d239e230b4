"""DataConfig: which rows a run uses, and how they are split into training and evaluation rows."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from rankscope.contract.parts import Part, advanced

LARGEST = 2**53 - 1
"""Limit of integers that have no other limit: JavaScript can't represent larger ones exactly."""
MOST_PARTS = 50
ColumnName = Annotated[str, Field(max_length=500)]
PartName = Annotated[str, Field(min_length=1, max_length=200)]


def _when(split: str) -> JsonDict:
    """The form shows the field only with this split."""
    return {"x-when": {"split": [split]}, **advanced()}


class DataConfig(Part):
    id: str = Field(
        title="Data set",
        description="A data set on the Data page, where you can also upload your own.",
        examples=["rotten-tomatoes"],
        min_length=1,
        max_length=200,
        json_schema_extra={"x-options": "datasets"},
    )
    split: Literal["share", "parts"] = Field(
        default="share",
        title="Split",
        description="share: a share of the rows, chosen by a hash of the text or group. "
        "parts: as the data set says, in a column such as split with train and validation.",
        json_schema_extra=advanced(),
    )
    split_column: ColumnName | None = Field(
        default=None,
        title="Column of the parts",
        description="Names the part of each row. Empty: the data set's own column.",
        json_schema_extra={"x-options": "columns", **_when("parts")},
    )
    train_parts: list[PartName] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_PARTS,
        title="Training parts",
        description="Values of the column. Empty: train; if the evaluation parts are set and no part is called that, all others.",
        json_schema_extra={"x-options": "parts", **_when("parts")},
    )
    eval_parts: list[PartName] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_PARTS,
        title="Evaluation parts",
        description="Values of the column. Empty: validation, valid or dev; without these, test. Rows of other parts are left out.",
        json_schema_extra={"x-options": "parts", **_when("parts")},
    )
    group_column: ColumnName | None = Field(
        default=None,
        title="Group column",
        description="Rows with the same value in this column are never split between training and evaluation, "
        "for example all reviews of one film. Empty: the data set's default. With split parts, groups are only counted.",
        json_schema_extra={"x-options": "columns", **advanced()},
    )
    drop_equal_texts: bool = Field(
        default=False,
        title="Remove equal texts",
        description="Leave out training rows whose text is also that of an evaluation row.",
        json_schema_extra=advanced(),
    )
    eval_fraction: float = Field(
        default=0.1,
        gt=0,
        le=0.5,
        title="Evaluation share",
        description="Share of the rows used for evaluation.",
        json_schema_extra=_when("share"),
    )
    split_seed: int = Field(
        default=0,
        ge=0,
        le=LARGEST,
        title="Split seed",
        description="Runs are comparable only with the same split, so it has a seed separate from the training seed.",
        json_schema_extra=advanced(),
    )
    validation_fraction: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        title="Validation share",
        description="For tuning: leave out the evaluation rows, and evaluate on this share of the training rows instead. "
        "Empty: evaluate on the evaluation rows.",
        json_schema_extra=advanced(),
    )
    max_train_rows: int | None = Field(
        default=None,
        ge=8,
        le=LARGEST,
        title="Train on at most",
        description="Use only this many training rows. Empty: all.",
        json_schema_extra={"x-unit": "rows", **advanced()},
    )
    max_eval_rows: int | None = Field(
        default=None,
        ge=4,
        le=LARGEST,
        title="Evaluate on at most",
        description="Use only this many evaluation rows. Empty: all.",
        json_schema_extra={"x-unit": "rows", **advanced()},
    )
