"""What the API takes and gives of runs: drafts, rows, actions, trees, comparisons."""

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
    """Refuses control characters: a terminal would act on them, and PostgreSQL cannot hold NUL."""
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
        raise PydanticCustomError("line_break", "has a line break or a tab", {"next_step": "Write it in one line."})
    return _printable(text)


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
Tag = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_one_line)]
Notes = Annotated[str, Field(max_length=15_000), AfterValidator(_printable)]


class RunCreate(RequestBody):
    config: RunConfig
    name: Name | None = None
    """Empty: made from method, model and data."""
    tags: list[Tag] = Field(default=[], max_length=50)
    notes: Notes = ""
    priority: int = Field(default=0, ge=-1000, le=1000)


class RunPatch(RequestBody):
    """Only the fields that are given change."""

    name: Name | None = None
    tags: list[Tag] | None = Field(default=None, max_length=50)
    notes: Notes | None = None
    priority: int | None = Field(default=None, ge=-1000, le=1000)


class RunCheck(RequestBody):
    """Body of POST /runs/validate: a draft, which may be anything."""

    config: dict[str, Any]


class MethodSwitch(RequestBody):
    """Body of POST /runs/switch-method: a draft, which may be anything, and the method that it is to have."""

    config: dict[str, Any]
    method: MethodName
    earlier: dict[str, Any] | None = None
    """This method's options from before another was chosen; they come back, except for the budget."""
    budget: float | None = Field(default=None, gt=0, le=10_000)
    """Mean rank to use when the draft's present method has none (full fine-tuning)."""
    total_steps: int | None = Field(default=None, ge=1, le=10_000_000)
    """Where the draft gives epochs: the steps that POST /runs/validate found."""


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
    """1 is next; null when the run does not wait in the queue."""
    method: str
    task: str
    """See GET /tasks."""
    model_id: str
    data_id: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    updated_at: float
    """When the run last wrote anything."""
    attempt: int
    step: int
    total_steps: int | None
    eta_s: float | None
    """Seconds to go, from this attempt's own steps; null before the tenth step of an attempt."""
    worker: str | None
    reason: str | None
    """A stable word for programs; see contract.reasons."""
    reason_title: str | None
    """The same for a person."""
    message: str | None
    next_step: str | None
    cause: str | None
    """The log's line that tells why."""
    parent_id: str | None
    """The run that this one was forked from; it may have been deleted since."""
    parent_step: int | None
    metrics: dict[str, MetricSummary]
    """Of eval_ metrics only what came after the final mask counts, once there is one."""
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
    """Stream from here after having read the history."""
    lease_expires_at: float | None
    attempts: list[AttemptShape]
    """The newest 200; `attempt` counts all."""
    modules: list[Module]
    """Empty before the model is loaded, and for full fine-tuning."""
    width: int | None
    """Components of each module at the start."""
    pruning_steps: list[int]
    """Planned; empty for methods that do not prune. Of more than about 500 an even choice, with the first and the last."""
    pruning_count: int
    """All of them. Above the length of `pruning_steps`: that list and `planned_budget` are reduced."""
    planned_budget: list["BudgetPoint"]
    """At most 500 points; each is exact, and holds until the next pruning."""
    settled_step: int | None
    """Step of the final mask, once it is set."""
    is_held: bool
    """A person holds pruning."""
    steer_requests: list[PendingSteerRequest]
    """Asked for, and not answered by the training yet."""
    remedy: Remedy | None
    """For a run that has ended without being done; null when only another configuration helps."""
    unavailable: dict[RunAction, str]
    """Actions that cannot be taken now, each with the reason."""


class RunPage(Shape):
    items: list[RunSummary]
    next_cursor: str | None
    total: int


class RetryRequest(RequestBody):
    changes: dict[str, Any] = Field(default={}, examples=[{"training": {"batch_size": 8, "gradient_accumulation": 2}}])
    """Parts of the configuration that take the place of the run's own; only what leaves it the same training."""


class ForkRequest(RequestBody):
    step: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Of a kept checkpoint; empty: the newest."""
    attempt: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Empty: the newest attempt that keeps a checkpoint of this step."""
    changes: dict[str, Any] = Field(default={}, examples=[{"training": {"learning_rate": 0.001}}])
    """Parts of the configuration that take the place of the parent's."""
    name: Name | None = None
    """Empty: the parent's name and the step."""
    tags: list[Tag] | None = Field(default=None, max_length=50)
    """Empty: the parent's."""
    priority: int = Field(default=0, ge=-1000, le=1000)


class SteerRequest(RequestBody):
    action: SteerAction
    """hold: prune nothing until release. freeze: the mask as it is becomes the final one. target: another target rank."""
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
    """At most 1,000, from the oldest ancestor down."""
    is_complete: bool
    """False: there are more."""


class Queue(Shape):
    """Runs that wait, the next one first."""

    items: list[RunSummary]
    """At most 1,000."""
    total: int


class ReorderRequest(RequestBody):
    run_ids: list[Annotated[str, Field(pattern="^[a-z0-9]{1,16}$")]] = Field(min_length=1, max_length=1000)
    """Waiting runs in the order wanted: they take the places that they have now among themselves."""


class StopRequest(RequestBody):
    save: bool = True
    """True: write a checkpoint first, so that the run can be resumed where it was."""


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
    """Of the data set, in full: a short form such as `local:reviews` becomes `local:reviews.csv`."""
    rows: int
    """All rows of the file."""
    text_columns: list[str]
    target_column: str
    group_column: str | None
    classes: list[ClassShape]
    """The 50 largest, with the rows that training and evaluation use."""
    n_classes: int
    """All of them."""
    left_out: list[LeftOutShape]
    separator: str | None
    """Between the columns of a CSV file, as it was detected; null for other formats."""
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
    """Whether n_modules and trained_parameters may differ from the run's: the model's files do not settle them."""
    model_parameters: int
    context_length: int | None
    """Most tokens that the model takes in one text; null where it has no limit."""
    planned_budget: list[BudgetPoint]
    """Corner points and one point a pruning step; hold the value between them. Empty without ranks. At most 500 points."""
    pruning_steps: list[int]
    """Of more than about 500 an even choice, with the first and the last."""
    pruning_count: int
    """All of them. Above the length of `pruning_steps`: that list and `planned_budget` are reduced."""
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
    """One for each run, in the order asked for; null where the run has no such field."""


class Comparison(Shape):
    runs: list[RunSummary]
    differences: list[ConfigDifference]
    equal_budget: bool
    """All runs keep the same number of components (or parameters, for runs without components)."""
