"""What the API returns for runs: rows, details, trees, comparisons."""

from typing import Literal

from pydantic import Field

from rankscope.api.shapes.base import Number, Shape
from rankscope.api.shapes.plans import BudgetPoint
from rankscope.api.shapes.preflight import RunMemory
from rankscope.contract.config import RunConfig, SteerAction
from rankscope.contract.events import Module
from rankscope.contract.status import Phase, RunStatus
from rankscope.contract.stored import Environment
from rankscope.health.remedy import Remedy, RunAction


class MetricSummary(Shape):
    last: Number
    last_step: int
    min: Number
    min_step: int
    max: Number
    max_step: int


class Headline(Shape):
    """The run's headline metric, shown in lists: its `task.headline_metric`, or the usual one of its task."""

    name: str = Field(examples=["eval_loss"])
    title: str
    """The title inside a sentence: `accuracy`."""
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
    project: str
    """Empty: none."""
    archived_at: float | None
    """Lists leave out archived runs unless a filter asks for them."""
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
    """`done`, or the reason of the end; see contract.reasons."""
    outcome_title: str | None
    """The outcome as text."""


class PendingSteerRequest(Shape):
    id: str
    action: SteerAction
    target_rank: int | None
    time: float


class RunDetail(RunSummary):
    notes: str
    config: RunConfig
    environment: Environment
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
    planned_budget: list[BudgetPoint]
    """At most 500 points; each is exact and applies until the next pruning."""
    settled_step: int | None
    """Step of the final mask, once it is set."""
    is_held: bool
    """Whether pruning is held."""
    steer_requests: list[PendingSteerRequest]
    """Pending steering requests."""
    remedy: Remedy | None
    """For a run that has stopped or failed; null if only another configuration helps."""
    unavailable: dict[RunAction, str]
    """Actions that are not available now, each with the reason."""
    memory: RunMemory | None
    """Null for runs of earlier versions."""


class RunPage(Shape):
    items: list[RunSummary]
    next_cursor: str | None
    total: int


class Relative(Shape):
    id: str
    name: str
    status: RunStatus
    parent_id: str | None
    parent_step: int | None
    attempt: int
    """Number of attempts so far; each after the first is a resume."""
    step: int
    total_steps: int | None
    metrics: dict[str, MetricSummary]
    headline: Headline


class RunTree(Shape):
    """A run, its ancestors, and all their forks; parents before children."""

    items: list[Relative]
    """At most 1,000, starting at the oldest ancestor."""
    is_complete: bool
    """False if there are more."""


class Queue(Shape):
    """Waiting runs, the next one first."""

    items: list[RunSummary]
    """At most 1,000."""
    total: int
