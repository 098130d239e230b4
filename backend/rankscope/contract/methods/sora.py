"""SoRA: a gate on each component."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.methods.base import Method, RankChanges, RankRule, as_number
from rankscope.contract.methods.fields import (
    LoraAlpha,
    LoraDropout,
    TargetModules,
)
from rankscope.contract.parts import advanced


class SoraMethod(Method):
    """A gate on each component, which shrinks after every step until it closes. There is no budget (SoRA)."""

    model_config = ConfigDict(title="SoRA (gates)")

    label: ClassVar[str] = "SoRA"
    rank_changes: ClassVar[RankChanges] = "at_any_step"
    rank_note: ClassVar[str] = "A component is pruned when its gate closes; there is no budget."
    trains_scales: ClassVar[bool] = True
    health_rules: ClassVar[frozenset[RankRule]] = frozenset({"ranks_never_move", "module_at_rank_0", "scores_nan"})
    no_components_step: ClassVar[str] = "Launch again with a smaller sparse_lambda."

    name: Literal["sora"] = "sora"
    rank: int = Field(default=8, ge=1, le=512, title="Initial rank", description="Rank of every module at the start.")
    sparse_lambda: float = Field(
        default=10.0,
        gt=0,
        le=100_000,
        title="Sparsity (lambda)",
        description="After each step, a gate shrinks by its learning rate times this. Larger values close more gates.",
    )
    gate_lr_scale: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        title="Learning rate of gates",
        description="The learning rate of the gates, as a multiple of the learning rate.",
        json_schema_extra={"x-unit": "times", **advanced()},
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @classmethod
    def mean_budget(cls, options: Mapping[str, object]) -> float | None:
        # Gates have no budget. For comparisons, assume two thirds of the initial rank, as methods with a budget keep by default.
        rank = options.get("rank")
        return None if rank is None else max(1.0, as_number(rank) / 1.5)

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, object]:
        return {"rank": math.ceil(1.5 * mean_rank)}

    def unmoved(self, step: int, total_steps: int, width: int) -> tuple[str, str] | None:
        if 2 * step < total_steps:
            return None
        return (
            f"No gate has closed by step {step} of {total_steps}: every module still has rank {width}.",
            "Fork or launch again with a larger sparse_lambda or learning_rate.",
        )
