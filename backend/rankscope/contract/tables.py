"""The database tables. `Run` has what lists show, and `Event` has everything that happened.

Times are seconds since 1970 (UTC) as floats. Migrations under store/migrations follow these shapes; a test compares both.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Enum, Index, LargeBinary, String, Text, false
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field, SQLModel

from rankscope.contract.experiments import tables as _of_experiments  # noqa: F401  part of the schema
from rankscope.contract.jobs import JobStatus
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import (
    Environment,
    MetricSummary,
    Payload,
    StoredConfig,
    StoredError,
    StoredGpu,
    StoredMemoryEstimate,
    StoredSteerRequest,
)
from rankscope.contract.sweeps import tables as _of_sweeps  # noqa: F401
from rankscope.contract.tasks import DEFAULT_TASK


class _JsonAsText(UserDefinedType[str]):
    """A text column that earlier versions declared as JSON in SQLite; its values have always been text."""

    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        return "JSON"


class next_change(GenericFunction[int]):
    """The number of a change, as part of a statement: larger than that of every change that readers have seen.

    SQLite has one writer at a time, so the next number is the largest plus one. On PostgreSQL it is the id of the transaction:
    a reader asks again from the oldest transaction that is still running (store/listing/changes.py).
    """

    type = BigInteger()
    inherit_cache = True


@compiles(next_change, "sqlite")
def _next_change_sqlite(_element: next_change, _compiler: Any, **_options: Any) -> str:
    return (
        "(SELECT max(coalesce((SELECT max(changed) FROM run), 0),"
        " coalesce((SELECT max(changed) FROM deleted_run), 0)) + 1)"
    )


@compiles(next_change, "postgresql")
def _next_change_postgresql(_element: next_change, _compiler: Any, **_options: Any) -> str:
    return "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)"


class Run(SQLModel, table=True):
    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_queue", "status", "priority", "queue_order"),
        Index("ix_run_created", "created_at"),
        Index("ix_run_parent", "parent_id"),
        Index("ix_run_list", "archived_at", "created_at", "id"),
        Index("ix_run_changed", "changed"),
    )

    id: str = Field(primary_key=True, max_length=16)
    name: str = Field(max_length=200)
    notes: str = ""
    status: RunStatus = Field(
        default=RunStatus.queued, sa_column=Column(Enum(RunStatus, native_enum=False, length=16), nullable=False)
    )
    phase: str | None = Field(default=None, max_length=16)
    priority: int = 0
    """Runs with a higher priority start first; equal ones in `queue_order`."""
    queue_order: float
    config: StoredConfig = Field(sa_column=Column(JSON, nullable=False))
    """The fully resolved RunConfig."""
    environment: Environment = Field(default_factory=Environment, sa_column=Column(JSON, nullable=False))
    """What else determined the result: versions, model and data fingerprints, host."""
    method: str = Field(max_length=32)
    task: str = Field(
        default=DEFAULT_TASK.name,
        sa_column=Column(String(32), nullable=False, server_default=DEFAULT_TASK.name),
    )
    headline_metric: str | None = Field(default=None, max_length=65)
    """Name of the run's headline metric. None: the usual one of its task, as of every run before there was a choice."""
    model_id: str = Field(max_length=200)
    data_id: str = Field(max_length=200)
    needs_gpu: bool = False

    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    updated_at: float

    attempt: int = 0
    """Number of claims, for fencing: only the newest attempt may write."""
    attempt_started_at: float | None = None
    attempt_start_step: int = 0
    last_seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, default=0))
    chunked_seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, default=0, server_default="0"))
    """Number of the last event whose metrics are also in chunks."""
    step: int = 0
    total_steps: int | None = None

    worker: str | None = Field(default=None, max_length=200)
    """Name of the worker with the lease."""
    lease_expires_at: float | None = None
    stop_requested: str | None = Field(default=None, max_length=8)
    """`save`: checkpoint, then stop. `now`: stop without."""
    lost_workers: int = 0
    """Number of attempts that lost their worker since the last launch or resume."""

    reason: str | None = Field(default=None, max_length=40)
    message: str | None = None
    next_step: str | None = None
    cause: str | None = None
    """The line of the log that shows why the run ended or was interrupted."""

    parent_id: str | None = Field(default=None, max_length=16)
    """The run that this one was forked from; it may have been deleted since."""
    parent_step: int | None = None
    steer_requests: list[StoredSteerRequest] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]")
    )
    """Pending steering requests."""

    metrics: dict[str, MetricSummary] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    """By metric name."""
    settled_step: int | None = None
    """Step of the final mask; evaluations before it do not count as best (they are of a larger model)."""
    live: int | None = None
    """Live components after the last pruning."""
    budget: int | None = None
    n_modules: int | None = None
    width: int | None = None
    trained_parameters: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    kept_parameters: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    artifact: str | None = Field(default=None, max_length=16)
    """`adapter` or `model` once it can be downloaded."""
    memory_estimate: StoredMemoryEstimate | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    """Null for runs of earlier versions."""
    project: str = Field(default="", sa_column=Column(String(100), nullable=False, server_default=""))
    """Empty: none."""
    archived_at: float | None = None
    """Lists leave out archived runs unless a filter asks for them."""
    changed: int | None = Field(
        default=None,
        sa_column=Column(BigInteger, nullable=False, server_default="0", default=next_change(), onupdate=next_change()),
    )
    """Set by every insert and update of the row."""


class RunTag(SQLModel, table=True):
    __tablename__ = "run_tag"
    __table_args__ = (Index("ix_run_tag", "tag"),)

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE", max_length=16)
    tag: str = Field(primary_key=True, max_length=50)
    position: int
    """In the order in which they were given."""


class RunMetric(SQLModel, table=True):
    """The summary of one metric of a run, as in `Run.metrics`, for filters and sorting. Values that aren't finite are NULL."""

    __tablename__ = "run_metric"
    __table_args__ = (Index("ix_run_metric_name", "name"), {"sqlite_with_rowid": False})

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE", max_length=16)
    name: str = Field(primary_key=True, max_length=100)
    last: float | None = None
    last_step: int
    min: float | None = None
    min_step: int
    max: float | None = None
    max_step: int


class EvaluationPoint(SQLModel, table=True):
    """One value of an evaluation, for filters and sorting by the value at a step. NULL if it isn't finite."""

    __tablename__ = "evaluation_point"
    __table_args__ = (Index("ix_evaluation_point_step", "name", "step"), {"sqlite_with_rowid": False})

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE", max_length=16)
    name: str = Field(primary_key=True, max_length=100)
    step: int = Field(primary_key=True)
    value: float | None = None


class ConfigValue(SQLModel, table=True):
    """One value of a run's configuration, for filters and sorting. `Run.config` has all of it."""

    __tablename__ = "config_value"
    __table_args__ = (Index("ix_config_value", "path", "text"), {"sqlite_with_rowid": False})

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE", max_length=16)
    path: str = Field(primary_key=True, max_length=100)
    """`method.target_rank`."""
    number: float | None = None
    """NULL if the value is not a number; 0 or 1 for a boolean."""
    text: str = Field(max_length=200)
    """The value as text, or its first 200 characters."""


class DeletedRun(SQLModel, table=True):
    """A run that was deleted not long ago, for pages that show it (store/listing/changes.py)."""

    __tablename__ = "deleted_run"
    __table_args__ = (Index("ix_deleted_run_changed", "changed"),)

    id: str = Field(primary_key=True, max_length=16)
    changed: int = Field(sa_column=Column(BigInteger, nullable=False, default=next_change()))
    deleted_at: float


class SavedView(SQLModel, table=True):
    """A named view of the runs table."""

    __tablename__ = "saved_view"

    id: str = Field(primary_key=True, max_length=16)
    name: str = Field(max_length=100, unique=True)
    query: str = Field(max_length=8000)
    """The address of the view, without the leading ?."""
    created_at: float
    updated_at: float


class Attempt(SQLModel, table=True):
    """One claim of a run by a worker. Charts show earlier attempts only up to `start_step`."""

    __tablename__ = "attempt"

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE", max_length=16)
    number: int = Field(primary_key=True)
    worker: str = Field(max_length=200)
    started_at: float
    ended_at: float | None = None
    start_step: int | None = None
    """None until the training process has loaded its checkpoint; 0 without a checkpoint."""
    outcome: str | None = Field(default=None, max_length=40)


class Event(SQLModel, table=True):
    """One row per event. Fields that queries need have columns; all others are in `payload`."""

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_kind", "run_id", "kind", "seq"),)

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE", max_length=16)
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    attempt: int
    time: float
    kind: str = Field(max_length=16)
    step: int | None = None
    payload: str | None = Field(
        default=None, sa_column=Column(Text().with_variant(_JsonAsText(), "sqlite"), nullable=True)
    )
    """The other fields of the event as JSON, sent to readers unchanged (store/history/event_text.py)."""


class Chunk(SQLModel, table=True):
    """The packed points of one metric in a range of one attempt's events, for charts (store/history/points.py).

    Computed from events, which are kept. `reduced` is before `exact`, so that SQLite doesn't have to read past the latter.
    """

    __tablename__ = "chunk"

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE", max_length=16)
    name: str = Field(primary_key=True, max_length=100)
    first_seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    """Number of the first event in the range; the same for all of its metrics."""
    attempt: int = Field(primary_key=True)
    first_step: int
    """The smallest step. `last_step` is the largest."""
    last_step: int
    n: int
    """Number of points in `exact`."""
    reduced: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """About 64 points: first, last, smallest and largest of each bucket, and all non-finite values."""
    exact: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Checkpoint(SQLModel, table=True):
    __tablename__ = "checkpoint"

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE", max_length=16)
    attempt: int = Field(primary_key=True)
    step: int = Field(primary_key=True)
    created_at: float
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))


class Worker(SQLModel, table=True):
    __tablename__ = "worker"

    name: str = Field(primary_key=True, max_length=200)
    host: str = Field(max_length=200)
    pid: int
    version: str = Field(max_length=32)
    slots: int
    gpus: list[StoredGpu] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    started_at: float
    heartbeat_at: float
    memory_bytes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """Memory that its processes may use; null if it is unknown."""
    free_memory_bytes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    is_draining: bool = False
    is_outdated: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether RankScope was upgraded since the worker started. It takes no new runs or jobs until it is restarted."""
    stopped_at: float | None = None


class Job(SQLModel, table=True):
    """Short work for a worker that is not a run: retried, and outside the slots. Deleted some time after it has ended."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_queue", "status", "created_at"),)

    id: str = Field(primary_key=True, max_length=16)
    kind: str = Field(max_length=32)
    """A name in `contract.jobs.KINDS`."""
    payload: Payload = Field(sa_column=Column(JSON, nullable=False))
    """The input. Its form, and that of `result`, depends on the kind."""
    status: JobStatus = Field(
        default=JobStatus.queued, sa_column=Column(Enum(JobStatus, native_enum=False, length=16), nullable=False)
    )
    created_at: float
    updated_at: float
    attempt: int = 0
    """Number of claims, for fencing: only the newest attempt may write."""
    worker: str | None = Field(default=None, max_length=200)
    """Name of the worker with the lease, or with the last lease."""
    lease_expires_at: float | None = None
    progress: float | None = None
    """Share of the work that is done, from 0 to 1."""
    result: Payload | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    error: StoredError | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    """Why it failed."""


class Probe(SQLModel, table=True):
    """A measurement of a few steps of a training, for estimates of runs of the same shape. The newest are kept."""

    __tablename__ = "probe"
    __table_args__ = (Index("ix_probe_model", "model_id", "created_at"),)

    id: str = Field(primary_key=True, max_length=16)
    created_at: float
    model_id: str = Field(max_length=200)
    method: str = Field(max_length=32)
    task: str = Field(max_length=64)
    config: StoredConfig = Field(sa_column=Column(JSON, nullable=False))
    result: Payload = Field(sa_column=Column(JSON, nullable=False))
    """A `contract.probes.ProbeResult`."""
