"""What the API takes and gives. The page's types are generated from these through OpenAPI.

Numbers that may be NaN or infinite have the type Number: a JSON number, or "NaN", "Infinity", "-Infinity".
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.contract.config import RunConfig, SteerAction
from rankscope.contract.events import Module
from rankscope.contract.status import Phase, RunStatus

NonFinite = Literal["NaN", "Infinity", "-Infinity"]
Number = float | NonFinite


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


# ---------------------------------------------------------------- problems (RFC 9457)


class FieldProblemShape(Shape):
    field: str = Field(examples=["config.method.target_rank"])
    value: Any = None
    message: str = Field(examples=["is 0; it must be at least 1"])
    next_step: str = ""


class Problem(Shape):
    """Body of every error, media type application/problem+json."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    next_step: str = ""
    errors: list[FieldProblemShape] = []


# ---------------------------------------------------------------- runs


class RunCreate(Shape):
    config: RunConfig
    name: str | None = Field(default=None, min_length=1, max_length=200)
    """Empty: made from method, model and data."""
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] = Field(default=[], max_length=50)
    notes: str = Field(default="", max_length=100_000)
    priority: int = Field(default=0, ge=-1000, le=1000)


class RunPatch(Shape):
    """Only the fields that are given change."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] | None = Field(default=None, max_length=50)
    notes: str | None = Field(default=None, max_length=100_000)
    priority: int | None = Field(default=None, ge=-1000, le=1000)


class RunCheck(Shape):
    """Body of POST /runs/validate: a draft, which may be anything."""

    config: dict[str, Any]


class MetricSummary(Shape):
    last: Number
    last_step: int
    min: Number
    min_step: int
    max: Number
    max_step: int


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


class Remedy(Shape):
    """What can be done about a run that has ended, as one call."""

    action: Literal["resume", "retry", "fork"]
    label: str = Field(examples=["Retry with batch 8 and accumulation 2"])
    step: int | None
    """Of action fork."""
    changes: dict[str, Any]


class SteerRequestShape(Shape):
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
    modules: list[Module]
    """Empty before the model is loaded, and for full fine-tuning."""
    width: int | None
    """Components of each module at the start."""
    pruning_steps: list[int]
    """Planned; empty for methods that do not prune."""
    planned_budget: list["BudgetPoint"]
    settled_step: int | None
    """Step of the final mask, once it is set."""
    is_held: bool
    """A person holds pruning."""
    steer_requests: list[SteerRequestShape]
    """Asked for, and not answered by the training yet."""
    remedy: Remedy | None
    """For a run that has ended without being done; null when only another configuration helps."""


class RunPage(Shape):
    items: list[RunSummary]
    next_cursor: str | None
    total: int


class RetryRequest(Shape):
    changes: dict[str, Any] = Field(default={}, examples=[{"training": {"batch_size": 8, "gradient_accumulation": 2}}])
    """Parts of the configuration that take the place of the run's own; only what leaves it the same training."""


class ForkRequest(Shape):
    step: int | None = Field(default=None, ge=0)
    """Of a kept checkpoint; empty: the newest."""
    attempt: int | None = Field(default=None, ge=0)
    """Empty: the newest attempt that keeps a checkpoint of this step."""
    changes: dict[str, Any] = Field(default={}, examples=[{"training": {"learning_rate": 0.001}}])
    """Parts of the configuration that take the place of the parent's."""
    name: str | None = Field(default=None, min_length=1, max_length=200)
    """Empty: the parent's name and the step."""
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] | None = Field(default=None, max_length=50)
    """Empty: the parent's."""
    priority: int = Field(default=0, ge=-1000, le=1000)


class SteerWish(Shape):
    action: SteerAction
    """hold: prune nothing until release. freeze: the mask as it is becomes the final one. target: another target rank."""
    target_rank: int | None = Field(default=None, ge=1)


class ConfigEdit(Shape):
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


class RunTree(Shape):
    """A run, what it was forked from, and what was forked from these; parents before children."""

    items: list[Relative]


class Queue(Shape):
    """Runs that wait, the next one first."""

    items: list[RunSummary]


class ReorderRequest(Shape):
    run_ids: list[Annotated[str, Field(pattern="^[a-z0-9]{1,16}$")]] = Field(min_length=1, max_length=1000)
    """Waiting runs in the order wanted: they take the places that they have now among themselves."""


class StopRequest(Shape):
    save: bool = True
    """True: write a checkpoint first, so that the run can be resumed where it was."""


class BudgetPoint(Shape):
    step: int
    budget: int


class Plan(Shape):
    """What a configuration would do, without starting anything."""

    config: RunConfig
    """With every default filled in."""
    total_steps: int
    train_rows: int
    eval_rows: int
    n_modules: int
    trained_parameters: int
    """Adapter and head (full: everything) at the start."""
    kept_parameters: int
    """Adapter parameters at the end, at the planned budget, without the head; an estimate for dynamic rank, because a
    component's size depends on the module that keeps it."""
    model_parameters: int
    planned_budget: list[BudgetPoint]
    """Corner points and one point a pruning step; hold the value between them. Empty without ranks."""
    pruning_steps: list[int]
    warnings: list[str]


class Verdict(Shape):
    """Whether a draft can run: what would be refused, or the plan.

    The question is answered either way, so the status is 200: a form asks while a person types. Launching refuses the
    same problems with 422.
    """

    problems: list[FieldProblemShape]
    plan: Plan | None


# ---------------------------------------------------------------- what happened in a run


class EventPage(Shape):
    items: list[dict[str, Any]]
    """RunEvents with seq, attempt and time (see contract.events; the same objects as in the stream)."""
    last_seq: int
    has_more: bool


class MetricNames(Shape):
    items: dict[str, MetricSummary]
    last_seq: int


class Ghost(Shape):
    """What an older attempt recorded beyond the step from which a later one went on."""

    attempt: int
    steps: list[int]
    values: list[Number]


class Series(Shape):
    """One metric over the steps, without the parts of older attempts that a resume has replaced."""

    name: str
    steps: list[int]
    values: list[Number]
    times: list[float] | None = None
    """With times=true: when each point was recorded, in seconds since 1970 (UTC)."""
    smoothed: list[Number] | None = None
    """With smooth above 0: the bias-corrected moving average over all points, those that are left out too."""
    total_points: int
    is_reduced: bool
    """True: minimum and maximum of each bucket are kept; fetch with points=all for every point."""
    ghosts: list[Ghost] = []
    """With ghost=true: the parts that are left out above, reduced alike."""


class MetricSeries(Series):
    last_seq: int


class SeriesList(Shape):
    items: list[Series]
    last_seq: int


class RankHistory(Shape):
    """Rank and importance of every module over the steps, in columns; one entry a snapshot.

    `ranks`: base64 of little-endian uint16[snapshots, modules]: live components. `importance_mean` and `importance_max`:
    base64 of little-endian float16[snapshots, modules]: over the live components; NaN where one of their scores is, 0 at
    rank 0.
    """

    modules: list[Module]
    width: int
    steps: list[int]
    attempts: list[int]
    budget: list[int]
    live: list[int]
    threshold: list[Number | None]
    pruning: list[bool]
    final: list[bool]
    ranks: str
    importance_mean: str
    importance_max: str
    total_frames: int
    is_reduced: bool
    """True: evenly thinned; all snapshots at pruning steps and the last one are kept first."""
    last_seq: int


class ComponentHistory(Shape):
    """The components of one module over the steps.

    `mask`: base64 of numpy.packbits(bool[snapshots, width], bitorder="little"), flattened: live components. `scores`,
    `raw_scores`: base64 of little-endian float16[snapshots, width].
    """

    module: int
    name: str
    width: int
    steps: list[int]
    attempts: list[int]
    pruning: list[bool]
    mask: str
    scores: str
    raw_scores: str | None
    """Before smoothing; NaN in snapshots without. Null when the run records none."""
    total_frames: int
    is_reduced: bool
    last_seq: int


class RankFrame(Shape):
    """One rank snapshot; `mask` and `scores` packed as in contract.events.RanksEvent."""

    seq: int
    attempt: int
    step: int
    budget: int
    live: int
    threshold: Number | None
    pruning: bool
    final: bool
    mask: str
    scores: str
    raw_scores: str | None


class RankFrames(Shape):
    modules: list[Module]
    width: int
    frames: list[RankFrame]
    total_frames: int
    is_reduced: bool
    """True: evenly thinned; all frames at pruning steps and the last one are kept first."""
    last_seq: int


class LedgerLine(Shape):
    seq: int
    step: int
    change: Literal["pruned", "regrown"]
    module: int
    module_name: str
    component: int
    score: Number
    order: int
    total: int
    threshold: Number
    budget: int


class Ledger(Shape):
    items: list[LedgerLine]


class LogPart(Shape):
    """A part of the newest attempt's log file, cut at line ends."""

    attempt: int
    text: str
    offset: int
    """Byte offset of the text's start."""
    next_offset: int
    """Ask with this offset for what comes after."""
    size: int


class LogLine(Shape):
    offset: int
    """Byte offset of the line's start."""
    line: str
    """A line that is longer than 2,000 bytes: the part around the match."""


class LogMatches(Shape):
    """Lines of the log that contain the text, in order."""

    attempt: int
    items: list[LogLine]
    next_from: int | None
    """Go on from this byte for more; null: the whole log was searched."""
    size: int


class CheckpointShape(Shape):
    attempt: int
    """0: taken over from the run that this one was forked from."""
    step: int
    created_at: float
    size_bytes: int
    is_best: bool
    """Of the best evaluation by `config.training.best_metric`, once the ranks are final."""


class CheckpointList(Shape):
    items: list[CheckpointShape]


# ---------------------------------------------------------------- compare


class ConfigDifference(Shape):
    field: str
    values: list[Any]
    """One for each run, in the order asked for; null where the run has no such field."""


class Comparison(Shape):
    runs: list[RunSummary]
    differences: list[ConfigDifference]
    equal_budget: bool
    """All runs keep the same number of components (or parameters, for runs without components)."""


# ---------------------------------------------------------------- catalogue, workers, system


class PresetShape(Shape):
    key: str
    title: str
    description: str
    config: RunConfig


class PresetList(Shape):
    items: list[PresetShape]


class ModelShape(Shape):
    id: str
    name: str
    architecture: str
    parameters: int
    layers: int | None
    n_modules: int
    """Linear layers that are adapted when target_modules is empty."""
    module_kinds: list[str]
    """Names to choose target_modules from."""
    size_bytes: int
    description: str


class ModelList(Shape):
    items: list[ModelShape]


class DatasetShape(Shape):
    id: str
    name: str
    description: str
    columns: list[str]
    text_columns: list[str]
    label_column: str | None
    group_column: str | None
    rows: int
    labels: dict[str, int]
    """Class -> rows, of the default label column."""


class DatasetList(Shape):
    items: list[DatasetShape]


class DatasetPreview(Shape):
    columns: list[str]
    rows: list[dict[str, str]]
    total_rows: int


class WorkerShape(Shape):
    name: str
    host: str
    version: str
    slots: int
    busy: int
    gpus: list[dict[str, Any]]
    started_at: float
    heartbeat_at: float
    status: Literal["online", "draining", "lost", "stopped"]
    runs: list[str]


class WorkerList(Shape):
    items: list[WorkerShape]


class ServiceState(Shape):
    ok: bool
    message: str
    next_step: str = ""


class Health(Shape):
    status: Literal["ok", "degraded"]
    version: str
    database: ServiceState
    broker: ServiceState
    workers: ServiceState
    disk: ServiceState
    time: float
    """The server's clock, for ages in the page."""


class SignIn(Shape):
    token: str = Field(min_length=1, max_length=500)


class SessionState(Shape):
    signed_in: bool
