"""Dynamic rank: rank-1 components that are scored and pruned during training (DoRA, Mao et al., ACL 2024)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from dynamic_rank.schedule.config import BudgetUnit, PruningPhase, ScheduleShape
from rankscope.contract.methods.base import Method
from rankscope.contract.methods.budgeted import BudgetedMethod
from rankscope.contract.methods.fields import Compact, LoraAlpha, LoraDropout, TargetModules
from rankscope.contract.parts import advanced


class DynamicRankMethod(BudgetedMethod):
    """LoRA split into rank-1 components that are scored and pruned during training (DoRA, Mao et al., ACL 2024)."""

    model_config = ConfigDict(title="Dynamic rank (DoRA, ACL 2024)")
    label: ClassVar[str] = "Dynamic rank"
    has_raw_scores: ClassVar[bool] = True
    can_be_steered: ClassVar[bool] = True
    fork_fields: ClassVar[frozenset[str]] = BudgetedMethod.fork_fields | {
        "pruning_phase",
        "schedule",
        "beta",
        "eta",
        "score",
        "c_lr_scale",
    }
    fork_fields_after_pruning: ClassVar[frozenset[str]] = frozenset({"lora_dropout", "c_lr_scale"})
    equal_scores_step: ClassVar[str] = "Raise learning_rate or warmup_ratio, or use init zero_b or another score."

    name: Literal["dynamic_rank"] = "dynamic_rank"
    beta: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        title="Smoothing (beta)",
        description="Decay of the moving average of the importance. 0: no smoothing.",
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
        description="norm_share, from the paper: a component's share in the norm of its module's update. The others are "
        "for ablation: norm (not divided by the module's), abs_c, sensitivity (from AdaLoRA), random.",
        json_schema_extra=advanced(),
    )
    init: Literal["paper", "zero_b", "small_random"] = Field(
        default="paper",
        title="Initialisation of A, B and c",
        description="paper: A and B random, c zero, as in the authors' code; learns slowly at first. Weight decay then "
        "applies to all trained parameters, and the learning-rate warm-up is rounded down, as in that code. zero_b: B zero, "
        "c one, as in LoRA. small_random: A and B smaller by the square root of 6, c zero.",
        json_schema_extra=advanced(),
    )
    pruning_phase: PruningPhase = Field(
        default="window",
        title="Pruning steps",
        description="window: every interval from the first step of the pruning window on, as in the authors' code. "
        "absolute: at multiples of the interval.",
        json_schema_extra=advanced(),
    )
    c_lr_scale: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        title="Learning rate of c",
        description="The learning rate of the scales c, as a multiple of the learning rate.",
        json_schema_extra={"x-unit": "times", **advanced()},
    )
    schedule: ScheduleShape = Field(
        default="slow_first",
        title="Shape of the budget curve",
        description="slow_first: the paper's cubic curve. fast_first: AdaLoRA's cubic curve. linear: a straight line.",
        json_schema_extra=advanced(),
    )
    budget_unit: BudgetUnit = Field(
        default="components",
        title="Budget counts",
        description="components: each counts the same, as in the paper. parameters: each counts as many as it has, so that a "
        "module with a larger matrix gets no more parameters for its rank; the budget is that of a LoRA of the target rank.",
        json_schema_extra=advanced(),
    )
    compact: Compact = True
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @classmethod
    def proposed_learning_rate(cls, options: Mapping[str, object]) -> float:
        # B zero and c one is LoRA's initialisation, so it learns at LoRA's rate.
        return Method.learning_rate if options.get("init") == "zero_b" else cls.learning_rate

    def with_random_score(self) -> "DynamicRankMethod":
        return self.model_copy(update={"score": "random"})

    @property
    def run_name(self) -> str:
        return f"dynamic rank {self.target_rank}"

    @property
    def budget_shape(self) -> ScheduleShape:
        return self.schedule

    @property
    def interval_phase(self) -> PruningPhase:
        return self.pruning_phase

    def warnings(self, *, learning_rate: float, total_steps: int) -> list[str]:
        found = super().warnings(learning_rate=learning_rate, total_steps=total_steps)
        if self.init != "paper" or total_steps >= 2000 or learning_rate >= 3e-3:
            return found
        return [
            *found,
            f"With the paper's initialisation and {total_steps} steps, learning rate {learning_rate:g} is probably "
            "too low: use about 1e-2, or init zero_b.",
        ]

    @property
    def rounds_warmup_down(self) -> bool:
        return self.init == "paper"

    @property
    def counts_parameters(self) -> bool:
        return self.budget_unit == "parameters"

    @property
    def scores_are_shares(self) -> bool:
        return self.score == "norm_share"
