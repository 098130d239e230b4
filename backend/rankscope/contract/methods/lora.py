"""LoRA with one fixed rank."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.methods.base import Baseline, Method
from rankscope.contract.methods.fields import LoraAlpha, LoraDropout, TargetModules
from rankscope.contract.parts import advanced


class LoraMethod(Method):
    """Plain LoRA: every module has the same rank from start to end."""

    model_config = ConfigDict(title="LoRA (fixed rank)")

    label: ClassVar[str] = "LoRA"

    name: Literal["lora"] = "lora"
    rank: int = Field(default=8, ge=1, le=512, title="Rank", description="Rank of every module.")
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    use_rslora: bool = Field(
        default=False,
        title="Rank-stabilised scale",
        description="Scale by alpha / sqrt(rank) instead of alpha / rank (rsLoRA).",
        json_schema_extra=advanced(),
    )
    target_modules: TargetModules = None

    @classmethod
    def baseline(cls, finished: Method, ranks: Mapping[str, int]) -> Baseline:
        mean = sum(ranks.values()) / len(ranks)
        rank = max(1, round(mean))
        options = finished.shared_options("lora_alpha", "lora_dropout", "target_modules")
        return Baseline(
            f"LoRA at this budget (rank {rank})",
            f"Every module has rank {rank}; this run kept a mean rank of {mean:.3g}.",
            cls.model_validate({"rank": rank} | options),
        )
