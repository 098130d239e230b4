"""The design of a sweep: a configuration, the parameters that vary, and how values are chosen.

A point is one set of values. A trial is one training of a point at one seed: a run.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from rankscope.contract.parts import refuse

BUDGET = "budget"
"""Parameter: the mean kept rank, whichever option of the method determines it."""
MOST_PARAMETERS = 20
MOST_POINTS = 1000
MOST_TRIALS = 2000
MOST_SEEDS = 20
MOST_PARALLEL = 64

SearchKind = Literal["grid", "random", "tpe", "halving"]
Scale = Literal["linear", "log"]
Values = dict[str, JsonValue]
"""Parameter -> value of one point. A parameter that its method does not have is left out."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class SweepStatus(StrEnum):
    running = "running"
    paused = "paused"
    done = "done"
    stopped = "stopped"
    failed = "failed"


class SweepTrialStatus(StrEnum):
    planned = "planned"
    """Waits for a run, because the sweep was paused."""
    running = "running"
    """Its run is queued, training, or waits for a resume."""
    done = "done"
    pruned = "pruned"
    """Its run was stopped because its point was among the worse ones at a rung."""
    failed = "failed"
    """Ended without a result."""


class SweepPart(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, strict=True
    )


class ParameterSpace(SweepPart):
    """Either a list of values, or a range."""

    values: list[JsonValue] | None = Field(default=None, min_length=1, max_length=100)
    low: int | float | None = None
    high: int | float | None = None
    scale: Scale = "linear"
    """Of a range."""
    count: int | None = Field(default=None, ge=2, le=100)
    """Number of values on the range; only for a grid, which needs it."""

    @model_validator(mode="after")
    def _is_list_or_range(self) -> Self:
        if self.values is not None:
            for name in ("low", "high", "count"):
                if getattr(self, name) is not None:
                    step = "Give values, or low and high."
                    raise refuse(name, getattr(self, name), f"is {getattr(self, name)}, next to values", step)
            for at, value in enumerate(self.values):
                if any(value == other and type(value) is type(other) for other in self.values[:at]):
                    raise refuse("values", self.values, f"has {value!r} twice", "Name each value once.")
            return self
        for name in ("low", "high"):
            if getattr(self, name) is None:
                raise refuse(name, None, "is missing", "Give values, or low and high.")
        assert self.low is not None
        assert self.high is not None
        if self.low >= self.high:
            raise refuse("high", self.high, f"is {self.high:g}, not above low {self.low:g}", "Raise it.")
        if self.scale == "log" and self.low <= 0:
            step = "Raise low, or use a linear scale."
            raise refuse("low", self.low, f"is {self.low:g}; a log scale needs a number above 0", step)
        return self


_OWN: dict[SearchKind, tuple[str, ...]] = {
    "grid": (),
    "random": ("points",),
    "tpe": ("points", "startup"),
    "halving": ("points", "reduction_factor", "min_steps"),
}
_DEFAULTS = {"points": 20, "startup": 10, "reduction_factor": 3}


class Search(SweepPart):
    """How the values of the next point are chosen. A field that is not of this kind must be empty."""

    kind: SearchKind
    points: int | None = Field(default=None, ge=1, le=MOST_POINTS)
    """Number of points. Default: 20; a grid has all combinations."""
    seed: Seed = 0
    """Of the random choices; the same seed chooses the same points."""
    startup: int | None = Field(default=None, ge=1, le=MOST_POINTS)
    """TPE: random points before results are used. Default: 10."""
    reduction_factor: int | None = Field(default=None, ge=2, le=10)
    """Halving: at each rung, the best of this many go on. Default: 3."""
    min_steps: int | None = Field(default=None, ge=1)
    """Halving: step of the first rung. Default: all steps, divided by the reduction factor twice."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        for name in ("points", "startup", "reduction_factor", "min_steps"):
            if getattr(self, name) is not None and name not in _OWN[self.kind]:
                kinds = " or ".join(kind for kind, own in _OWN.items() if name in own)
                message = f"is {getattr(self, name)}, but a search of kind {self.kind} has no {name}"
                raise refuse(name, getattr(self, name), message, f"Remove it, or use {kinds}.")
        return self

    def resolved(self) -> Self:
        """Returns the search with all defaults of its kind filled in."""
        filled = {name: value for name, value in _DEFAULTS.items() if name in _OWN[self.kind]}
        return self.model_copy(update={name: value for name, value in filled.items() if getattr(self, name) is None})


class SweepLimits(SweepPart):
    """When a sweep ends before its search does. Running runs are finished."""

    hours: float | None = Field(default=None, gt=0, le=10_000)
    """Time that it may run, without pauses."""
    runs: int | None = Field(default=None, ge=1, le=MOST_TRIALS)
    target: float | None = None
    """The mean of a point over all its seeds is at least as good."""


class RunLimits(SweepPart):
    """When a run ends before its last step. A NaN loss always ends a run."""

    patience: int | None = Field(default=None, ge=1, le=1000)
    """Evaluations in a row without a new best value, counted once the ranks are final. The best value is then the result of
    every run."""
    max_train_loss: float | None = Field(default=None, gt=0)
    """A run whose training loss is above this has diverged, and fails."""


class SweepMetric(SweepPart):
    """The metric that points are ranked by, in its own unit."""

    name: Annotated[str, Field(min_length=1, max_length=65)]
    title: str
    """As it is written within a sentence."""
    lower_is_better: bool = False
    in_points: bool = True
    """Whether it is a share from 0 to 1, shown in hundredths."""


class SweepDesign(SweepPart):
    config: dict[str, JsonValue]
    """The complete configuration of a run, which every point changes."""
    parameters: dict[str, ParameterSpace]
    """Dotted field of the configuration, or `budget` -> values."""
    integers: list[str] = []
    """Parameters whose range consists of integers."""
    search: Search
    seeds: list[Seed]
    metric: SweepMetric
    parallel: int | None = Field(default=None, ge=1, le=MOST_PARALLEL)
    """Maximum number of runs that are queued or training. Null: 16; with TPE, the slots of the workers that are online."""
    stop: SweepLimits = SweepLimits()
    stop_runs: RunLimits = RunLimits()
    rungs: list[int] = []
    """Halving: steps at which points are compared."""
