"""The types of the JSON columns, as they are read from a row.

A row keeps the form of the version that wrote it. Keys that were added later are `NotRequired`: read them with `get` and
their default. Unknown keys are kept and ignored. A run's configuration is opaque here: `RunConfig.stored` reads it and
knows the forms of earlier versions.
"""

from typing import Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, JsonValue, with_config
from typing_extensions import TypedDict

from rankscope.contract.config import SteerAction

StoredConfig: TypeAlias = dict[str, JsonValue]
Payload: TypeAlias = dict[str, JsonValue]


_AS_WRITTEN = ConfigDict(extra="allow", use_attribute_docstrings=True)
"""The API returns these as they are stored, including unknown keys."""


@with_config(_AS_WRITTEN)
class Environment(TypedDict, total=False):
    """What else determined a run's result. Runs of early versions have only some of these."""

    rankscope: str
    """RankScope version that planned the run."""
    python: str
    """Python version of the server."""
    model_fingerprint: str
    data_fingerprint: str
    train_rows: int
    eval_rows: int
    labels: list[str]
    """Classes in the order of the model's outputs."""
    imported_from: str
    """Of an imported run: the id that it had where its bundle was exported."""
    n_modules: int
    """Planned, and exact once the model is loaded."""
    first_trained_with: dict[str, str]
    """Versions and device of the first attempt."""
    trained_with: dict[str, str]
    """Versions and device of the newest attempt."""


class StoredMemoryEstimate(TypedDict):
    """The estimated peak of a run's memory, made at its launch."""

    device: Literal["cpu", "gpu"]
    family: str
    """The kind of model, for comparison with other runs."""
    counted_bytes: int
    """Weights, adapter, gradients and optimizer, which are known exactly."""
    estimated_bytes: int
    """Activations and process, before the correction."""
    correction: float
    """Factor of `estimated_bytes`, from earlier runs."""


class MetricSummary(TypedDict):
    """Summary of one metric. Values that are not finite are the strings "NaN", "Infinity" and "-Infinity"."""

    last: float | str
    last_step: int
    min: float | str
    min_step: int
    max: float | str
    max_step: int


class StoredSteerRequest(TypedDict):
    """A steering request that is still pending."""

    id: str
    action: SteerAction
    target_rank: NotRequired[int | None]
    time: float


@with_config(_AS_WRITTEN)
class StoredGpu(TypedDict):
    """A GPU, as last reported by its worker."""

    index: int
    name: str
    memory_bytes: int
    free_bytes: int
    uuid: NotRequired[str]
    runs: NotRequired[int]
    """Number of RankScope runs on it."""
    is_filled: NotRequired[bool]
    """Whether other programs use too much of its memory for a run."""


class StoredError(TypedDict):
    """Why a background job failed."""

    message: str
    next_step: str | None


class Stamp(TypedDict):
    """The fields of every stored event."""

    seq: int
    attempt: int
    time: float
    kind: str


class StoredModule(TypedDict):
    name: str
    layer: int | None
    kind: str
    stack: NotRequired[str]
    out_features: int
    in_features: int


class StoredModules(Stamp):
    """A stored `ModulesEvent`. The classes below are the stored forms of other events."""

    modules: list[StoredModule]
    width: int


class StoredRanks(Stamp):
    step: int
    budget: int
    live: int
    threshold: NotRequired[float | str]
    pruning: bool
    final: bool
    modules: int
    width: int
    mask: str
    scores: str
    raw_scores: NotRequired[str]


class StoredChange(TypedDict):
    module: int
    component: int
    score: float | str
    order: int


class StoredPruning(Stamp):
    step: int
    budget: int
    total: int
    threshold: float | str
    final: bool
    pruned: list[StoredChange]
    regrown: list[StoredChange]


class StoredWarning(Stamp):
    code: str
    message: str
    next_step: NotRequired[str]
    step: NotRequired[int]
