"""TermCount: the regulariser counts once in an optimizer step, however many batches Trainer accumulates for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(eq=False)
class TermCount:
    """Trainer divides some losses by the number of batches in a step and not others, and doesn't tell callbacks which.

    So the gradient that the term gets from its first batch decides: `weight` itself means that the loss is not divided,
    and the term then counts with the first batch of every step and is 0 with the others. Any other gradient (a share of
    `weight`, or a factor of the caller's) is left as it is.
    """

    weight: float
    is_once: bool = False
    is_paid: bool = False
    _is_decided: bool = False
    _gradient: Tensor | None = None

    def begin_step(self) -> None:
        """A new optimizer step begins."""
        self.is_paid = False

    def counted(self, term: Tensor) -> Tensor:
        """`term`, or 0 if this step has it already."""
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
        """After the first batch's backward pass; `loss_scale` is the gradient scaler's. This waits for the device once."""
        if self._is_decided or self._gradient is None:
            return
        self._is_decided = True
        share = float(self._gradient) / (self.weight * loss_scale)
        self.is_once = self.is_paid = abs(share - 1) < 0.01
        self._gradient = None

    def _watch(self, gradient: Tensor) -> None:
        self._gradient = gradient.detach()
