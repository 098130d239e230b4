"""Spectrum: ranks assigned once, before training, from the singular values of the base weights."""

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from rankscope.contract.methods.assigned import AssignedMethod
from rankscope.contract.parts import advanced


class SpectrumMethod(AssignedMethod):
    """LoRA with ranks that are assigned once, at the start, by the singular values of the base weights."""

    model_config = ConfigDict(title="Spectrum (ranks by singular values)")
    label: ClassVar[str] = "Spectrum"

    name: Literal["spectrum"] = "spectrum"
    spectral_score: Literal["effective_rank", "stable_rank"] = Field(
        default="effective_rank",
        title="Score of a module",
        description="effective_rank: exp of the entropy of its singular values. stable_rank: their squares, divided by that of "
        "the largest.",
        json_schema_extra=advanced(),
    )
