"""ExperimentRequest: what a user chooses for an experiment. Everything else of its design follows from it."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from rankscope.contract.config import RunConfig
from rankscope.contract.experiments.design import ControlKind
from rankscope.contract.methods import MethodName
from rankscope.contract.parts import refuse

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class MethodChoice(_Part):
    """A method to compare with plain LoRA."""

    method: MethodName
    options: dict[str, JsonValue] = Field(default={}, max_length=50)
    """Its own options, besides the rank, which the budgets give."""
    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """Name in tables and sentences. Default: the method's label, with its options."""


class TuningChoice(_Part):
    """The learning rates that are tried, alike for every method."""

    trials: int = Field(default=6, ge=0, le=20)
    """Rates per method and budget, on a log scale. 0: no tuning; every method uses the configuration's learning rate."""
    lowest_rate: Rate = 1e-4
    highest_rate: Rate = 3e-2
    seeds: list[Seed] = Field(default=[1000], min_length=1, max_length=10)
    """Never seeds of the result."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.lowest_rate >= self.highest_rate:
            raise refuse(
                "highest_rate",
                self.highest_rate,
                f"is {self.highest_rate:g}, not above lowest_rate {self.lowest_rate:g}",
                "Raise it.",
            )
        return self


class ExperimentRequest(_Part):
    """Asks whether methods are better than plain LoRA at the same budget."""

    config: dict[str, Any]
    """A run's configuration: model, data, task, training and hardware. Its method and seed are ignored."""
    methods: list[MethodChoice] = Field(min_length=1, max_length=12)
    budgets: list[Annotated[int, Field(ge=1, le=256)]] = Field(default=[4], min_length=1, max_length=8)
    """Mean kept ranks."""
    seeds: list[Seed] = Field(default=[0, 1, 2, 3, 4], min_length=1, max_length=50)
    margin: float = Field(default=0.005, gt=0)
    """The smallest difference that matters, in the unit of the headline metric."""
    tuning: TuningChoice = TuningChoice()
    controls: list[ControlKind] = Field(default=list(ControlKind), max_length=len(ControlKind))
    """What is trained besides, to separate the causes of a difference."""
    planned_looks: int = Field(default=1, ge=1, le=10)
    """How many times the answer may be looked at before it is final."""

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        for name in ("budgets", "seeds"):
            values = getattr(self, name)
            again = next((value for at, value in enumerate(values) if value in values[:at]), None)
            if again is not None:
                raise refuse(name, values, f"has {again} twice", "Name each once.")
        both = set(self.seeds) & set(self.tuning.seeds) if self.tuning.trials else set()
        if both:
            seed = min(both)
            raise refuse(
                "seeds",
                self.tuning.seeds,
                f"has {seed}, which is also a seed of the result, so the rate would be chosen for it",
                "Tune with other seeds.",
                at=("tuning",),
            )
        return self


def base_config(request: ExperimentRequest) -> RunConfig:
    """Returns the configuration with the first method, which represents all of them. Raises ValidationError."""
    return RunConfig.model_validate(
        {**request.config, "method": {"name": request.methods[0].method, **request.methods[0].options}}
    )
