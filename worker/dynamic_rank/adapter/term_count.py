"""TermCount: makes the regulariser count once per optimizer step, however many batches Trainer accumulates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(eq=False)
class TermCount:
    """Finds out whether Trainer divides the loss by the number of accumulated batches, which callbacks can't see.

    The gradient of the term in the first batch decides. If it equals `weight`, the loss is not divided, and the term is
    added in the first batch of each step and is 0 in the others. Otherwise (a fraction of `weight`, or a factor of the
    caller) the term is unchanged.
    """

    weight: float
    is_once: bool = False
    is_paid: bool = False
    _is_decided: bool = False
    _gradient: Tensor | None = None

    def begin_step(self) -> None:
        """Start a new optimizer step."""
        self.is_paid = False

    def counted(self, term: Tensor) -> Tensor:
        """`term`, or 0 if it was already added in this step."""
        if not term.requires_grad:
            return term
        if self.is_paid:
            return torch.zeros_like(term)
        if self._is_decided:
            self.is_paid = self.is_once
        else:
            term.register_hook(self._watch)
        return term

    def decide(self, loss_scale: float) -> None:
        """Call after the first backward pass; `loss_scale` is that of the gradient scaler. Synchronises the device once."""
        if self._is_decided or self._gradient is None:
            return
        self._is_decided = True
        share = float(self._gradient) / (self.weight * loss_scale)
        self.is_once = self.is_paid = abs(share - 1) < 0.01
        self._gradient = None

    def _watch(self, gradient: Tensor) -> None:
        self._gradient = gradient.detach()
