"""The runs table: rows with the chosen columns, what changed, groups, labels and views."""

from typing import Annotated, Literal

from pydantic import Field

from rankscope.api.shapes.base import Number, RequestBody, Shape
from rankscope.api.shapes.requests import Name, Project, Tag
from rankscope.contract.status import Phase, RunStatus

RunIdText = Annotated[str, Field(pattern="^[a-z0-9]{1,16}$")]
Cell = str | int | float | bool | None


class FieldShape(Shape):
    """A field by which runs are filtered, sorted and shown."""

    name: str = Field(examples=["metrics.eval_loss.best"])
    kind: Literal["number", "integer", "text", "choice", "boolean", "time", "tags"]
    title: str
    description: str
    choices: list[str]
    is_sortable: bool
    """Only these can be columns."""
    lower_is_better: bool | None
    """Null if it isn't a value of a metric."""


class FieldList(Shape):
    items: list[FieldShape]
    metrics: list[str]
    """The recorded metrics. Each has the fields `metrics.NAME.PART`."""
    parts: dict[str, str]
    """The parts, described."""
    steps: list[int]
    """Steps at which runs were evaluated, at most 100. A metric of evaluations has the part `at_STEP`, for any step."""


class RowHeadline(Shape):
    title: str
    """Inside a sentence: `accuracy`."""
    lower_is_better: bool
    best: float | None
    best_step: int | None


class TableRow(Shape):
    """What every row shows, and the values of the chosen columns."""

    id: str
    name: str
    status: RunStatus
    phase: Phase | None = None
    attempt: int
    reason: str | None = None
    """Why it ended, as text."""
    trouble: str | None = None
    """The message of a run that failed or was interrupted."""
    step: int
    total_steps: int | None
    eta_s: float | None = None
    method: str
    model_id: str
    data_id: str
    tags: list[str]
    project: str
    archived: bool
    parent_id: str | None = None
    created_at: float
    headline: RowHeadline
    key: Cell
    """The value in the sorted column."""
    cells: list[Cell]
    """Values of the chosen columns, in their order."""


class RunTable(Shape):
    columns: list[FieldShape]
    rows: list[TableRow]
    next_cursor: str | None
    total: int
    baseline: TableRow | None
    """The run of the parameter `baseline`."""
    queue: list[str]
    """The next runs of the queue, at most 100."""
    changes: str
    """Send it as `since` to GET /runs/changes."""


class TableChanges(Shape):
    cursor: str
    """Send it as `since` of the next request."""
    rows: list[TableRow]
    """Runs that match the filter and have changed."""
    gone: list[str]
    """Runs that were deleted, or no longer match the filter."""
    total: int | None
    """Null if nothing has changed."""
    queue: list[str]
    reset: bool
    """Too much has changed, or the cursor is too old: read the table again."""


class SparklineShape(Shape):
    id: str
    first: float
    """The mean of the first part of the curve. `last` is that of the last part."""
    last: float
    levels: list[int]
    """From 0 (the lowest) to 99 (the highest), of equal parts of the recorded steps."""


class SparklineList(Shape):
    items: list[SparklineShape]


class FilterProblemShape(Shape):
    message: str
    next_step: str
    start: int
    """The place in the text: characters from `start` to `end`, counted from 0."""
    end: int


class SuggestionShape(Shape):
    text: str
    note: str
    kind: Literal["field", "operator", "value", "word"]


class FilterCheck(Shape):
    problem: FilterProblemShape | None
    """What is wrong with the filter."""
    start: int
    """A suggestion replaces the characters from here to the requested place."""
    suggestions: list[SuggestionShape]


class SpreadShape(Shape):
    n: int
    mean: Number | None
    sd: Number | None
    """Of a sample; null below two values."""
    min: Number | None
    max: Number | None


class RunGroup(Shape):
    keys: list[Cell]
    name: str
    """Of its oldest run, without the seed. So are method, model, data and headline."""
    method: str
    model_id: str
    data_id: str
    headline: str
    """The metric that the run is judged by, inside a sentence: `accuracy`."""
    run_ids: list[str]
    """At most 100, the oldest first; `size` counts all."""
    size: int
    spreads: list[SpreadShape]


class RunGroups(Shape):
    by: list[FieldShape]
    of: list[FieldShape]
    items: list[RunGroup]
    total: int
    changes: str
    """Send it as `since` to GET /runs/changes."""


class Labels(Shape):
    id: RunIdText
    name: Name
    tags: list[Tag] = Field(max_length=50)
    project: Project
    archived: bool


class LabelChange(RequestBody):
    """Only what is given changes."""

    run_ids: list[RunIdText] = Field(min_length=1, max_length=1000)
    add_tags: list[Tag] = Field(default=[], max_length=50)
    remove_tags: list[Tag] = Field(default=[], max_length=50)
    project: Project | None = None
    archived: bool | None = None


class LabelsBefore(Shape):
    before: list[Labels]
    """The labels before the change. Send them to POST /runs/labels/restore to undo it."""


class LabelRestore(RequestBody):
    items: list[Labels] = Field(min_length=1, max_length=1000)


class SavedViewShape(Shape):
    id: str
    name: str
    query: str
    """The address of the view, without the leading ?."""
    updated_at: float


class SavedViewList(Shape):
    items: list[SavedViewShape]


class ViewCreate(RequestBody):
    name: Annotated[Name, Field(max_length=100)]
    """A view with this name is replaced."""
    query: str = Field(max_length=8000, pattern=r"^[\x20-\x7e]*$")
