"""WeightScores: the importance of all components of a model from their weights, with batched kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..adapter.components import RankLayer
from .scores import column_gram, column_norms, norms_of_vectors, row_gram, row_norms, shares
from .shape_stacks import ShapeStacks

OF_WEIGHTS = ("norm_share", "norm", "abs_c")
"""Scores that depend on nothing but A, B and c."""


class WeightScores:
    """A score of OF_WEIGHTS. The parameters may change, but not their shapes."""

    def __init__(self, layers: Sequence[RankLayer], eps: float, device: torch.device) -> None:
        """`device` is that of the results."""
        self._layers, self._eps, self._device = layers, eps, device
        self._stacks_A = ShapeStacks([layer.A for layer in layers], device)
        self._stacks_B = ShapeStacks([layer.B for layer in layers], device)

    def __call__(self, kind: str) -> Tensor:
        """The score (modules, width) of every component now, in float32."""
        if kind == "abs_c":
            return torch.stack([layer.c.to(self._device, torch.float32) for layer in self._layers]).abs()
        c = torch.stack([layer.c.to(self._device) for layer in self._layers])  # (modules, r)
        if kind == "norm":
            norms = norms_of_vectors(self._stacks_A(row_norms), self._stacks_B(column_norms), c)
            return norms.to(torch.float32)
        return shares(self._stacks_A(row_gram), self._stacks_B(column_gram), c, self._eps).to(torch.float32)
