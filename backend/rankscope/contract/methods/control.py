"""Control: plain LoRA with a finished run's ranks."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from rankscope.contract.methods.base import Baseline, Method, RankRule
from rankscope.contract.methods.fields import LoraAlpha, LoraDropout, ModuleName
from rankscope.contract.parts import advanced, refuse

_WRAPPED = "base_model.model."
"""What PEFT puts in front of the names of a model's modules."""


def _plain_name(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name.removeprefix("^").removesuffix("$")).removeprefix(_WRAPPED)


class ControlMethod(Method):
    """Plain LoRA from scratch with the ranks of a finished run. Shows whether the learned allocation helps on its own."""

    model_config = ConfigDict(title="Control (ranks of a finished run)")

    label: ClassVar[str] = "Control"
    budget_field: ClassVar[str | None] = None
    # Its ranks are given, so a module at rank 0 is not a finding.
    health_rules: ClassVar[frozenset[RankRule]] = frozenset({"scores_nan"})

    name: Literal["control"] = "control"
    rank_pattern: dict[ModuleName, Annotated[int, Field(ge=0, le=1024)]] = Field(
        title="Rank of each module",
        min_length=1,
        max_length=10_000,
        description="By full module name, as in a finished run's rank_pattern.json or PEFT's rank_pattern; 0 leaves out a module. "
        "Filled in when you launch it from a finished run.",
        examples=[{"encoder.layer.0.attention.self.query": 4}],
    )
    scale_rank: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        title="Rank of the scale",
        description="The update is scaled by alpha divided by this. Empty: the mean rank, as for LoRA at the same budget.",
        json_schema_extra=advanced(),
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1

    @field_validator("rank_pattern", mode="before")
    @classmethod
    def _from_pefts_form(cls, pattern: object) -> object:
        """Accepts the keys of PEFT's LoraConfig: names as anchored regular expressions, and names in the wrapped model."""
        if not isinstance(pattern, Mapping):
            return pattern
        return {_plain_name(name) if isinstance(name, str) else name: rank for name, rank in pattern.items()}

    @classmethod
    def mean_budget(cls, options: Mapping[str, object]) -> float | None:
        pattern = options.get("rank_pattern")
        return sum(pattern.values()) / len(pattern) if isinstance(pattern, Mapping) and pattern else None

    @property
    def run_name(self) -> str:
        return f"control {sum(self.rank_pattern.values()) / len(self.rank_pattern):.3g}"

    def start_ranks(self, n_modules: int) -> list[int]:  # noqa: ARG002
        return list(self.rank_pattern.values())

    def end_ranks(self, n_modules: int) -> list[int]:
        return self.start_ranks(n_modules)

    @property
    def named_modules(self) -> Sequence[str]:
        return list(self.rank_pattern)

    @classmethod
    def baseline(cls, finished: Method, ranks: Mapping[str, int]) -> Baseline:
        return Baseline(
            "Control: plain LoRA with these ranks",
            "Trains from scratch with the final ranks of this run. Shows whether its allocation helps on its own.",
            cls.with_ranks(ranks, finished),
        )

    @classmethod
    def with_ranks(cls, ranks: Mapping[str, int], like: Method) -> Self:
        return cls.model_validate({"rank_pattern": dict(ranks)} | like.shared_options("lora_alpha", "lora_dropout"))

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
