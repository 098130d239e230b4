"""What the API accepts and returns. The page's types are generated from these through OpenAPI.

Numbers that may be NaN or infinite have the type Number: a JSON number, or "NaN", "Infinity", "-Infinity".
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from rankscope.contract.config import RunConfig
from rankscope.contract.downloads import DataDownloadPayload, DownloadPayload
from rankscope.contract.stored import StoredGpu
from rankscope.store.workers import WorkerState

NonFinite = Literal["NaN", "Infinity", "-Infinity"]
Number = float | NonFinite


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RequestBody(Shape):
    """Base of request bodies. Types are strict as in JSON: true is not a number, and "8" is text."""

    model_config = ConfigDict(strict=True)


# ---------------------------------------------------------------- problems (RFC 9457)


class FieldProblemShape(Shape):
    field: str = Field(examples=["config.method.target_rank"])
    value: object = None
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


# ---------------------------------------------------------------- catalogue, workers, system


class PresetShape(Shape):
    key: str
    title: str
    description: str
    config: RunConfig
    group: str | None
    """The heading under which a form lists it; null for the first ones, which are shown as cards."""
    missing_model: DownloadPayload | None
    """The model of the hub that it needs and that is not here: the body of `POST /model-downloads`."""
    missing_data: DataDownloadPayload | None
    """The data set of the hub that it needs and that is not here: the body of `POST /data-downloads`."""


class PresetList(Shape):
    items: list[PresetShape]


class LeftOutShape(Shape):
    """Rows of a data set that are skipped."""

    reason: str = Field(examples=["no label in column 'label'"])
    rows: int
    first_lines: list[int]
    """Line numbers of the first few rows."""


class DatasetShape(Shape):
    id: str
    short_id: str | None
    """The id of the same data set in earlier versions: `local:reviews` for `local:reviews.csv`."""
    name: str
    description: str
    problem: str | None
    """Why this data set can't be used, as a sentence; null if it can."""
    next_step: str | None
    """What to do about the problem."""
    columns: list[str]
    text_columns: list[str]
    """The default text columns; empty if you have to choose them."""
    target_column: str | None
    """The default target column; null if you have to choose it."""
    group_column: str | None
    split_column: str | None
    """The column in which the data set names its own split, with values such as train and validation."""
    likely_task: str
    """The task that its columns are most likely for."""
    likely_options: dict[str, str]
    """That task's options, other than columns, that fit the data set."""
    rows: int | None
    """All rows of the file, including skipped ones; null while a large file is read for the first time."""
    size_bytes: int
    labels: dict[str, int]
    """The 50 largest classes of the default target column, with their number of rows."""
    n_classes: int
    """Number of all classes of the default target column."""
    left_out: list[LeftOutShape]
    """Rows that are skipped with the default columns."""
    separator: str | None
    """Detected separator of a CSV file's columns; null for other formats."""
    encoding: str | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def label_column(self) -> str | None:
        """Earlier name of `target_column`."""
        return self.target_column


class DatasetList(Shape):
    items: list[DatasetShape]


class DatasetPreview(Shape):
    columns: list[str]
    rows: list[dict[str, str]]
    """The first rows. A missing value is an empty string; a long value is truncated and ends with "…"."""
    total_rows: int


class WorkerShape(Shape):
    name: str
    host: str
    version: str
    slots: int
    busy: int
    gpus: list[StoredGpu]
    memory_bytes: int | None
    """Memory that its processes may use: that of the host, or the limit of its container. Null if it is unknown."""
    free_memory_bytes: int | None
    started_at: float
    heartbeat_at: float
    status: WorkerState
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
    """The server's clock, to compute ages from."""


class SignIn(Shape):
    token: str = Field(min_length=1, max_length=500)


class SessionState(Shape):
    signed_in: bool
