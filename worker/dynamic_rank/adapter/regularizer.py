"""DEM, the dimensional equilibrium modulator, which keeps each component's vectors even (Mao et al. 2024, Eq. 10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .components import components_of


def dem_loss(model: nn.Module) -> Tensor:
    """The DEM term R (Mao et al. 2024, Eq. 10), a scalar with gradient.

    R is the mean unbiased variance of the rows of A (r, in) and the columns of B (out, r) of all modules. Modules at rank
    0, and vectors of a single element (B of a linear with one output), which have no variance, are left out.

    Add eta * dem_loss(model) to the loss until pruning ends. Call it before the forward pass: its backward pass then runs
    last, when the activations are freed. In a Trainer with DynamicRankCallback, R counts once per optimizer step (see
    TermCount). Tensors of one shape are stacked, so 72 modules need only a few kernels; the stacks are freed on return.

    Raises ValueError if the model was not made by `wrap`.
    """
    components = components_of(model)
    held = [layer for layer in components.layers if layer.kept]
    rows = [layer.A for layer in held if layer.A.shape[-1] > 1]  # (r, in): a vector is a row
    columns = [layer.B for layer in held if layer.B.shape[-2] > 1]  # (out, r): a vector is a column
    dims = (-1,) * len(rows) + (-2,) * len(columns)
    if dims:
        result: Tensor = _MeanVariance.apply(dims, *rows, *columns)  # type: ignore[no-untyped-call]
    else:
        result = torch.zeros((), device=components.layers[0].A.device)
    components.dem_value = result.detach()
    if torch.is_grad_enabled():
        components.regularizer_calls += 1
    return result if components.term is None else components.term.counted(result)


class _MeanVariance(torch.autograd.Function):
    """Mean unbiased variance of the vectors of each tensor along its dimension in `dims`.

    The gradient of var(x) for a vector x of n elements is 2 (x - mean(x)) / (n - 1).
    """

    @staticmethod
    def forward(ctx: Any, dims: tuple[int, ...], *tensors: Tensor) -> Tensor:
        found = [torch.var_mean(stack, dim=dim, keepdim=True) for dim, _, stack in _stacks(dims, tensors)]
        variances = torch.cat([variance.to(tensors[0].device).flatten() for variance, _ in found])
        ctx.dims, ctx.vectors = dims, variances.numel()
        ctx.save_for_backward(*tensors, *(mean for _, mean in found))
        return variances.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        tensors, means = saved[: len(ctx.dims)], saved[len(ctx.dims) :]
        result: list[Tensor | None] = [None] * len(tensors)
        for (dim, places, stack), mean in zip(_stacks(ctx.dims, tensors), means, strict=True):
            stack.sub_(mean).mul_(gradient.to(stack.device) * (2 / ((stack.shape[dim] - 1) * ctx.vectors)))
            for place, part in zip(places, stack, strict=True):
                result[place] = part.to(tensors[place].dtype)
        return (None, *result)


def _stacks(dims: Sequence[int], tensors: Sequence[Tensor]) -> Any:
    """(dim, indices, float32 stack) for each group of tensors of one shape, dim and device. The stacks are copies."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, (dim, tensor) in enumerate(zip(dims, tensors, strict=True)):
        groups.setdefault((tensor.shape, dim, tensor.device), []).append(place)
    for (_, dim, _), places in groups.items():
        yield dim, places, torch.stack([tensors[place] for place in places]).float()
