"""LoRA with one fixed rank."""

from typing import Literal

from pydantic import ConfigDict, Field

from rankscope.contract.methods.base import Method
from rankscope.contract.methods.fields import LoraAlpha, LoraDropout, TargetModules
from rankscope.contract.parts import advanced


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
