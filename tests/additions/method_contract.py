"""Toy: LoRA with a rank that is always even."""

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.methods.base import Method
from rankscope.contract.methods.fields import LoraAlpha, LoraDropout, TargetModules


class ToyMethod(Method):
    """LoRA whose rank is twice the number of pairs."""

    model_config = ConfigDict(title="Toy (pairs of components)")
    label: ClassVar[str] = "Toy"
    budget_field: ClassVar[str | None] = None
    rank_note: ClassVar[str] = "Every module keeps its pairs."

    name: Literal["toy"] = "toy"
    pairs: int = Field(default=2, ge=1, le=64, title="Pairs", description="Half the rank of every module.")
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @property
    def end_rank(self) -> int:
        return 2 * self.pairs
