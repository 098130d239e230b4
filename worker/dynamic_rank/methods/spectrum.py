"""spectrum: LoRA with ranks assigned once before training, by the singular values of the base weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..schedule.checks import check_choice
from .assigned import AssignedOptions, AssignedRanks
from .protocol import Batches, Stopped

SpectrumScore = Literal["effective_rank", "stable_rank"]


@dataclass(frozen=True, kw_only=True)
class SpectrumOptions(AssignedOptions):
    """Options of `spectrum`, in addition to those of AssignedOptions.

    spectral_score  effective_rank: exp of the entropy of the singular values as shares of their sum (Roy and Vetterli 2007);
                    stable_rank: squared Frobenius norm over squared spectral norm
    """

    spectral_score: SpectrumScore = "effective_rank"

    def __post_init__(self) -> None:
        check_choice("spectral_score", self.spectral_score, get_args(SpectrumScore))
        super().__post_init__()


class Spectrum(AssignedRanks):
    """Modules whose weights have many large singular values get the most components. Reads no data."""

    key = "spectrum"

    def __init__(self, options: SpectrumOptions) -> None:
        super().__init__(options)
        self._spectrum = options

    @torch.no_grad()
    def score_modules(self, batches: Batches) -> Sequence[float]:  # noqa: ARG002  (needs no data)
        scores = []
        for pair in self.pairs:
            if self.should_stop():
                raise Stopped
            values = torch.linalg.svdvals(base_weight(pair.lora, pair.A))
            scores.append(float(spectrum_score(values, self._spectrum.spectral_score)))
        return scores


def spectrum_score(values: Tensor, score: SpectrumScore) -> Tensor:
    """The score of a matrix from its singular values (n,), a scalar from 1 to n; 0 for a matrix of zeros."""
    if not bool(values.any()):
        return values.new_zeros(())
    if score == "stable_rank":
        return values.square().sum() / values.max().square()
    shares = values / values.sum()
    effective: Tensor = torch.special.entr(shares).sum().exp()
    return effective


def base_weight(layer: Any, like: Tensor) -> Tensor:
    """The frozen weight below a LoRA layer, transposed (in, out), in float32.

    Computed from the outputs for unit vectors, which works for every kind of layer, quantised ones too.
    """
    base = layer.get_base_layer()
    held = base.weight.dtype
    dtype = held if held.is_floating_point else like.dtype
    units = torch.eye(int(layer.in_features), device=like.device, dtype=dtype)
    outputs: Tensor = base(units).float()
    return outputs if getattr(base, "bias", None) is None else outputs - base.bias.float()
