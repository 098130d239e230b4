"""Gradient: ranks assigned once, before training, from the gradients of a few batches."""

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.methods.assigned import AssignedMethod
from rankscope.contract.parts import advanced


class GradientMethod(AssignedMethod):
    """LoRA with ranks that are assigned once, at the start, by the squared gradients of a few batches (diagonal Fisher)."""

    model_config = ConfigDict(title="Gradient (ranks by squared gradients)")
    label: ClassVar[str] = "Gradient"

    name: Literal["gradient"] = "gradient"
    gradient_of: Literal["weight", "adapter"] = Field(
        default="weight",
        title="Score of a module",
        description="weight: mean squared gradient of the frozen weight. adapter: norm of the gradient of B, which starts at "
        "zero.",
        json_schema_extra=advanced(),
    )
    batches: int = Field(
        default=8,
        ge=1,
        le=1000,
        title="Batches",
        description="Batches of the training to average over, before the first step.",
        json_schema_extra=advanced(),
    )
