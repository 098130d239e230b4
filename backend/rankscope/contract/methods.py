"""The methods of a run and their options, told apart by `name`."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from rankscope.contract.budget import PruningPhase, ScheduleShape, pruning_window
from rankscope.contract.parts import Part, advanced, refuse

ModuleName = Annotated[str, Field(max_length=300)]
TargetModules = Annotated[
    list[ModuleName] | None,
    Field(
        default=None,
        min_length=1,
        max_length=1000,
        title="Target modules",
        description="Names (or dotted name ends) of the linear layers to adapt, for example query, value. "
        "Empty: all linear layers in the model's blocks.",
        json_schema_extra=advanced(),
    ),
]
LoraAlpha = Annotated[
    float,
    Field(
        gt=0,
        le=1024,
        title="LoRA alpha",
        description="The update is scaled by alpha / initial rank.",
        json_schema_extra=advanced(),
    ),
]
LoraDropout = Annotated[
    float,
    Field(
        ge=0, lt=1, title="LoRA dropout", description="Dropout on the adapter's input.", json_schema_extra=advanced()
    ),
]


class Method(Part):
    """What the rest of the product asks a method about itself."""

    learning_rate: ClassVar[float] = 3e-3
    """Where this method learned best in short runs of the demo (docs/method.md); the form proposes it."""
    has_budget: ClassVar[bool] = True
    """Whether a mean rank says how much it keeps."""
    budget_field: ClassVar[str] = "rank"
    """The option that is the mean rank kept at the end."""
    can_be_steered: ClassVar[bool] = False

    @classmethod
    def own_rate(cls, options: Mapping[str, Any]) -> float:  # noqa: ARG003
        """The learning rate to propose for these options, which may be incomplete."""
        return cls.learning_rate

    @classmethod
    def mean_budget(cls, options: Mapping[str, Any]) -> float | None:
        """Mean rank kept at the end with these options; None where they do not say. TypeError for a wrong type."""
        rank = options.get(cls.budget_field)
        return None if rank is None else float(rank)

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, Any]:
        """The options that keep `mean_rank` components a module."""
        return {cls.budget_field: mean_rank}


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
        _check_initial_rank(self.initial_rank, self.target_rank, math.ceil(1.5 * self.target_rank))
        if self.prune_end_ratio <= self.warmup_ratio:
            raise refuse(
                "prune_end_ratio",
                self.prune_end_ratio,
                f"must be above warmup_ratio {self.warmup_ratio}",
                "Raise prune_end_ratio, for example to 0.5, or lower warmup_ratio.",
            )
        return self


Compact = Annotated[
    bool,
    Field(
        title="Compact after pruning",
        description="Cut pruned components out of tensors and optimizer after the final mask: less memory, same result.",
        json_schema_extra=advanced(),
    ),
]


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


class LoraMethod(Method):
    """Plain LoRA: every module has the same rank from start to end."""

    model_config = ConfigDict(title="LoRA (fixed rank)")

    name: Literal["lora"] = "lora"
    rank: int = Field(default=8, ge=1, le=512, title="Rank", description="Rank of every module.")
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    use_rslora: bool = Field(
        default=False,
        title="Rank-stabilised scale",
        description="Scale by alpha / sqrt(rank) in place of alpha / rank (rsLoRA).",
        json_schema_extra=advanced(),
    )
    target_modules: TargetModules = None


class AdaLoraMethod(BudgetedMethod):
    """Components scored by smoothed sensitivity and its uncertainty; the budget falls fast first (AdaLoRA, ICLR 2023)."""

    model_config = ConfigDict(title="AdaLoRA")

    name: Literal["adalora"] = "adalora"
    beta1: float = Field(
        default=0.85,
        ge=0,
        lt=1,
        title="Smoothing of sensitivity (beta1)",
        description="How slowly the sensitivity follows the newest gradient.",
        json_schema_extra=advanced(),
    )
    beta2: float = Field(
        default=0.85,
        ge=0,
        lt=1,
        title="Smoothing of uncertainty (beta2)",
        description="How slowly the uncertainty follows.",
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
    def budget_schedule(self) -> ScheduleShape:
        return "fast_first"

    @property
    def phase(self) -> PruningPhase:
        return "absolute"


class EvaMethod(Method):
    """LoRA whose ranks are dealt out once, at the start, by the variance of each module's inputs (EVA, 2024)."""

    model_config = ConfigDict(title="EVA (ranks by activations)")

    name: Literal["eva"] = "eva"
    rank: int = Field(default=8, ge=1, le=256, title="Mean rank", description="Mean rank of all modules.")
    rho: float = Field(
        default=2.0,
        ge=1,
        le=16,
        title="Spread (rho)",
        description="A module gets at most rank times rho components. 1: the same for all.",
    )
    tau: float = Field(
        default=0.99,
        gt=0,
        lt=1,
        title="Convergence (tau)",
        description="Cosine between two passes at which a direction counts as found.",
        json_schema_extra=advanced(),
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @property
    def most_rank(self) -> int:
        """Components that a module can get, rounded as PEFT does."""
        return round(self.rank * self.rho)


class LoraShrinkMethod(Method):
    """LoRA trained at a high rank, then cut down by singular value: cheap, and hard to beat."""

    model_config = ConfigDict(title="LoRA, shrunk at the end")
    budget_field: ClassVar[str] = "target_rank"

    name: Literal["lora_shrink"] = "lora_shrink"
    target_rank: int = Field(
        default=8,
        ge=1,
        le=256,
        title="Target rank",
        description="Mean rank of all modules after the cut.",
    )
    initial_rank: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        title="Initial rank",
        description="Rank of every module before the cut. Empty: 4 times the target rank.",
    )
    allocation: Literal["uniform", "global"] = Field(
        default="uniform",
        title="What stays",
        description="uniform: every module keeps the target rank. global: the largest singular values of all modules.",
    )
    shrink_at_ratio: float = Field(
        default=1.0,
        gt=0,
        le=1,
        title="Cut at",
        description="Share of the steps after which it is cut. 1: at the end.",
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @property
    def resolved_initial_rank(self) -> int:
        return self.initial_rank if self.initial_rank is not None else 4 * self.target_rank

    def shrink_step(self, total_steps: int) -> int:
        """The optimizer step after which the adapter is cut."""
        return max(1, math.floor(Fraction(str(self.shrink_at_ratio)) * total_steps))

    @model_validator(mode="after")
    def _ranks_fit(self) -> Self:
        _check_initial_rank(self.initial_rank, self.target_rank, 4 * self.target_rank)
        return self


class SoraMethod(Method):
    """A gate on each component, shrunk after every step until it closes; no budget, the gates find their ranks (SoRA)."""

    model_config = ConfigDict(title="SoRA (gates)")

    name: Literal["sora"] = "sora"
    rank: int = Field(default=8, ge=1, le=512, title="Initial rank", description="Rank of every module at the start.")
    sparse_lambda: float = Field(
        default=10.0,
        gt=0,
        le=100_000,
        title="Sparsity (lambda)",
        description="After each step a gate shrinks by its learning rate times this. More closes more of them.",
    )
    gate_lr_scale: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        title="Learning rate of gates",
        description="The gates learn at this multiple of the learning rate.",
        json_schema_extra={"x-unit": "times", **advanced()},
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @classmethod
    def mean_budget(cls, options: Mapping[str, Any]) -> float | None:
        # Gates know no budget. As in dynamic rank, two thirds of what it starts with is the guess to compare at.
        rank = options.get("rank")
        return None if rank is None else max(1.0, float(rank) / 1.5)

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, Any]:
        return {"rank": math.ceil(1.5 * mean_rank)}


class ControlMethod(Method):
    """Plain LoRA from scratch with the ranks of a finished run: does the learned allocation help by itself?"""

    model_config = ConfigDict(title="Control (ranks of a finished run)")

    name: Literal["control"] = "control"
    rank_pattern: dict[ModuleName, Annotated[int, Field(ge=0, le=1024)]] = Field(
        title="Rank of each module",
        min_length=1,
        max_length=10_000,
        description="By full module name, as in a finished run's rank_pattern.json; 0 leaves a module out. "
        "The page of a finished run fills this in.",
        examples=[{"encoder.layer.0.attention.self.query": 4}],
    )
    scale_rank: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        title="Rank of the scale",
        description="The update is scaled by alpha over this. Empty: the mean rank, as in a LoRA at equal budget.",
        json_schema_extra=advanced(),
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1

    @classmethod
    def mean_budget(cls, options: Mapping[str, Any]) -> float | None:
        pattern = options.get("rank_pattern")
        return sum(pattern.values()) / len(pattern) if isinstance(pattern, Mapping) and pattern else None

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, Any]:  # noqa: ARG003
        return {}  # its ranks are those of a finished run

    @model_validator(mode="after")
    def _something_is_adapted(self) -> Self:
        if not any(self.rank_pattern.values()):
            raise refuse(
                "rank_pattern",
                self.rank_pattern,
                "has rank 0 for every module, so there is nothing to train",
                "Raise some ranks.",
            )
        return self


class FullMethod(Method):
    """Full fine-tuning: all weights are trained. The ceiling to compare with; there are no ranks to watch."""

    model_config = ConfigDict(title="Full fine-tuning")

    name: Literal["full"] = "full"
    learning_rate: ClassVar[float] = 5e-5
    has_budget: ClassVar[bool] = False

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, Any]:  # noqa: ARG003
        return {}


AnyMethod = (
    DynamicRankMethod
    | LoraMethod
    | AdaLoraMethod
    | EvaMethod
    | LoraShrinkMethod
    | SoraMethod
    | ControlMethod
    | FullMethod
)
MethodConfig = Annotated[AnyMethod, Field(discriminator="name")]
MethodName = Literal["dynamic_rank", "lora", "adalora", "eva", "lora_shrink", "sora", "control", "full"]
METHODS: dict[str, type[AnyMethod]] = {
    str(kind.model_fields["name"].default): kind
    for kind in (
        DynamicRankMethod,
        LoraMethod,
        AdaLoraMethod,
        EvaMethod,
        LoraShrinkMethod,
        SoraMethod,
        ControlMethod,
        FullMethod,
    )
}
"""By name, in the order of the form."""


def check_schedule(method: AnyMethod, total_steps: int) -> None:
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


def _check_initial_rank(initial_rank: int | None, target_rank: int, default: int) -> None:
    if initial_rank is not None and initial_rank < target_rank:
        raise refuse(
            "initial_rank",
            initial_rank,
            f"is below target_rank {target_rank}; components can only be pruned, not added",
            f"Set initial_rank to {target_rank} or more, or leave it empty for {default}.",
        )
