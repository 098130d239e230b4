"""BudgetedMethod: what the methods with a falling budget share."""

import math
from typing import ClassVar, Self

from pydantic import Field, model_validator

from rankscope.contract.budget import PruningPhase, ScheduleShape, pruning_window
from rankscope.contract.methods.base import Method
from rankscope.contract.methods.fields import check_initial_rank
from rankscope.contract.parts import refuse


class BudgetedMethod(Method):
    """What dynamic rank and AdaLoRA share: a budget that falls within a window of the steps."""

    learning_rate: ClassVar[float] = 1e-2
    budget_field: ClassVar[str] = "target_rank"

    target_rank: int = Field(
        default=8,
        ge=1,
        le=256,
        title="Target rank",
        description="Mean rank of all modules at the end: the parameter budget.",
    )
    initial_rank: int | None = Field(
        default=None,
        ge=1,
        le=512,
        title="Initial rank",
        description="Rank of every module at the start. Empty: 1.5 times the target rank, rounded up.",
    )
    warmup_ratio: float = Field(
        default=0.15,
        ge=0,
        lt=1,
        title="Pruning starts at",
        description="Share of the steps before the first component may be pruned.",
    )
    prune_end_ratio: float = Field(
        default=0.5,
        gt=0,
        le=1,
        title="Pruning ends at",
        description="Share of the steps after which the ranks are final and training goes on with them.",
    )
    prune_interval: int = Field(
        default=100,
        ge=1,
        le=10_000_000,
        title="Prune every",
        description="Optimizer steps between two prunings.",
        json_schema_extra={"x-unit": "steps"},
    )

    @property
    def resolved_initial_rank(self) -> int:
        return self.initial_rank if self.initial_rank is not None else math.ceil(1.5 * self.target_rank)

    @property
    def budget_schedule(self) -> ScheduleShape:
        """The shape in which the budget falls."""
        raise TypeError(f"{type(self).__name__} does not say how its budget falls.")

    @property
    def phase(self) -> PruningPhase:
        """From where the intervals between prunings count."""
        raise TypeError(f"{type(self).__name__} does not say when it prunes.")

    @model_validator(mode="after")
    def _ranks_fit(self) -> Self:
        check_initial_rank(self.initial_rank, self.target_rank, math.ceil(1.5 * self.target_rank))
        if self.prune_end_ratio <= self.warmup_ratio:
            raise refuse(
                "prune_end_ratio",
                self.prune_end_ratio,
                f"must be above warmup_ratio {self.warmup_ratio}",
                "Raise prune_end_ratio, for example to 0.5, or lower warmup_ratio.",
            )
        return self


def check_schedule(method: Method, total_steps: int) -> None:
    """Refuses a pruning window that is shorter than one interval in a run of `total_steps` optimizer steps.

    Called while validating when `max_steps` is given, and again once epochs have been turned into steps.
    """
    if not isinstance(method, BudgetedMethod):
        return
    window = pruning_window(total_steps, method.warmup_ratio, method.prune_end_ratio)
    if window.length >= method.prune_interval:
        return
    span = method.prune_end_ratio - method.warmup_ratio
    needed = math.ceil((method.prune_interval + 1) / span)
    shorter = f"Set prune_interval to {window.length} or less, or train" if window.length >= 1 else "Train"
    raise refuse(
        "prune_interval",
        method.prune_interval,
        f"does not fit: {total_steps} steps leave {window.length} step(s) for pruning, "
        f"from step {window.start} to {window.end}",
        f"{shorter} at least {needed} steps.",
        at=("method",),
    )
