"""RunConfig: everything that decides what a run computes. Ranges, defaults and help texts stand here once:

the form of the page, the checks of the API, the YAML of the command line and the worker all read this.
`x-group` names the card of the form, `x-advanced` folds a field away, `x-unit` stands behind the number.
"""

import math
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from rankscope.contract.budget import ScheduleShape, pruning_window


class Part(BaseModel):
    """A part of the configuration: unknown names are refused, so that a typing error cannot pass in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def _advanced() -> dict[str, Any]:
    return {"x-advanced": True}


class ModelConfig(Part):
    id: str = Field(
        title="Model",
        description="A model of this installation's catalogue (see Models).",
        examples=["minilm"],
        min_length=1,
        max_length=200,
        json_schema_extra={"x-options": "models"},
    )


class DataConfig(Part):
    id: str = Field(
        title="Data set",
        description="A data set of this installation's catalogue (see Data sets).",
        examples=["rotten-tomatoes"],
        min_length=1,
        max_length=200,
        json_schema_extra={"x-options": "datasets"},
    )
    text_columns: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=2,
        title="Text columns",
        description="One column, or two for a pair of sentences. Empty: the data set's own choice.",
        json_schema_extra={"x-options": "columns"},
    )
    label_column: str | None = Field(
        default=None,
        title="Label column",
        description="The column with the class. Empty: the data set's own choice.",
        json_schema_extra={"x-options": "columns"},
    )
    group_column: str | None = Field(
        default=None,
        title="Split by",
        description="Rows with the same value here never stand on both sides of the split, "
        "for example all reviews of one film. Empty: the data set's own choice.",
        json_schema_extra={"x-options": "columns", **_advanced()},
    )
    eval_fraction: float = Field(
        default=0.1,
        gt=0,
        le=0.5,
        title="Evaluation share",
        description="Share of the rows kept for evaluation. Not used when the data set has a split of its own.",
        json_schema_extra=_advanced(),
    )
    split_seed: int = Field(
        default=0,
        ge=0,
        title="Split seed",
        description="Runs compare only with the same split: it has a seed of its own, apart from the training seed.",
        json_schema_extra=_advanced(),
    )
    max_train_rows: int | None = Field(
        default=None,
        ge=8,
        title="Train on at most",
        description="Use only this many training rows. Empty: all.",
        json_schema_extra={"x-unit": "rows", **_advanced()},
    )
    max_eval_rows: int | None = Field(
        default=None,
        ge=4,
        title="Evaluate on at most",
        description="Use only this many evaluation rows. Empty: all.",
        json_schema_extra={"x-unit": "rows", **_advanced()},
    )


TargetModules = Annotated[
    list[str] | None,
    Field(
        default=None,
        min_length=1,
        title="Target modules",
        description="Names (or dotted name ends) of the linear layers to adapt, for example query, value. "
        "Empty: all linear layers in the model's blocks.",
        json_schema_extra=_advanced(),
    ),
]
LoraAlpha = Annotated[
    float,
    Field(gt=0, le=1024, title="LoRA alpha", description="The update is scaled by alpha / initial rank.",
          json_schema_extra=_advanced()),
]  # fmt: skip
LoraDropout = Annotated[
    float,
    Field(ge=0, lt=1, title="LoRA dropout", description="Dropout on the adapter's input.",
          json_schema_extra=_advanced()),
]  # fmt: skip


class BudgetedMethod(Part):
    """What dynamic rank and AdaLoRA share: a budget that falls within a window of the steps."""

    target_rank: int = Field(
        default=8, ge=1, le=256, title="Target rank",
        description="Mean rank of all modules at the end: the parameter budget.",
    )  # fmt: skip
    initial_rank: int | None = Field(
        default=None, ge=1, le=512, title="Initial rank",
        description="Rank of every module at the start. Empty: 1.5 times the target rank, rounded up.",
    )  # fmt: skip
    warmup_ratio: float = Field(
        default=0.15, ge=0, lt=1, title="Pruning starts at",
        description="Share of the steps before the first component may be pruned.",
    )  # fmt: skip
    prune_end_ratio: float = Field(
        default=0.5, gt=0, le=1, title="Pruning ends at",
        description="Share of the steps after which the ranks are final and training goes on with them.",
    )  # fmt: skip
    prune_interval: int = Field(
        default=100, ge=1, title="Prune every",
        description="Optimizer steps between two prunings.", json_schema_extra={"x-unit": "steps"},
    )  # fmt: skip

    @property
    def resolved_initial_rank(self) -> int:
        return self.initial_rank if self.initial_rank is not None else math.ceil(1.5 * self.target_rank)

    @property
    def budget_schedule(self) -> ScheduleShape:
        """The shape in which the budget falls."""
        raise TypeError(f"{type(self).__name__} does not say how its budget falls.")

    @model_validator(mode="after")
    def _ranks_fit(self) -> Self:
        _check_initial_rank(self.initial_rank, self.target_rank, math.ceil(1.5 * self.target_rank))
        if self.prune_end_ratio <= self.warmup_ratio:
            raise _refuse(
                "prune_end_ratio", self.prune_end_ratio, f"must be above warmup_ratio {self.warmup_ratio}",
                "Raise prune_end_ratio, for example to 0.5, or lower warmup_ratio.",
            )  # fmt: skip
        return self


Compact = Annotated[
    bool,
    Field(title="Compact after pruning",
          description="Cut pruned components out of tensors and optimizer after the final mask: less memory, same result.",
          json_schema_extra=_advanced()),
]  # fmt: skip


class DynamicRankMethod(BudgetedMethod):
    """LoRA split into rank-1 components that are scored and pruned while training (DoRA, Mao et al., ACL 2024)."""

    model_config = ConfigDict(title="Dynamic rank (DoRA, ACL 2024)")

    name: Literal["dynamic_rank"] = "dynamic_rank"
    beta: float = Field(
        default=0.9, ge=0, lt=1, title="Smoothing (beta)",
        description="How slowly the importance follows the newest score. 0: no smoothing.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    eta: float = Field(
        default=0.1, ge=0, le=10, title="Regulariser (eta)",
        description="Weight of the dimensional equilibrium term in the loss until pruning ends. 0: off.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    score: Literal["norm_share", "norm", "abs_c", "sensitivity", "random"] = Field(
        default="norm_share", title="Importance score",
        description="norm_share is the paper's: a component's share in the norm of its module's update. The others are "
        "for ablation: norm (not divided by the module's), abs_c, sensitivity (AdaLoRA's), random.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    init: Literal["paper", "zero_b"] = Field(
        default="paper", title="Start of A, B and c",
        description="paper: A and B random, c zero; starts slowly and wants about ten times LoRA's learning rate. "
        "zero_b: B zero, c one, as in LoRA.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    c_lr_scale: float = Field(
        default=1.0, gt=0, le=1000, title="Learning rate of c",
        description="The scales c learn at this multiple of the learning rate.",
        json_schema_extra={"x-unit": "times", **_advanced()},
    )  # fmt: skip
    schedule: ScheduleShape = Field(
        default="slow_first", title="Shape of the budget curve",
        description="slow_first: the paper's cubic. fast_first: AdaLoRA's cubic. linear.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    compact: Compact = True
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @property
    def budget_schedule(self) -> ScheduleShape:
        return self.schedule


class LoraMethod(Part):
    """Plain LoRA: every module has the same rank from start to end."""

    model_config = ConfigDict(title="LoRA (fixed rank)")

    name: Literal["lora"] = "lora"
    rank: int = Field(default=8, ge=1, le=512, title="Rank", description="Rank of every module.")
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    use_rslora: bool = Field(
        default=False, title="Rank-stabilised scale",
        description="Scale by alpha / sqrt(rank) in place of alpha / rank (rsLoRA).", json_schema_extra=_advanced(),
    )  # fmt: skip
    target_modules: TargetModules = None


class AdaLoraMethod(BudgetedMethod):
    """Components scored by smoothed sensitivity and its uncertainty; the budget falls fast first (AdaLoRA, ICLR 2023)."""

    model_config = ConfigDict(title="AdaLoRA")

    name: Literal["adalora"] = "adalora"
    beta1: float = Field(
        default=0.85, ge=0, lt=1, title="Smoothing of sensitivity (beta1)",
        description="How slowly the sensitivity follows the newest gradient.", json_schema_extra=_advanced(),
    )  # fmt: skip
    beta2: float = Field(
        default=0.85, ge=0, lt=1, title="Smoothing of uncertainty (beta2)",
        description="How slowly the uncertainty follows.", json_schema_extra=_advanced(),
    )  # fmt: skip
    orth_reg_weight: float = Field(
        default=0.5, ge=0, le=10, title="Orthogonality",
        description="Weight of the term that keeps A and B orthonormal. 0: off.", json_schema_extra=_advanced(),
    )  # fmt: skip
    compact: Compact = True
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @property
    def budget_schedule(self) -> ScheduleShape:
        return "fast_first"


class EvaMethod(Part):
    """LoRA whose ranks are dealt out once, at the start, by the variance of each module's inputs (EVA, 2024)."""

    model_config = ConfigDict(title="EVA (ranks by activations)")

    name: Literal["eva"] = "eva"
    rank: int = Field(default=8, ge=1, le=256, title="Mean rank", description="Mean rank of all modules.")
    rho: float = Field(
        default=2.0, ge=1, le=16, title="Spread (rho)",
        description="A module gets at most rank times rho components. 1: the same for all.",
    )  # fmt: skip
    tau: float = Field(
        default=0.99, gt=0, lt=1, title="Convergence (tau)",
        description="Cosine between two passes at which a direction counts as found.", json_schema_extra=_advanced(),
    )  # fmt: skip
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None


class LoraShrinkMethod(Part):
    """LoRA trained at a high rank, then cut down by singular value: cheap, and hard to beat."""

    model_config = ConfigDict(title="LoRA, shrunk at the end")

    name: Literal["lora_shrink"] = "lora_shrink"
    target_rank: int = Field(
        default=8, ge=1, le=256, title="Target rank", description="Mean rank of all modules after the cut.",
    )  # fmt: skip
    initial_rank: int | None = Field(
        default=None, ge=1, le=1024, title="Initial rank",
        description="Rank of every module before the cut. Empty: 4 times the target rank.",
    )  # fmt: skip
    allocation: Literal["uniform", "global"] = Field(
        default="uniform", title="What stays",
        description="uniform: every module keeps the target rank. global: the largest singular values of all modules.",
    )  # fmt: skip
    shrink_at_ratio: float = Field(
        default=1.0, gt=0, le=1, title="Cut at", description="Share of the steps after which it is cut. 1: at the end.",
    )  # fmt: skip
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


class SoraMethod(Part):
    """A gate on each component, shrunk after every step until it closes; no budget, the gates find their ranks (SoRA)."""

    model_config = ConfigDict(title="SoRA (gates)")

    name: Literal["sora"] = "sora"
    rank: int = Field(default=8, ge=1, le=512, title="Initial rank", description="Rank of every module at the start.")
    sparse_lambda: float = Field(
        default=10.0, gt=0, le=100_000, title="Sparsity (lambda)",
        description="After each step a gate shrinks by its learning rate times this. More closes more of them.",
    )  # fmt: skip
    gate_lr_scale: float = Field(
        default=1.0, gt=0, le=1000, title="Learning rate of gates",
        description="The gates learn at this multiple of the learning rate.",
        json_schema_extra={"x-unit": "times", **_advanced()},
    )  # fmt: skip
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None


class ControlMethod(Part):
    """Plain LoRA from scratch with the ranks of a finished run: does the learned allocation help by itself?"""

    model_config = ConfigDict(title="Control (ranks of a finished run)")

    name: Literal["control"] = "control"
    rank_pattern: dict[str, Annotated[int, Field(ge=0, le=1024)]] = Field(
        title="Rank of each module", min_length=1, max_length=10_000,
        description="By full module name, as in a finished run's rank_pattern.json; 0 leaves a module out. "
        "The page of a finished run fills this in.",
        examples=[{"encoder.layer.0.attention.self.query": 4}],
    )  # fmt: skip
    scale_rank: int | None = Field(
        default=None, ge=1, le=1024, title="Rank of the scale",
        description="The update is scaled by alpha over this. Empty: the mean rank, as in a LoRA at equal budget.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1

    @model_validator(mode="after")
    def _something_is_adapted(self) -> Self:
        if not any(self.rank_pattern.values()):
            raise _refuse(
                "rank_pattern", self.rank_pattern, "has rank 0 for every module, so there is nothing to train",
                "Raise some ranks.",
            )  # fmt: skip
        return self


class FullMethod(Part):
    """Full fine-tuning: all weights are trained. The ceiling to compare with; there are no ranks to watch."""

    model_config = ConfigDict(title="Full fine-tuning")

    name: Literal["full"] = "full"


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


class TrainingConfig(Part):
    max_steps: int | None = Field(
        default=None, ge=1, le=10_000_000, title="Steps",
        description="Optimizer steps. Give steps or epochs, not both.",
    )  # fmt: skip
    epochs: float | None = Field(
        default=None, gt=0, le=10_000, title="Epochs", description="Passes over the training rows. Used when steps is empty.",
    )  # fmt: skip
    batch_size: int = Field(default=16, ge=1, le=4096, title="Batch size", description="Rows in one forward pass.")
    gradient_accumulation: int = Field(
        default=1, ge=1, le=1024, title="Gradient accumulation",
        description="Forward passes in one optimizer step.", json_schema_extra=_advanced(),
    )  # fmt: skip
    learning_rate: float = Field(
        default=1e-4, gt=0, le=1, title="Learning rate",
        description="Peak of the linear schedule. Dynamic rank with the paper's start wants about 1e-2 in short runs.",
    )  # fmt: skip
    lr_warmup_ratio: float = Field(
        default=0.06, ge=0, lt=1, title="Learning-rate warm-up",
        description="Share of the steps in which the learning rate rises.", json_schema_extra=_advanced(),
    )  # fmt: skip
    weight_decay: float = Field(
        default=0.01, ge=0, le=10, title="Weight decay", description="AdamW's.", json_schema_extra=_advanced()
    )
    max_grad_norm: float = Field(
        default=1.0, gt=0, title="Gradient clip", description="Largest norm of the gradient.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    max_length: int = Field(
        default=128, ge=4, le=131_072, title="Text length", description="Longer texts are cut here.",
        json_schema_extra={"x-unit": "tokens"},
    )  # fmt: skip
    seed: int = Field(
        default=0, ge=0, le=2**32 - 1, title="Seed", description="Start weights, order of the rows, dropout."
    )
    eval_every: int = Field(
        default=50, ge=1, title="Evaluate every", description="Optimizer steps between evaluations; one more at the end.",
        json_schema_extra={"x-unit": "steps"},
    )  # fmt: skip
    checkpoint_every: int = Field(
        default=50, ge=1, title="Checkpoint every",
        description="Optimizer steps between checkpoints, from which a run resumes.",
        json_schema_extra={"x-unit": "steps", **_advanced()},
    )  # fmt: skip
    checkpoint_minutes: float | None = Field(
        default=None, gt=0, le=10_080, title="Checkpoint at least every",
        description="For slow steps: a checkpoint also when so much time has passed since the last one. Empty: by steps alone.",
        json_schema_extra={"x-unit": "minutes", **_advanced()},
    )  # fmt: skip
    keep_checkpoints: int = Field(
        default=2, ge=1, le=1000, title="Keep checkpoints", description="The newest ones; older ones are deleted.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    keep_best: bool = Field(
        default=True, title="Keep the best checkpoint",
        description="Once the ranks are final: a checkpoint at each evaluation that is the best so far, and that one is kept.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    best_metric: str = Field(
        default="eval_accuracy", pattern=r"^eval_[a-z0-9_]{1,60}$", title="Best by",
        description="The metric that says which checkpoint is best: the lowest of a loss, the highest of anything else.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    on_disk_full: Literal["continue", "stop"] = Field(
        default="continue", title="When the disk is full",
        description="A checkpoint that finds no room: go on without it and say so, or stop at the one before.",
        json_schema_extra=_advanced(),
    )  # fmt: skip
    after_done: Literal["keep", "best", "delete"] = Field(
        default="keep", title="Checkpoints after the end",
        description="Once a run is done and its result is written: keep its checkpoints, only the best one, or none.",
        json_schema_extra=_advanced(),
    )  # fmt: skip

    raw_scores: bool = Field(
        default=False, title="Keep raw scores",
        description="Record with each rank snapshot also the importance of that step alone, before smoothing: about half "
        "as much again to store. Dynamic rank only.",
        json_schema_extra=_advanced(),
    )  # fmt: skip

    @model_validator(mode="after")
    def _one_length(self) -> "TrainingConfig":
        if self.max_steps is not None and self.epochs is not None:
            raise _refuse(
                "epochs",
                self.epochs,
                f"is given beside max_steps {self.max_steps}",
                "Give max_steps or epochs, not both.",
            )
        if self.max_steps is None and self.epochs is None:
            raise _refuse(
                "max_steps", None, "is empty, and so is epochs", "Give max_steps (for example 200) or epochs."
            )
        return self


class HardwareConfig(Part):
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", title="Device", description="auto: a GPU where the worker has one, else its CPU."
    )
    precision: Literal["float32", "bf16"] = Field(
        default="float32", title="Precision", description="bf16 halves activations; on a CPU it is slower.",
        json_schema_extra=_advanced(),
    )  # fmt: skip


SteerAction = Literal["hold", "release", "freeze", "target"]
"""hold pruning, release it, freeze the mask as it is, or change the target rank."""


class Steering(Part):
    """What a person did to a running run, and before which optimizer step: a run with this list does the same again."""

    step: int = Field(ge=1, description="Takes effect at the end of this optimizer step.")
    action: SteerAction
    target_rank: int | None = Field(default=None, ge=1, le=512, description="Of action target.")

    @model_validator(mode="after")
    def _target_has_a_rank(self) -> "Steering":
        if (self.action == "target") != (self.target_rank is not None):
            raise _refuse(
                "target_rank", self.target_rank, f"does not fit action {self.action}",
                "Give target_rank with action target, and with no other.",
            )  # fmt: skip
        return self


class RunConfig(Part):
    """One fine-tuning run."""

    model: ModelConfig = Field(title="Model")
    data: DataConfig = Field(title="Data")
    method: MethodConfig = Field(title="Method")
    training: TrainingConfig = Field(title="Training")
    hardware: HardwareConfig = Field(default=HardwareConfig(), title="Hardware")
    steering: list[Steering] = Field(
        default=[], max_length=1000, title="Steering", json_schema_extra={"x-hidden": True},
        description="What was done to the run while it trained; dynamic rank only.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _only_dynamic_rank_is_steered(self) -> "RunConfig":
        if self.steering and self.method.name != "dynamic_rank":
            raise _refuse(
                "steering", len(self.steering), f"does not fit method {self.method.name}, which prunes nothing",
                "Leave steering out, or use method dynamic_rank.",
            )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _schedule_fits_the_steps(self) -> "RunConfig":
        if self.training.max_steps is not None:
            check_schedule(self.method, self.training.max_steps)
        return self


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
    raise _refuse(
        "prune_interval", method.prune_interval,
        f"does not fit: {total_steps} steps leave {window.length} step(s) for pruning, "
        f"from step {window.start} to {window.end}",
        f"{shorter} at least {needed} steps.", at=("method",),
    )  # fmt: skip


def _check_initial_rank(initial_rank: int | None, target_rank: int, default: int) -> None:
    if initial_rank is not None and initial_rank < target_rank:
        raise _refuse(
            "initial_rank", initial_rank,
            f"is below target_rank {target_rank}; components can only be pruned, not added",
            f"Set initial_rank to {target_rank} or more, or leave it empty for {default}.",
        )  # fmt: skip


def _refuse(field: str, value: object, message: str, next_step: str, at: tuple[str, ...] = ()) -> PydanticCustomError:
    """An error that carries its own field (`contract.problems` moves it there) and what to do about it."""
    return PydanticCustomError(
        "cannot_work", "{message}",
        {"field": [*at, field], "value": value, "message": message, "next_step": next_step},
    )  # fmt: skip
