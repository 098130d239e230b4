"""What the API returns about a draft of a run."""

from dataclasses import asdict
from typing import Literal

from pydantic import Field, computed_field

from rankscope.api.shapes.base import FieldProblemShape, LeftOutShape, Shape
from rankscope.api.shapes.preflight import PreflightShape
from rankscope.catalog.data.splits import SplitCounts
from rankscope.contract.config import RunConfig


class SwitchedFieldShape(Shape):
    field: str = Field(examples=["training.learning_rate"])
    before: object
    after: object
    reason: str


class SwitchedMethod(Shape):
    config: dict[str, object]
    changes: list[SwitchedFieldShape]
    """What changed outside the method's own options, and why."""
    budget: float | None
    """Mean rank of the draft, which the new method keeps if it has ranks. Send it with the next switch."""


class BudgetPoint(Shape):
    step: int
    budget: int


class ClassShape(Shape):
    label: str
    train_rows: int
    eval_rows: int


class PartShape(Shape):
    name: str
    rows: int
    """All of its rows, including those that are left out for another reason."""
    side: Literal["train", "evaluation"] | None
    """Null: its rows are not used."""


class GroupsShape(Shape):
    """The number of different values of the group column on each side."""

    train: int
    evaluation: int
    both: int
    """On both sides, which only a split by parts can give."""


class EqualTextShape(Shape):
    text: str
    """May be truncated, with "…"."""
    train_line: int
    eval_line: int


class EqualTextsShape(Shape):
    """Evaluation rows whose text is also that of a training row."""

    eval_rows: int
    texts: int
    """Number of different texts."""
    examples: list[EqualTextShape]


class SplitShape(Shape):
    """How the rows are split into training and evaluation rows."""

    column: str | None
    """The column that names the part of each row; null if a share of the rows is split off."""
    parts: list[PartShape]
    groups: GroupsShape | None
    """Null without a group column."""
    equal_texts: EqualTextsShape


def split_shape(counts: SplitCounts) -> SplitShape:
    parts, groups, equal = counts.parts, counts.groups, counts.equal_texts
    return SplitShape(
        column=parts and parts.column,
        parts=[PartShape.model_validate(asdict(part)) for part in (parts.all if parts else ())],
        groups=groups and GroupsShape.model_validate(asdict(groups)),
        equal_texts=EqualTextsShape.model_validate(asdict(equal)),
    )


class DataPlan(Shape):
    """How a data set would be used."""

    id: str
    """Full id of the data set: a short form such as `local:reviews` becomes `local:reviews.csv`."""
    rows: int
    """All rows of the file."""
    text_columns: list[str]
    target_column: str | None
    """Null for a task without targets."""
    group_column: str | None
    classes: list[ClassShape]
    """The 50 largest classes, with their number of training and evaluation rows."""
    n_classes: int
    """Number of all classes."""
    left_out: list[LeftOutShape]
    split: SplitShape
    separator: str | None
    """Detected separator of a CSV file's columns; null for other formats."""
    encoding: str | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def label_column(self) -> str | None:
        """Earlier name of `target_column`."""
        return self.target_column


class Plan(Shape):
    """What a configuration would do, without starting anything."""

    config: RunConfig
    """With every default filled in."""
    data: DataPlan
    total_steps: int
    train_rows: int
    eval_rows: int
    n_modules: int
    initial_rank: int
    """Rank of every module at the start, or their mean if it is assigned before training; 0 if modules have none, or own ones."""
    trained_parameters: int
    """Adapter and head (full: everything) at the start."""
    kept_parameters: int
    """Adapter parameters at the end, at the planned budget, without the head; an estimate for dynamic rank, because a
    component's size depends on the module that keeps it."""
    is_estimate: bool
    """Whether n_modules and trained_parameters may differ in the run, because the model's files don't determine them."""
    model_parameters: int
    context_length: int | None
    """Maximum number of tokens in one text; null if there is no limit."""
    planned_budget: list[BudgetPoint]
    """Corner points and one point per pruning step; the value is constant between them. Empty without ranks. At most 500 points."""
    pruning_steps: list[int]
    """Above about 500, an even selection that includes the first and the last."""
    pruning_count: int
    """How many there are in total. If this exceeds the length of `pruning_steps`, that list and `planned_budget` are reduced."""
    warnings: list[str]
    preflight: PreflightShape


class Verdict(Shape):
    """Whether a draft can run: its problems, or its plan.

    The status is 200 in both cases, because a form asks while you type. Launching a draft with problems returns 422.
    """

    problems: list[FieldProblemShape]
    plan: Plan | None
