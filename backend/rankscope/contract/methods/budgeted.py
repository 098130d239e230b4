"""BudgetedMethod: base class of the methods that prune to a budget on a schedule."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from dynamic_rank.schedule.budget import BudgetSchedule
from dynamic_rank.schedule.config import DynamicRankConfig, PruningPhase, ScheduleShape
from dynamic_rank.schedule.window import PruningWindow, least_steps, pruning_window
from rankscope.contract.methods.base import Method, RankChanges, RankRule
from rankscope.contract.methods.fields import check_initial_rank
from rankscope.contract.parts import refuse

_PRUNINGS = 7
"""Number of prunings to propose if the interval is longer than the window."""


class BudgetedMethod(Method, ABC):
    """The budget falls within a window of steps. Components with the lowest importance are pruned."""

    learning_rate: ClassVar[float] = 1e-2
    rank_changes: ClassVar[RankChanges] = "on_schedule"
    rank_note: ClassVar[str] = "Components with the lowest importance are pruned until the budget is met."
    budget_field: ClassVar[str | None] = "target_rank"
    trains_scales: ClassVar[bool] = True
    fork_fields: ClassVar[frozenset[str]] = frozenset(
        {"target_rank", "warmup_ratio", "prune_end_ratio", "prune_interval", "lora_dropout"}
    )
    fork_fields_after_pruning: ClassVar[frozenset[str]] = frozenset({"lora_dropout"})
    health_rules: ClassVar[frozenset[RankRule]] = frozenset(
        {"ranks_never_move", "budget_out_of_reach", "module_at_rank_0", "scores_equal", "scores_nan"}
    )
    no_components_step: ClassVar[str] = "Launch again with a larger target rank."

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
        description="Share of the steps before the first pruning.",
    )
    prune_end_ratio: float = Field(
        default=0.5,
        gt=0,
        le=1,
        title="Pruning ends at",
        description="Share of the steps after which the ranks are final and training continues with them.",
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
    def start_rank(self) -> int:
        return self.resolved_initial_rank

    def resolved(self) -> Self:
        return self.model_copy(update={"initial_rank": self.resolved_initial_rank})

    @property
    @abstractmethod
    def budget_shape(self) -> ScheduleShape:
        """The shape of the budget curve."""

    @property
    @abstractmethod
    def interval_phase(self) -> PruningPhase:
        """The step from which the pruning intervals are counted."""

    def pruning_window(self, total_steps: int) -> PruningWindow:
        return pruning_window(total_steps, self.warmup_ratio, self.prune_end_ratio)

    def budget_schedule(self, n_modules: int, total_steps: int) -> BudgetSchedule:
        config = DynamicRankConfig(
            target_rank=self.target_rank,
            initial_rank=self.resolved_initial_rank,
            warmup_ratio=self.warmup_ratio,
            prune_end_ratio=self.prune_end_ratio,
            prune_interval=self.prune_interval,
            pruning_phase=self.interval_phase,
            schedule=self.budget_shape,
        )
        return BudgetSchedule(config, n_modules * config.width, total_steps)

    def check_steps(self, total_steps: int) -> None:
        """Raises an error if the pruning window is shorter than one interval.

        Called during validation if `max_steps` is set, and again once epochs have been converted to steps.
        """
        window = self.pruning_window(total_steps)
        if window.length >= self.prune_interval:
            return
        needed = least_steps(self.warmup_ratio, self.prune_end_ratio, self.prune_interval)
        shorter = f"Set prune_interval to {window.length} or less, or train" if window.length >= 1 else "Train"
        raise refuse(
            "prune_interval",
            self.prune_interval,
            f"is {self.prune_interval}, which does not fit: {total_steps} steps leave {window.length} for pruning, "
            f"from step {window.start} to {window.end}",
            f"{shorter} at least {needed} steps.",
            at=("method",),
        )

    def warnings(self, *, learning_rate: float, total_steps: int) -> list[str]:  # noqa: ARG002
        found = []
        if self.resolved_initial_rank == self.target_rank:
            found.append(
                f"initial_rank equals target_rank {self.target_rank}, so nothing is pruned: raise initial_rank, or leave it "
                "empty."
            )
        elif self.pruning_window(total_steps).end >= total_steps:
            found.append(
                f"Pruning ends with the last step ({total_steps}), so the final ranks are never trained: lower "
                "prune_end_ratio."
            )
        return found

    @classmethod
    def interval_that_fits(cls, options: Mapping[str, object], total_steps: int) -> int | None:
        interval, start, end = (options.get(name) for name in ("prune_interval", "warmup_ratio", "prune_end_ratio"))
        if not isinstance(interval, int) or isinstance(interval, bool) or interval < 1:
            return None
        if not isinstance(start, int | float) or not isinstance(end, int | float) or not 0 <= start < end <= 1:
            return None
        length = pruning_window(total_steps, start, end).length
        return max(1, length // _PRUNINGS) if 1 <= length < interval else None

    @model_validator(mode="after")
    def _ranks_fit(self) -> Self:
        check_initial_rank(self.initial_rank, self.target_rank, math.ceil(1.5 * self.target_rank))
        if self.prune_end_ratio <= self.warmup_ratio:
            raise refuse(
                "prune_end_ratio",
                self.prune_end_ratio,
                f"is {self.prune_end_ratio}; it must be above warmup_ratio {self.warmup_ratio}",
                "Raise prune_end_ratio, for example to 0.5, or lower warmup_ratio.",
            )
        return self
