"""EVA: ranks assigned once, before training, from activations."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.errors import FieldProblem
from rankscope.contract.methods.base import Layer, Method, RankChanges
from rankscope.contract.methods.fields import LoraAlpha, LoraDropout, TargetModules
from rankscope.contract.parts import advanced


class EvaMethod(Method):
    """LoRA with ranks that are assigned once, at the start, by the variance of each module's inputs (EVA, 2024)."""

    model_config = ConfigDict(title="EVA (ranks by activations)")

    label: ClassVar[str] = "EVA"
    rank_changes: ClassVar[RankChanges] = "before_training"
    rank_note: ClassVar[str] = "Ranks are assigned before training, and every module keeps its rank."
    tolerates_excess_rank: ClassVar[bool] = False
    reads_activations: ClassVar[bool] = True

    name: Literal["eva"] = "eva"
    rank: int = Field(default=8, ge=1, le=256, title="Mean rank", description="Mean rank of all modules.")
    rho: float = Field(
        default=2.0,
        ge=1,
        le=16,
        title="Spread (rho)",
        description="A module gets at most rank times rho components. 1: the same rank for all modules.",
    )
    tau: float = Field(
        default=0.99,
        gt=0,
        lt=1,
        title="Convergence (tau)",
        description="Cosine similarity between two passes at which a direction counts as converged.",
        json_schema_extra=advanced(),
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    @property
    def max_rank(self) -> int:
        """The largest number of components of a module, rounded as PEFT does."""
        return round(self.rank * self.rho)

    def problems(self, layers: Sequence[Layer], *, batch_size: int, max_length: int) -> list[FieldProblem]:
        wanted = self.max_rank
        given = f"is {self.rank}, times rho {self.rho:g} up to {wanted} components per module"
        small = next((layer for layer in layers if wanted > layer.in_features), None)
        if small is not None:
            return [
                FieldProblem(
                    "config.method.rank",
                    self.rank,
                    f"{given}, and {small.name} has only {small.in_features} inputs",
                    "Lower rank or rho.",
                )
            ]
        tokens = batch_size * max_length
        if wanted > tokens:
            return [
                FieldProblem(
                    "config.method.rank",
                    self.rank,
                    f"{given}, and a batch has at most {tokens} tokens (batch_size {batch_size} x max_length {max_length}) "
                    "to find them in",
                    "Lower rank or rho, or raise batch_size or max_length.",
                )
            ]
        return []
