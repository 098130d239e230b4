"""DEM, the dimensional equilibrium modulator, which keeps each component's vectors even (Mao et al. 2024, Eq. 10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .components import Components, components_of


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
    dims, tensors = _vectors(components)
    if dims:
        result: Tensor = _MeanVariance.apply(dims, *tensors)  # type: ignore[no-untyped-call]
    else:
        result = torch.zeros((), device=components.layers[0].A.device)
    components.dem_value = result.detach()
    if torch.is_grad_enabled():
        components.regularizer_calls += 1
    return result if components.term is None else components.term.counted(result)


@torch.no_grad()
def add_dem_gradient(model: nn.Module, weight: float | Tensor) -> Tensor:
    """Add the gradient of weight * R to that of each A and B, and return R (Mao et al. 2024, Eq. 10), a scalar.

    The same as the backward pass of weight * dem_loss(model), for use after that of the model. In the loss, autograd
    would add the two gradients of each tensor in a separate kernel, and keep all gradients of R until then.
    """
    components = components_of(model)
    dims, tensors = _vectors(components)
    components.regularizer_calls += 1
    groups = _groups(dims, tensors)
    variances: list[Tensor] = []
    count = sum(tensors[place].numel() // tensors[place].shape[dim] for dim, places in groups for place in places)
    for dim, places in groups:
        stack = _stack(places, tensors)
        variance, mean = torch.var_mean(stack, dim=dim, keepdim=True)
        variances.append(variance.flatten().to(components.layers[0].A.device))
        stack.sub_(mean).mul_(2 / ((stack.shape[dim] - 1) * count) * _on(weight, stack.device))
        _add_to_gradients([tensors[place] for place in places], stack.to(tensors[places[0]].dtype).unbind())
    result = torch.cat(variances).mean() if variances else torch.zeros((), device=components.layers[0].A.device)
    components.dem_value = result
    return result


def _on(weight: float | Tensor, device: torch.device) -> float | Tensor:
    return weight.to(device) if isinstance(weight, Tensor) else weight


def _add_to_gradients(tensors: Sequence[Tensor], parts: Sequence[Tensor]) -> None:
    present = [(tensor.grad, part) for tensor, part in zip(tensors, parts, strict=True) if tensor.grad is not None]
    if present:
        torch._foreach_add_([gradient for gradient, _ in present], [part for _, part in present])
    for tensor, part in zip(tensors, parts, strict=True):
        if tensor.grad is None and tensor.requires_grad:
            tensor.grad = part.clone()


def _vectors(components: Components) -> tuple[tuple[int, ...], list[Tensor]]:
    """The tensors of all modules that R counts, and along which dimension their vectors are."""
    held = [layer for layer in components.layers if layer.kept]
    rows = [A for layer in held if (A := layer.A).shape[-1] > 1]  # (r, in): a vector is a row
    columns = [B for layer in held if (B := layer.B).shape[-2] > 1]  # (out, r): a vector is a column
    return (-1,) * len(rows) + (-2,) * len(columns), [*rows, *columns]


class _MeanVariance(torch.autograd.Function):
    """Mean unbiased variance of the vectors of each tensor along its dimension in `dims`.

    The gradient of var(x) for a vector x of n elements is 2 (x - mean(x)) / (n - 1).
    """

    @staticmethod
    def forward(ctx: Any, dims: tuple[int, ...], *tensors: Tensor) -> Tensor:
        groups = _groups(dims, tensors)
        found = [torch.var_mean(_stack(places, tensors), dim=dim, keepdim=True) for dim, places in groups]
        variances = torch.cat([variance.to(tensors[0].device).flatten() for variance, _ in found])
        ctx.groups, ctx.vectors = groups, variances.numel()
        ctx.save_for_backward(*tensors, *(mean for _, mean in found))
        return variances.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        tensors = saved[: len(saved) - len(ctx.groups)]
        result: list[Tensor | None] = [None] * len(tensors)
        for (dim, places), mean in zip(ctx.groups, saved[len(tensors) :], strict=True):
            stack = _stack(places, tensors)
            stack.sub_(mean).mul_(gradient.to(stack.device) * (2 / ((stack.shape[dim] - 1) * ctx.vectors)))
            dtype = tensors[places[0]].dtype
            for place, part in zip(places, stack.to(dtype).unbind(), strict=True):
                result[place] = part
        return (None, *result)


def _groups(dims: Sequence[int], tensors: Sequence[Tensor]) -> list[tuple[int, list[int]]]:
    """(dim, indices) for each group of tensors of one shape, dim, dtype and device."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, (dim, tensor) in enumerate(zip(dims, tensors, strict=True)):
        groups.setdefault((dim, tensor.shape, tensor.dtype, tensor.device), []).append(place)
    return [(key[0], places) for key, places in groups.items()]


def _stack(places: Sequence[int], tensors: Sequence[Tensor]) -> Tensor:
    """A copy of the tensors (m, ...) in float32."""
    return torch.stack([tensors[place] for place in places]).float()
