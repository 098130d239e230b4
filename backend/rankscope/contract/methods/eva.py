"""EVA: ranks assigned once, before training, from activations."""

from typing import Literal

from pydantic import ConfigDict, Field

from rankscope.contract.methods.base import Method
from rankscope.contract.methods.fields import LoraAlpha, LoraDropout, TargetModules
from rankscope.contract.parts import advanced


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
