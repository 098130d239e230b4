"""AdaLoRA: sensitivity scores and a budget that falls fast at first."""

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from dynamic_rank.schedule.config import PruningPhase, ScheduleShape
from rankscope.contract.methods.budgeted import BudgetedMethod
from rankscope.contract.methods.fields import Compact, LoraAlpha, LoraDropout, TargetModules
from rankscope.contract.parts import advanced


class AdaLoraMethod(BudgetedMethod):
    """Scores components by smoothed sensitivity and its uncertainty; the budget falls fast at first (AdaLoRA, ICLR 2023)."""

    model_config = ConfigDict(title="AdaLoRA")

    label: ClassVar[str] = "AdaLoRA"

    name: Literal["adalora"] = "adalora"
    beta1: float = Field(
        default=0.85,
        ge=0,
        lt=1,
        title="Smoothing of sensitivity (beta1)",
        description="Decay of the moving average of the sensitivity.",
        json_schema_extra=advanced(),
    )
    beta2: float = Field(
        default=0.85,
        ge=0,
        lt=1,
        title="Smoothing of uncertainty (beta2)",
        description="Decay of the moving average of the uncertainty.",
        json_schema_extra=advanced(),
    )
    orth_reg_weight: float = Field(
        default=0.5,
        ge=0,
        le=10,
        title="Orthogonality",
        description="Weight of the term that keeps A and B orthonormal. 0: off.",
        json_schema_extra=advanced(),
    )
    compact: Compact = True
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @property
    def budget_shape(self) -> ScheduleShape:
        return "fast_first"

    @property
    def interval_phase(self) -> PruningPhase:
        return "absolute"
