"""Control: plain LoRA with a finished run's ranks."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from rankscope.contract.methods.base import Method
from rankscope.contract.methods.fields import LoraAlpha, LoraDropout, ModuleName
from rankscope.contract.parts import advanced, refuse


class ControlMethod(Method):
    """Plain LoRA from scratch with the ranks of a finished run: does the learned allocation help by itself?"""

    model_config = ConfigDict(title="Control (ranks of a finished run)")

    name: Literal["control"] = "control"
    rank_pattern: dict[ModuleName, Annotated[int, Field(ge=0, le=1024)]] = Field(
        title="Rank of each module",
        min_length=1,
        max_length=10_000,
        description="By full module name, as in a finished run's rank_pattern.json; 0 leaves a module out. "
        "The page of a finished run fills this in.",
        examples=[{"encoder.layer.0.attention.self.query": 4}],
    )
    scale_rank: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        title="Rank of the scale",
        description="The update is scaled by alpha over this. Empty: the mean rank, as in a LoRA at equal budget.",
        json_schema_extra=advanced(),
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1

    @classmethod
    def mean_budget(cls, options: Mapping[str, Any]) -> float | None:
        pattern = options.get("rank_pattern")
        return sum(pattern.values()) / len(pattern) if isinstance(pattern, Mapping) and pattern else None

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, Any]:  # noqa: ARG003
        return {}  # its ranks are those of a finished run

    @model_validator(mode="after")
    def _something_is_adapted(self) -> Self:
        if not any(self.rank_pattern.values()):
            raise refuse(
                "rank_pattern",
                self.rank_pattern,
                "has rank 0 for every module, so there is nothing to train",
                "Raise some ranks.",
            )
        return self
