"""The methods of a run and their options, a union discriminated by `name`. One file per method.

A new method is registered here: in `AnyMethod` and in `MethodName`.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from rankscope.contract.methods.adalora import AdaLoraMethod
from rankscope.contract.methods.base import Layer, Method, RankChanges, RankRule
from rankscope.contract.methods.budgeted import BudgetedMethod
from rankscope.contract.methods.control import ControlMethod
from rankscope.contract.methods.dynamic_rank import DynamicRankMethod
from rankscope.contract.methods.eva import EvaMethod
from rankscope.contract.methods.full import FullMethod
from rankscope.contract.methods.gradient import GradientMethod
from rankscope.contract.methods.lora import LoraMethod
from rankscope.contract.methods.lora_shrink import LoraShrinkMethod
from rankscope.contract.methods.sora import SoraMethod
from rankscope.contract.methods.spectrum import SpectrumMethod

AnyMethod = (
    DynamicRankMethod
    | LoraMethod
    | AdaLoraMethod
    | EvaMethod
    | LoraShrinkMethod
    | SoraMethod
    | GradientMethod
    | SpectrumMethod
    | ControlMethod
    | FullMethod
)
MethodConfig = Annotated[AnyMethod, Field(discriminator="name")]
MethodName = Literal[
    "dynamic_rank", "lora", "adalora", "eva", "lora_shrink", "sora", "gradient", "spectrum", "control", "full"
]
METHODS: dict[str, type[AnyMethod]] = {kind.key(): kind for kind in get_args(AnyMethod)}
"""By name, in the order of the form."""
BASELINES: tuple[type[AnyMethod], ...] = (ControlMethod, LoraMethod)
"""The methods that a finished run can be compared with, the closest first."""

__all__ = [
    "BASELINES",
    "METHODS",
    "AdaLoraMethod",
    "AnyMethod",
    "BudgetedMethod",
    "ControlMethod",
    "DynamicRankMethod",
    "EvaMethod",
    "FullMethod",
    "GradientMethod",
    "Layer",
    "LoraMethod",
    "LoraShrinkMethod",
    "Method",
    "MethodConfig",
    "MethodName",
    "RankChanges",
    "RankRule",
    "SoraMethod",
    "SpectrumMethod",
]
