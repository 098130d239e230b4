"""RunConfig: everything that decides what a run computes. Ranges, defaults and help texts are defined only here.

The page's form, the API's validation, the command line and the worker all use it. `x-group` is the card of a field in the
form, `x-advanced` hides it under "Advanced", and `x-unit` is the unit after the number.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationInfo, model_validator

from rankscope.contract.data.config import LARGEST, DataConfig
from rankscope.contract.methods import METHODS, MethodConfig
from rankscope.contract.metrics import Metric
from rankscope.contract.parts import STORED, Part, advanced, is_stored, refuse
from rankscope.contract.tasks import DEFAULT_TASK, TASKS, TaskConfig, in_todays_form

MAX_STEPS = 10_000_000
"""Optimizer steps of a run."""
MAX_STEERING = 1000


class ModelConfig(Part):
    id: str = Field(
        title="Model",
        description="A model on the Models page, where you can also download models from the hub.",
        examples=["minilm"],
        min_length=1,
        max_length=200,
        json_schema_extra={"x-options": "models"},
    )
    quantization: Literal["none", "8-bit", "4-bit"] = Field(
        default="none",
        title="Quantisation",
        description="Load the frozen linear layers in 8 or 4 bits (bitsandbytes), so that a large model fits a small GPU. Needs a "
        "GPU and an adapter method; steps take longer.",
    )


BestMetric = Annotated[
    str,
    Field(
        max_length=65,
        json_schema_extra={"enum": list(dict.fromkeys(name for task in TASKS.values() for name in task.best_by()))},
    ),
]


class TrainingConfig(Part):
    max_steps: int | None = Field(
        default=None,
        ge=1,
        le=MAX_STEPS,
        title="Steps",
        description="Optimizer steps. Set steps or epochs, not both.",
    )
    epochs: float | None = Field(
        default=None,
        gt=0,
        le=10_000,
        title="Epochs",
        description="Passes over the training rows. Used when steps is empty.",
    )
    batch_size: int = Field(default=16, ge=1, le=4096, title="Batch size", description="Rows in one forward pass.")
    gradient_accumulation: int = Field(
        default=1,
        ge=1,
        le=1024,
        title="Gradient accumulation",
        description="Forward passes per optimizer step.",
        json_schema_extra=advanced(),
    )
    learning_rate: float = Field(
        default=1e-4,
        gt=0,
        le=1,
        title="Learning rate",
        description="Peak of the linear schedule. Dynamic rank with the paper's initialisation needs about 1e-2 in short runs.",
    )
    lr_warmup_ratio: float = Field(
        default=0.06,
        ge=0,
        lt=1,
        title="Learning-rate warm-up",
        description="Share of the steps during which the learning rate increases.",
        json_schema_extra=advanced(),
    )
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        le=10,
        title="Weight decay",
        description="Weight decay of AdamW.",
        json_schema_extra=advanced(),
    )
    max_grad_norm: float = Field(
        default=1.0,
        gt=0,
        title="Gradient clip",
        description="Largest norm of the gradient.",
        json_schema_extra=advanced(),
    )
    max_length: int = Field(
        default=128,
        ge=4,
        le=131_072,
        title="Text length",
        description="Longer texts are truncated.",
        json_schema_extra={"x-unit": "tokens"},
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        title="Seed",
        description="Seed for initialisation, order of the rows and dropout.",
    )
    eval_every: int = Field(
        default=50,
        ge=1,
        le=LARGEST,
        title="Evaluate every",
        description="Optimizer steps between evaluations. There is one more at the end.",
        json_schema_extra={"x-unit": "steps"},
    )
    checkpoint_every: int = Field(
        default=50,
        ge=1,
        le=LARGEST,
        title="Checkpoint every",
        description="Optimizer steps between checkpoints, from which a run resumes.",
        json_schema_extra={"x-unit": "steps", **advanced()},
    )
    checkpoint_minutes: float | None = Field(
        default=None,
        gt=0,
        le=10_080,
        title="Checkpoint at least every",
        description="For slow steps: also write a checkpoint when this much time has passed since the last one. Empty: off.",
        json_schema_extra={"x-unit": "minutes", **advanced()},
    )
    keep_checkpoints: int = Field(
        default=2,
        ge=1,
        le=1000,
        title="Keep checkpoints",
        description="Number of newest checkpoints to keep; older ones are deleted.",
        json_schema_extra=advanced(),
    )
    keep_best: bool = Field(
        default=True,
        title="Keep the best checkpoint",
        description="Once the ranks are final, write a checkpoint at each evaluation that is the best so far, and keep the best.",
        json_schema_extra=advanced(),
    )
    best_metric: BestMetric | None = Field(
        default=DEFAULT_TASK.usual_headline().name,
        title="Best by",
        description="The metric that determines the best checkpoint. Empty: the run's headline metric.",
        json_schema_extra=advanced(),
    )
    on_disk_full: Literal["continue", "stop"] = Field(
        default="continue",
        title="When the disk is full",
        description="If there is no space for a checkpoint: continue without it and warn, or stop at the previous checkpoint.",
        json_schema_extra=advanced(),
    )
    after_done: Literal["keep", "best", "delete"] = Field(
        default="keep",
        title="Checkpoints after the end",
        description="When a run is done and its result is saved: keep all its checkpoints, only the best one, or none.",
        json_schema_extra=advanced(),
    )

    raw_scores: bool = Field(
        default=False,
        title="Keep raw scores",
        description="With each rank snapshot, also record the importance at that step before smoothing. Takes about 50 % more "
        "storage. Dynamic rank only.",
        json_schema_extra=advanced(),
    )

    @model_validator(mode="after")
    def _best_is_kept(self, info: ValidationInfo) -> "TrainingConfig":
        if not is_stored(info) and self.after_done == "best" and not self.keep_best:
            raise refuse(
                "after_done",
                self.after_done,
                "is best, but keep_best is off, so no checkpoint is marked as best",
                "Turn on keep_best, or set after_done to keep or delete.",
            )
        return self

    @model_validator(mode="after")
    def _one_length(self) -> "TrainingConfig":
        if self.max_steps is not None and self.epochs is not None:
            raise refuse(
                "epochs",
                self.epochs,
                f"is {self.epochs:g}, set together with max_steps {self.max_steps}",
                "Set max_steps or epochs, not both.",
            )
        if self.max_steps is None and self.epochs is None:
            raise refuse("max_steps", None, "is empty, as is epochs", "Set max_steps (for example 200) or epochs.")
        return self


class HardwareConfig(Part):
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", title="Device", description="auto: a GPU if the worker has one, otherwise its CPU."
    )
    precision: Literal["float32", "bf16"] = Field(
        default="float32",
        title="Precision",
        description="bf16 halves the memory for activations, but is slower on a CPU.",
        json_schema_extra=advanced(),
    )
    gradient_checkpointing: bool = Field(
        default=False,
        title="Gradient checkpointing",
        description="Keep only the inputs of the model's blocks, and compute each block again in the backward pass: far less "
        "memory for activations, about a third more time, the same result.",
        json_schema_extra=advanced(),
    )


SteerAction = Literal["hold", "release", "freeze", "target"]
"""Hold pruning, release it, freeze the current mask, or change the target rank."""


class Steering(Part):
    """A steering action on a running run, with its optimizer step. A run with the same list repeats the actions."""

    step: int = Field(ge=1, description="Takes effect at the end of this optimizer step.")
    action: SteerAction
    target_rank: int | None = Field(default=None, ge=1, le=512, description="Only for the action target.")

    @model_validator(mode="after")
    def _target_has_a_rank(self) -> "Steering":
        if (self.action == "target") != (self.target_rank is not None):
            raise refuse(
                "target_rank",
                self.target_rank,
                f"is {'empty' if self.target_rank is None else self.target_rank}, which does not fit action {self.action}",
                "Set target_rank only for the action target.",
            )
        return self


class RunConfig(Part):
    """One fine-tuning run."""

    model: ModelConfig = Field(title="Model")
    data: DataConfig = Field(title="Data")
    task: TaskConfig = Field(default=DEFAULT_TASK, title="Task", json_schema_extra={"x-section": "data"})
    method: MethodConfig = Field(title="Method")
    training: TrainingConfig = Field(title="Training")
    hardware: HardwareConfig = Field(default=HardwareConfig(), title="Hardware")
    steering: list[Steering] = Field(
        default=[],
        max_length=MAX_STEERING,
        title="Steering",
        json_schema_extra={"x-hidden": True},
        description="Steering actions that took effect while the run trained; only for methods that can be steered.",
    )

    @classmethod
    def stored(cls, config: Mapping[str, object]) -> Self:
        """Returns the configuration of an existing run, whichever version launched it."""
        return cls.model_validate(config, context={STORED: True})

    @property
    def needs_gpu(self) -> bool:
        """Whether only a worker with a GPU may train it."""
        return self.hardware.device == "gpu" or self.model.quantization != "none"

    @property
    def best_metric(self) -> Metric:
        """The metric that determines the best checkpoint."""
        return self.task.describe(self.training.best_metric or self.task.headline().name)

    @model_validator(mode="before")
    @classmethod
    def _in_todays_form(cls, config: Any) -> Any:
        """Accepts the form of earlier versions, and fills in what depends on the task."""
        if not isinstance(config, Mapping):
            return config
        config = in_todays_form(config)
        task, training = config.get("task", {}), config.get("training")
        if isinstance(task, Mapping):
            config["task"] = task = {"name": DEFAULT_TASK.name, **task}
            kind = TASKS.get(str(task["name"]))
            if kind and isinstance(training, Mapping) and training.get("best_metric") is None:
                chosen = task.get("headline_metric")
                name = chosen if isinstance(chosen, str) else kind.usual_headline().name
                config["training"] = {**training, "best_metric": name}
        return config

    @model_validator(mode="after")
    def _best_can_be_found(self, info: ValidationInfo) -> "RunConfig":
        metric = self.training.best_metric
        if metric is not None and metric not in self.task.best_by() and not is_stored(info):
            raise refuse(
                "best_metric",
                metric,
                f"is {metric!r}, which no evaluation computes",
                f"Use one of {', '.join(self.task.best_by())}.",
                at=("training",),
            )
        return self

    @model_validator(mode="after")
    def _quantization_fits(self) -> "RunConfig":
        bits = self.model.quantization
        if bits == "none":
            return self
        if self.hardware.device == "cpu":
            raise refuse(
                "quantization",
                bits,
                f"is {bits}, which needs a GPU, and hardware.device is cpu",
                "Set quantization to none, or device to auto or gpu.",
                at=("model",),
            )
        if self.method.artifact == "model":
            raise refuse(
                "quantization",
                bits,
                f"is {bits}, and method {self.method.name} trains all weights, which can't be quantised",
                "Set quantization to none, or use an adapter method.",
                at=("model",),
            )
        return self

    @model_validator(mode="after")
    def _method_can_be_steered(self) -> "RunConfig":
        if self.steering and not self.method.can_be_steered:
            steerable = [name for name, kind in METHODS.items() if kind.can_be_steered]
            raise refuse(
                "steering",
                len(self.steering),
                f"does not fit method {self.method.name}, which can't be steered",
                f"Remove steering, or use method {' or '.join(steerable)}.",
            )
        return self

    @model_validator(mode="after")
    def _schedule_fits_the_steps(self) -> "RunConfig":
        if self.training.max_steps is not None:
            self.method.check_steps(self.training.max_steps)
        return self


_steering: TypeAdapter[list[Steering]] = TypeAdapter(list[Steering])


def stored_steering(config: Mapping[str, object]) -> list[Steering]:
    """Returns the steering actions of a stored configuration, without validating the rest of it."""
    return _steering.validate_python(config.get("steering", []))
