"""gradient: LoRA with ranks assigned once before training, by the gradients of a few batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..schedule.checks import check_choice, check_whole
from .assigned import AssignedOptions, AssignedRanks, mean_over_processes
from .protocol import Batches, Stopped

GradientOf = Literal["weight", "adapter"]


@dataclass(frozen=True, kw_only=True)
class GradientOptions(AssignedOptions):
    """Options of `gradient`, in addition to those of AssignedOptions.

    gradient_of  weight: mean squared gradient of the frozen weight (diagonal of the empirical Fisher information);
                 adapter: norm of the gradient of B, which starts at zero
    batches      number of batches to average over
    """

    gradient_of: GradientOf = "weight"
    batches: int = 8

    def __post_init__(self) -> None:
        check_choice("gradient_of", self.gradient_of, get_args(GradientOf))
        check_whole("batches", self.batches, least=1)
        super().__post_init__()


class Gradient(AssignedRanks):
    """Modules whose weights the loss depends on most get the most components."""

    key = "gradient"

    def __init__(self, options: GradientOptions) -> None:
        super().__init__(options)
        self._gradient = options

    def score_modules(self, batches: Batches) -> Sequence[float]:
        """Read `batches` without dropout, once each. Costs one forward and backward pass for each."""
        model, was_training = self._wrapped, self._wrapped.training
        squares = _WeightGradients([pair.lora for pair in self.pairs])
        model.eval()
        try:
            read = 0
            for batch in islice(batches, self._gradient.batches):
                if self.should_stop():
                    raise Stopped
                loss = model(**batch).loss
                if loss is None:
                    raise ValueError("The batches have no labels, so there is no loss and no gradient; add labels.")
                loss.backward()
                squares.end_batch()
                read += 1
            if not read:
                raise ValueError("There are no batches to compute gradients from; check the training data.")
            found = torch.stack(squares.total) / read
            if self._gradient.gradient_of == "adapter":
                norms = [torch.zeros(()) if pair.B.grad is None else pair.B.grad.float().norm() for pair in self.pairs]
                found = torch.stack([norm.to(found.device) for norm in norms]) / read
        finally:
            squares.remove()
            for parameter in model.parameters():
                parameter.grad = None
            model.train(was_training)
        scores: list[float] = mean_over_processes(found).tolist()
        return scores


class _WeightGradients:
    """Sums, over batches, the mean squared gradient of each layer's weight, which itself needs no gradient.

    The gradient of W (out, in) is g^T x, for inputs x (tokens, in) and gradients g (tokens, out) of the outputs. So it works
    for quantised weights too. At most one gradient is in memory at a time, unless a layer runs several times in a batch.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        device = layers[0].get_base_layer().weight.device
        self.total = [torch.zeros((), device=device) for _ in layers]
        self._open: dict[int, Tensor] = {}
        self._calls: Counter[int] = Counter()
        self._handles = [layer.register_forward_hook(partial(self._see, index)) for index, layer in enumerate(layers)]

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def end_batch(self) -> None:
        for index in list(self._open):
            self._close(index)
        self._calls.clear()

    def _see(self, index: int, _layer: object, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            self._calls[index] += 1
            output.register_hook(partial(self._add, index, inputs[0].detach()))

    def _add(self, index: int, x: Tensor, g: Tensor) -> None:
        with torch.no_grad():
            gradient = g.flatten(0, -2).float().T @ x.flatten(0, -2).float()
            before = self._open.get(index)
            self._open[index] = gradient if before is None else before + gradient
            self._calls[index] -= 1
            if not self._calls[index]:
                self._close(index)

    def _close(self, index: int) -> None:
        mean = self._open.pop(index).square().mean()
        self.total[index] += mean.to(self.total[index].device)
