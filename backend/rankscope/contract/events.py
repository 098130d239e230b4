"""RunEvent: everything that happens in a run, in order. Each event is a flat object with a `kind`.

A worker creates events without `seq`, `attempt` and `time`, which the store adds when it appends them. Readers see
`{seq, attempt, time, kind, step?, ...}` with `seq` 1..n per run, without gaps. Numbers that are not finite are sent as the
strings "NaN", "Infinity" and "-Infinity", because JSON can't represent them.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from rankscope.contract.config import SteerAction
from rankscope.contract.status import Phase, RunStatus


class EventBase(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings", use_attribute_docstrings=True)


class StatusEvent(EventBase):
    """The run's status changed. An attempt begins with `starting` and trains from `running` on."""

    kind: Literal["status"] = "status"
    status: RunStatus
    reason: str | None = None
    """Stable name for programs, for example `out_of_memory`, `worker_lost`, `cancelled`."""
    message: str | None = None
    next_step: str | None = None
    cause: str | None = None
    """The line of the log that shows the cause, verbatim."""
    step: int | None = None
    """For `running`: the step at which the attempt begins. It replaces what earlier attempts recorded after that step."""


class PhaseEvent(EventBase):
    """What the training process is doing."""

    kind: Literal["phase"] = "phase"
    phase: Phase
    step: int | None = None


MetricName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class MetricsEvent(EventBase):
    """The metrics of one optimizer step, logged together: a step takes one row and one message."""

    kind: Literal["metrics"] = "metrics"
    step: int = Field(ge=0, le=2**31 - 1)
    values: dict[MetricName, float] = Field(min_length=1, max_length=1000)
    """By metric name."""


class Module(BaseModel):
    """One adapted linear layer."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    """Full dotted name in the base model."""
    layer: int | None
    """Index of its block."""
    kind: str
    """Its kind within the block: query, value, attention.output, intermediate, up_proj, ..."""
    stack: str = ""
    """`encoder` or `decoder` for models that have both."""
    out_features: int
    in_features: int


class ModulesEvent(EventBase):
    """The adapted modules, in the order of the forward pass, which rank records refer to. Once per attempt."""

    kind: Literal["modules"] = "modules"
    modules: list[Module]
    width: int
    """Components of each module at the start (the initial rank): the row length of rank records."""
    trained_parameters: int
    total_steps: int


class RanksEvent(EventBase):
    """A snapshot of all modules after an optimizer step, packed.

    `mask`: base64 of numpy.packbits(bool[modules, width], bitorder="little"): live components.
    `scores`: base64 of little-endian float16[modules, width], row-major: importance (0 if pruned permanently).
    `raw_scores`: in the same format, the importance at this step before smoothing; null unless the run records it.
    A module's live rank is the number of set bits in its row of the mask.
    """

    kind: Literal["ranks"] = "ranks"
    step: int = Field(ge=0)
    budget: int
    live: int
    threshold: float | None = None
    pruning: bool = False
    """Whether this step ended with a pruning, so that the live ranks are exact."""
    final: bool = False
    """Whether the mask is final."""
    modules: int
    width: int
    mask: str
    scores: str
    raw_scores: str | None = None


class ComponentChange(BaseModel):
    """A line of the ledger: a component that was pruned or regrown."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    module: int
    """Index of the module in the modules event."""
    component: int
    score: float
    order: int
    """Place among all components by score; 1 is the most important."""


class PruneEvent(EventBase):
    """One pruning of all modules."""

    kind: Literal["prune"] = "prune"
    step: int
    budget: int
    total: int
    """Number of components at the start, live or pruned."""
    threshold: float
    final: bool
    pruned: list[ComponentChange]
    regrown: list[ComponentChange]


class CheckpointEvent(EventBase):
    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    size_bytes: int


class ArtifactEvent(EventBase):
    """A result that can be downloaded."""

    kind: Literal["artifact"] = "artifact"
    name: Literal["adapter", "model"]
    step: int
    size_bytes: int
    kept_parameters: int


class WarningEvent(EventBase):
    """Something you should know; training continues."""

    kind: Literal["warning"] = "warning"
    code: str
    message: str
    next_step: str = ""
    step: int | None = None


class SteerEvent(EventBase):
    """A steering request took effect at the end of optimizer step `step`, or was refused."""

    kind: Literal["steer"] = "steer"
    step: int
    action: SteerAction
    target_rank: int | None = None
    request: str | None = None
    """Id of the request; null for an action from the configuration or an earlier attempt."""
    refused: str | None = None
    """Why the request was refused."""


class ConfigEvent(EventBase):
    """Fields of the configuration changed, by a retry or while the run waited in the queue."""

    kind: Literal["config"] = "config"
    why: Literal["retry", "edit"]
    changes: dict[str, list[object]]
    """Dotted field -> [before, after]."""
    total_steps: int | None = None
    """Number of optimizer steps with the new configuration."""
    step: int | None = None


RunEvent = Annotated[
    StatusEvent
    | PhaseEvent
    | MetricsEvent
    | ModulesEvent
    | RanksEvent
    | PruneEvent
    | CheckpointEvent
    | ArtifactEvent
    | WarningEvent
    | SteerEvent
    | ConfigEvent,
    Field(discriminator="kind"),
]
EventKind = Literal[
    "status", "phase", "metrics", "modules", "ranks", "prune", "checkpoint", "artifact", "warning", "steer", "config"
]
run_event: TypeAdapter[RunEvent] = TypeAdapter(RunEvent)

StoredEvent = dict[str, Any]
"""A RunEvent with `seq`, `attempt` and `time` (seconds since 1970, UTC), as readers see it: parsed JSON of any kind.

`contract.stored` has the forms of the kinds that the server itself reads.
"""
