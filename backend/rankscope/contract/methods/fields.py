"""Fields that several methods have."""

from typing import Annotated

from pydantic import Field

from rankscope.contract.methods.base import Layer
from rankscope.contract.parts import advanced, refuse

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
        json_schema_extra={"x-options": "modules"},
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
Compact = Annotated[
    bool,
    Field(
        title="Compact after pruning",
        description="Remove pruned components from tensors and optimizer once the mask is final: less memory, same result.",
        json_schema_extra=advanced(),
    ),
]


def max_rank(layer: Layer) -> int:
    """The highest rank that an update of this layer can have."""
    return min(layer.out_features, layer.in_features)


def check_initial_rank(initial_rank: int | None, target_rank: int, default: int) -> None:
    if initial_rank is not None and initial_rank < target_rank:
        raise refuse(
            "initial_rank",
            initial_rank,
            f"is {initial_rank}, below target_rank {target_rank}; components can only be pruned, not added",
            f"Set initial_rank to {target_rank} or more, or leave it empty for {default}.",
        )
