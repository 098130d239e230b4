"""LoRA trained at a high rank, then truncated by singular value."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from rankscope.contract.errors import FieldProblem
from rankscope.contract.methods.base import Layer, Method, RankChanges
from rankscope.contract.methods.fields import (
    LoraAlpha,
    LoraDropout,
    TargetModules,
    check_initial_rank,
    max_rank,
)


class LoraShrinkMethod(Method):
    """LoRA trained at a high rank, then truncated by singular value: cheap, and hard to beat."""

    model_config = ConfigDict(title="LoRA, shrunk at the end")
    label: ClassVar[str] = "LoRA, shrunk"
    rank_changes: ClassVar[RankChanges] = "once"
    rank_note: ClassVar[str] = "The ranks are truncated once, by singular value."
    budget_field: ClassVar[str | None] = "target_rank"
    tolerates_excess_rank: ClassVar[bool] = False
    no_components_step: ClassVar[str] = "Launch again with a larger target rank."

    name: Literal["lora_shrink"] = "lora_shrink"
    target_rank: int = Field(
        default=8,
        ge=1,
        le=256,
        title="Target rank",
        description="Mean rank of all modules after truncation.",
    )
    initial_rank: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        title="Initial rank",
        description="Rank of every module before truncation. Empty: 4 times the target rank.",
    )
    allocation: Literal["uniform", "global"] = Field(
        default="uniform",
        title="Allocation",
        description="uniform: every module keeps the target rank. global: the largest singular values of all modules.",
    )
    shrink_at_ratio: float = Field(
        default=1.0,
        gt=0,
        le=1,
        title="Truncate at",
        description="Share of the steps after which the ranks are truncated. 1: at the end.",
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @property
    def resolved_initial_rank(self) -> int:
        return self.initial_rank if self.initial_rank is not None else 4 * self.target_rank

    @property
    def run_name(self) -> str:
        return f"LoRA {self.resolved_initial_rank} shrunk to {self.target_rank}"

    @property
    def start_rank(self) -> int:
        return self.resolved_initial_rank

    def resolved(self) -> Self:
        return self.model_copy(update={"initial_rank": self.resolved_initial_rank})

    def planned_budgets(self, n_modules: int, total_steps: int) -> list[tuple[int, int]]:
        return [(0, n_modules * self.start_rank), (self.shrink_step(total_steps), n_modules * self.target_rank)]

    def warnings(self, *, learning_rate: float, total_steps: int) -> list[str]:  # noqa: ARG002
        if self.resolved_initial_rank > self.target_rank:
            return []
        return [
            f"initial_rank equals target_rank {self.target_rank}, so nothing is cut: raise initial_rank, or leave it empty."
        ]

    def problems(self, layers: Sequence[Layer], *, batch_size: int, max_length: int) -> list[FieldProblem]:  # noqa: ARG002
        rank = self.resolved_initial_rank
        small = next((layer for layer in layers if rank > max_rank(layer)), None)
        if small is None:
            return []
        most = min(map(max_rank, layers))
        return [
            FieldProblem(
                "config.method.initial_rank",
                rank,
                f"is {rank}, above the {max_rank(small)} that {small.name} "
                f"({small.out_features} x {small.in_features}) can have",
                f"Use {most} or less"
                + ("." if most >= self.target_rank else f", and a target_rank of {most} or less."),
            )
        ]

    def shrink_step(self, total_steps: int) -> int:
        """Returns the optimizer step after which the adapter is truncated."""
        return max(1, math.floor(Fraction(str(self.shrink_at_ratio)) * total_steps))

    @model_validator(mode="after")
    def _ranks_fit(self) -> Self:
        check_initial_rank(self.initial_rank, self.target_rank, 4 * self.target_rank)
        return self
