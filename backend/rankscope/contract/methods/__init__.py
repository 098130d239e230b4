"""The methods of a run and their options, told apart by `name`: one file a method."""

from typing import Annotated, Literal

from pydantic import Field

from rankscope.contract.methods.adalora import AdaLoraMethod
from rankscope.contract.methods.base import Method
from rankscope.contract.methods.budgeted import BudgetedMethod, check_schedule
from rankscope.contract.methods.control import ControlMethod
from rankscope.contract.methods.dynamic_rank import DynamicRankMethod
from rankscope.contract.methods.eva import EvaMethod
from rankscope.contract.methods.full import FullMethod
from rankscope.contract.methods.lora import LoraMethod
from rankscope.contract.methods.lora_shrink import LoraShrinkMethod
from rankscope.contract.methods.sora import SoraMethod

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

__all__ = [
    "METHODS",
    "AdaLoraMethod",
    "AnyMethod",
    "BudgetedMethod",
    "ControlMethod",
    "DynamicRankMethod",
    "EvaMethod",
    "FullMethod",
    "LoraMethod",
    "LoraShrinkMethod",
    "Method",
    "MethodConfig",
    "MethodName",
    "SoraMethod",
    "check_schedule",
]
