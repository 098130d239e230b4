"""Dynamic rank: rank-1 components that are scored and pruned while training (DoRA, Mao et al., ACL 2024)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.budget import PruningPhase, ScheduleShape
from rankscope.contract.methods.budgeted import BudgetedMethod
from rankscope.contract.methods.fields import Compact, LoraAlpha, LoraDropout, TargetModules
from rankscope.contract.methods.lora import LoraMethod
from rankscope.contract.parts import advanced


class DynamicRankMethod(BudgetedMethod):
    """LoRA split into rank-1 components that are scored and pruned while training (DoRA, Mao et al., ACL 2024)."""

    model_config = ConfigDict(title="Dynamic rank (DoRA, ACL 2024)")
    can_be_steered: ClassVar[bool] = True

    name: Literal["dynamic_rank"] = "dynamic_rank"
    beta: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        title="Smoothing (beta)",
        description="How slowly the importance follows the newest score. 0: no smoothing.",
        json_schema_extra=advanced(),
    )
    eta: float = Field(
        default=0.1,
        ge=0,
        le=10,
        title="Regulariser (eta)",
        description="Weight of the dimensional equilibrium term in the loss until pruning ends. 0: off.",
        json_schema_extra=advanced(),
    )
    score: Literal["norm_share", "norm", "abs_c", "sensitivity", "random"] = Field(
        default="norm_share",
        title="Importance score",
        description="norm_share is the paper's: a component's share in the norm of its module's update. The others are "
        "for ablation: norm (not divided by the module's), abs_c, sensitivity (AdaLoRA's), random.",
        json_schema_extra=advanced(),
    )
    init: Literal["paper", "zero_b", "small_random"] = Field(
        default="paper",
        title="Start of A, B and c",
        description="paper: A and B random, c zero, as in the authors' program; starts slowly. Weight decay then applies to "
        "all that is trained, and the learning-rate warm-up is rounded down, as there. zero_b: B zero, c one, as in LoRA. "
        "small_random: A and B smaller by the square root of 6, c zero.",
        json_schema_extra=advanced(),
    )
    pruning_phase: PruningPhase = Field(
        default="window",
        title="Pruning steps",
        description="window: every interval from the first step of the pruning window on, as in the authors' program. "
        "absolute: at the multiples of the interval.",
        json_schema_extra=advanced(),
    )
    c_lr_scale: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        title="Learning rate of c",
        description="The scales c learn at this multiple of the learning rate.",
        json_schema_extra={"x-unit": "times", **advanced()},
    )
    schedule: ScheduleShape = Field(
        default="slow_first",
        title="Shape of the budget curve",
        description="slow_first: the paper's cubic. fast_first: AdaLoRA's cubic. linear.",
        json_schema_extra=advanced(),
    )
    compact: Compact = True
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @classmethod
    def own_rate(cls, options: Mapping[str, Any]) -> float:
        # B zero and c one start like LoRA, and learn at its rate.
        return LoraMethod.learning_rate if options.get("init") == "zero_b" else cls.learning_rate

    @property
    def budget_schedule(self) -> ScheduleShape:
        return self.schedule

    @property
    def phase(self) -> PruningPhase:
        return self.pruning_phase
