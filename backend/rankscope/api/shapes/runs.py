"""What the API accepts and returns for runs: drafts, rows, actions, trees, comparisons."""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, computed_field
from pydantic_core import PydanticCustomError

from rankscope.api.shapes.base import FieldProblemShape, LeftOutShape, Number, RequestBody, Shape
from rankscope.contract.config import RunConfig, SteerAction
from rankscope.contract.events import Module
from rankscope.contract.methods import MethodName
from rankscope.contract.status import Phase, RunStatus
from rankscope.health.remedy import Remedy, RunAction


def _printable(text: str) -> str:
    """Refuses control characters: a terminal would interpret them, and PostgreSQL cannot store NUL."""
    for letter in text:
        if unicodedata.category(letter) == "Cc" and letter not in "\n\t\r":
            raise PydanticCustomError(
                "control_character",
                "has the control character U+{code}",
                {"code": f"{ord(letter):04X}", "next_step": "Remove it."},
            )
    return text


def _one_line(text: str) -> str:
    if any(letter in text for letter in "\n\t\r"):
        raise PydanticCustomError("line_break", "has a line break or a tab", {"next_step": "Write it on one line."})
    return _printable(text)


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
Tag = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_one_line)]
Notes = Annotated[str, Field(max_length=15_000), AfterValidator(_printable)]


class RunCreate(RequestBody):
    config: RunConfig
    name: Name | None = None
    """Default: made from method, model and data."""
    tags: list[Tag] = Field(default=[], max_length=50)
    notes: Notes = ""
    priority: int = Field(default=0, ge=-1000, le=1000)


class RunPatch(RequestBody):
    """Only the given fields change."""

    name: Name | None = None
    tags: list[Tag] | None = Field(default=None, max_length=50)
    notes: Notes | None = None
    priority: int | None = Field(default=None, ge=-1000, le=1000)


class RunCheck(RequestBody):
    """Body of POST /runs/validate: a draft, valid or not."""

    config: dict[str, Any]


class MethodSwitch(RequestBody):
    """Body of POST /runs/switch-method: a draft, valid or not, and the method to switch to."""

    config: dict[str, Any]
    method: MethodName
    earlier: dict[str, Any] | None = None
    """The options this method had before another one was chosen; they are restored, except for the budget."""
    budget: float | None = Field(default=None, gt=0, le=10_000)
    """Mean rank to use if the draft's current method has none (full fine-tuning)."""
    total_steps: int | None = Field(default=None, ge=1, le=10_000_000)
    """If the draft gives epochs: the number of steps that POST /runs/validate returned."""


class SwitchedFieldShape(Shape):
    field: str = Field(examples=["training.learning_rate"])
    before: Any
    after: Any
    reason: str


class SwitchedMethod(Shape):
    config: dict[str, Any]
    changes: list[SwitchedFieldShape]
    """What changed outside the method's own options, and why."""
    budget: float | None
    """Mean rank that was carried over."""


class MetricSummary(Shape):
    last: Number
    last_step: int
    min: Number
    min_step: int
    max: Number
    max_step: int


class Headline(Shape):
    """The metric that stands for a run in lists: its task's main one."""

    name: str = Field(examples=["eval_loss"])
    title: str
    """Within a sentence: `accuracy`."""
    lower_is_better: bool
    best: Number | None
    """Null before the first evaluation that counts."""
    best_step: int | None
    last: Number | None


class RunSummary(Shape):
    """One row of the list of runs."""

    id: str
    name: str
    tags: list[str]
    status: RunStatus
    phase: Phase | None
    priority: int
    queue_position: int | None
    """1 is next; null if the run is not in the queue."""
    method: str
    task: str
    """See GET /tasks."""
    model_id: str
    data_id: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    updated_at: float
    """When the run last recorded anything."""
    attempt: int
    step: int
    total_steps: int | None
    eta_s: float | None
    """Seconds left, estimated from this attempt's steps; null before its tenth step."""
    worker: str | None
    reason: str | None
    """Stable code for programs; see contract.reasons."""
    reason_title: str | None
    """The reason as text."""
    message: str | None
    next_step: str | None
    cause: str | None
    """The line of the log that explains why."""
    parent_id: str | None
    """The run that this one was forked from; it may no longer exist."""
    parent_step: int | None
    metrics: dict[str, MetricSummary]
    """For eval_ metrics, only values after the final mask count, once there is one."""
    headline: Headline
    live: int | None
    budget: int | None
    n_modules: int | None
    mean_rank: float | None
    """live / n_modules, after the last pruning."""
    trained_parameters: int | None
    kept_parameters: int | None
    artifact: Literal["adapter", "model"] | None


class AttemptShape(Shape):
    number: int
    worker: str
    started_at: float
    ended_at: float | None
    start_step: int | None
    outcome: str | None


class PendingSteerRequest(Shape):
    id: str
    action: SteerAction
    target_rank: int | None
    time: float


class RunDetail(RunSummary):
    notes: str
    config: RunConfig
    environment: dict[str, Any]
    last_seq: int
    """Start the event stream after this number once you have read the history."""
    lease_expires_at: float | None
    attempts: list[AttemptShape]
    """The newest 200; `attempt` counts all."""
    modules: list[Module]
    """Empty before the model is loaded, and for full fine-tuning."""
    width: int | None
    """Components of each module at the start."""
    pruning_steps: list[int]
    """Planned; empty for methods that do not prune. Above about 500, an even selection that includes the first and the last."""
    pruning_count: int
    """How many there are in total. If this exceeds the length of `pruning_steps`, that list and `planned_budget` are reduced."""
    planned_budget: list["BudgetPoint"]
    """At most 500 points; each is exact and applies until the next pruning."""
    settled_step: int | None
    """Step of the final mask, once it is set."""
    is_held: bool
    """Pruning is on hold."""
    steer_requests: list[PendingSteerRequest]
    """Requested, and not yet answered by the training."""
    remedy: Remedy | None
    """For a run that has stopped or failed; null if only another configuration helps."""
    unavailable: dict[RunAction, str]
    """Actions that are not available now, each with the reason."""


class RunPage(Shape):
    items: list[RunSummary]
    next_cursor: str | None
    total: int


class RetryRequest(RequestBody):
    changes: dict[str, Any] = Field(default={}, examples=[{"training": {"batch_size": 8, "gradient_accumulation": 2}}])
    """Parts of the configuration to replace; only changes that keep it the same training are accepted."""


class ForkRequest(RequestBody):
    step: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Step of a kept checkpoint. Default: the newest."""
    attempt: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Default: the newest attempt that has a checkpoint of this step."""
    changes: dict[str, Any] = Field(default={}, examples=[{"training": {"learning_rate": 0.001}}])
    """Parts of the parent's configuration to replace."""
    name: Name | None = None
    """Default: the parent's name and the step."""
    tags: list[Tag] | None = Field(default=None, max_length=50)
    """Default: the parent's."""
    priority: int = Field(default=0, ge=-1000, le=1000)


class SteerRequest(RequestBody):
    action: SteerAction
    """hold: stop pruning until release. freeze: make the current mask final. target: change the target rank."""
    target_rank: int | None = Field(default=None, ge=1, le=512)


class ConfigEdit(RequestBody):
    config: RunConfig


class Relative(Shape):
    id: str
    name: str
    status: RunStatus
    parent_id: str | None
    parent_step: int | None
    step: int
    total_steps: int | None
    metrics: dict[str, MetricSummary]
    headline: Headline


class RunTree(Shape):
    """A run, what it was forked from, and what was forked from these; parents before children."""

    items: list[Relative]
    """At most 1,000, starting at the oldest ancestor."""
    is_complete: bool
    """False if there are more."""


class Queue(Shape):
    """Waiting runs, the next one first."""

    items: list[RunSummary]
    """At most 1,000."""
    total: int


class ReorderRequest(RequestBody):
    run_ids: list[Annotated[str, Field(pattern="^[a-z0-9]{1,16}$")]] = Field(min_length=1, max_length=1000)
    """Waiting runs in the new order: they share the positions that they have now."""


class StopRequest(RequestBody):
    save: bool = True
    """Write a checkpoint first, so that the run can be resumed from there."""


class BudgetPoint(Shape):
    step: int
    budget: int


class ClassShape(Shape):
    label: str
    train_rows: int
    eval_rows: int


class DataPlan(Shape):
    """How a data set would be used."""

    id: str
    """Full id of the data set: a short form such as `local:reviews` becomes `local:reviews.csv`."""
    rows: int
    """All rows of the file."""
    text_columns: list[str]
    target_column: str
    group_column: str | None
    classes: list[ClassShape]
    """The 50 largest, with their numbers of training and evaluation rows."""
    n_classes: int
    """Number of all classes."""
    left_out: list[LeftOutShape]
    separator: str | None
    """Detected separator of a CSV file's columns; null for other formats."""
    encoding: str | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def label_column(self) -> str:
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
    trained_parameters: int
    """Adapter and head (full: everything) at the start."""
    kept_parameters: int
    """Adapter parameters at the end, at the planned budget, without the head; an estimate for dynamic rank, because a
    component's size depends on the module that keeps it."""
    is_estimate: bool
    """Whether n_modules and trained_parameters may differ in the run, because the model's files do not determine them."""
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


class Verdict(Shape):
    """Whether a draft can run: what would be refused, or the plan.

    The question is answered either way, so the status is 200: a form asks while a person types. Launching refuses the
    same problems with 422.
    """

    problems: list[FieldProblemShape]
    plan: Plan | None


class ConfigDifference(Shape):
    field: str
    values: list[Any]
    """One per run, in the requested order; null if the run has no such field."""


class Comparison(Shape):
    runs: list[RunSummary]
    differences: list[ConfigDifference]
    equal_budget: bool
    """All runs keep the same number of components (or parameters, for runs without components)."""
