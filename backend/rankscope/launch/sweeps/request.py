"""SweepRequest: what a user chooses for a sweep."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rankscope.contract.parts import refuse
from rankscope.contract.sweeps.design import (
    MOST_PARALLEL,
    MOST_PARAMETERS,
    MOST_POINTS,
    MOST_SEEDS,
    MOST_TRIALS,
    ParameterSpace,
    RunLimits,
    Search,
    Seed,
    SweepLimits,
)

ParameterName = Annotated[str, Field(min_length=1, max_length=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, strict=True)


class SweepRequest(_Part):
    """Trains a configuration with several values of some of its fields."""

    config: dict[str, Any]
    """A complete configuration of a run. Its seed is ignored."""
    parameters: dict[ParameterName, ParameterSpace] = Field(
        min_length=1,
        max_length=MOST_PARAMETERS,
        examples=[
            {"training.learning_rate": {"low": 0.0001, "high": 0.03, "scale": "log"}, "budget": {"values": [2, 4]}}
        ],
    )
    """Dotted field of the configuration -> its values. `budget` is the mean kept rank, whichever option of the method that is."""
    search: Search
    seeds: list[Seed] = Field(default=[0], min_length=1, max_length=MOST_SEEDS)
    """Training seeds of each point."""
    metric: Annotated[str, Field(min_length=1, max_length=65)] | None = None
    """The metric that ranks the points. Default: the headline metric of the task."""
    parallel: int | None = Field(default=None, ge=1, le=MOST_PARALLEL)
    """Maximum number of runs that are queued or training. Default: 16; with TPE, the slots of the workers that are online."""
    stop: SweepLimits = SweepLimits()
    stop_runs: RunLimits = RunLimits()

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        again = next((seed for at, seed in enumerate(self.seeds) if seed in self.seeds[:at]), None)
        if again is not None:
            raise refuse("seeds", self.seeds, f"has {again} twice", "Name each seed once.")
        return self


class SweepExtension(_Part):
    """What is added to a sweep; at least one of these."""

    points: int | None = Field(default=None, ge=1, le=MOST_POINTS)
    """More points; not for a grid, which has all of its combinations."""
    seeds: list[Seed] = Field(default=[], max_length=MOST_SEEDS)
    """New seeds, of every point that halving has not stopped."""
    hours: float | None = Field(default=None, gt=0, le=10_000)
    """Hours to add to the time limit."""
    runs: int | None = Field(default=None, ge=1, le=MOST_TRIALS)
    """Runs to add to the limit on runs."""

    @model_validator(mode="after")
    def _adds_something(self) -> Self:
        if self.points is None and not self.seeds and self.hours is None and self.runs is None:
            raise refuse("points", None, "is empty, as are seeds, hours and runs", "Set one of them.")
        return self
