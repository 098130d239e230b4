"""Forward pass of the components in one autograd function, through the `LoraVariant` interface of PEFT's LoRA layers.

PEFT calls this interface private, so nothing depends on it: without it, or in a layer class that does not use it, PEFT
computes lora_B(lora_A(x)), where the weight of lora_B is B diag(c). The result is the same and needs more kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .parametrization import unscaled

try:
    from peft.tuners.lora.layer import LoraVariant
except ImportError:  # PEFT without the interface
    LoraVariant = None  # type: ignore[assignment, misc]


# Attributes of lora_A and lora_B during a forward pass.
_SCALED, _LOW = "_scaled_rows", "_low_columns"


def is_traced() -> bool:
    """Whether a compiler or tracer, which fuses kernels itself, or a transform of torch.func is at work."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
    )


def fuse(lora: Any, adapter: str) -> None:
    """Make PEFT's layer `lora` use the fused forward pass for this adapter, if it can."""
    if LoraVariant is not None and isinstance(getattr(lora, "lora_variant", None), dict):
        lora.lora_variant[adapter] = FusedComponents()


if LoraVariant is not None:

    class FusedComponents(LoraVariant):
        """Computes x -> A -> c -> B -> add with five kernels forward and seven backward, of which one is dropout's."""

        @staticmethod
        def init(module: Any, adapter_name: str, **options: Any) -> None:
            """Nothing to set up: `fuse` attaches it to an initialised layer."""

        @staticmethod
        def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **options: Any) -> Tensor:  # noqa: ARG004
            """`result` (..., out) of the base layer plus the update of x (..., in)."""
            lora_A, lora_B = module.lora_A[active_adapter], module.lora_B[active_adapter]
            dropout, scaling = module.lora_dropout[active_adapter], module.scaling[active_adapter]
            if is_traced():
                return cast(Tensor, result + lora_B(lora_A(dropout(x))) * scaling)
            frozen = _frozen_weight(module, x, result, lora_A.weight)
            p = 0.0
            if frozen is not None and type(dropout) is nn.Dropout:
                p, result = dropout.p if dropout.training else 0.0, result.detach()
            elif frozen is not None and type(dropout) is nn.Identity:
                result = result.detach()
            else:
                frozen, x = None, dropout(x)
            A, B = lora_A.weight, unscaled(lora_B)
            dtype = _autocast_dtype(x.device) or A.dtype
            out = _Components.apply(  # type: ignore[no-untyped-call]
                x.reshape(-1, x.shape[-1]),
                result.reshape(-1, result.shape[-1]),
                A,
                lora_A.c,
                B,
                _computed(lora_A, _SCALED, dtype),
                _computed(lora_B, _LOW, dtype),
                dtype,
                scaling,
                frozen,
                p,
            )
            return cast(Tensor, out.view(result.shape))

        @staticmethod
        def merge_safe(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
            return _merged(module, active_adapter, orig_weight, 1)

        @staticmethod
        def merge_unsafe(module: Any, active_adapter: str, orig_weight: Tensor) -> None:
            orig_weight.data += module.get_delta_weight(active_adapter)

        @staticmethod
        def unmerge(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
            return _merged(module, active_adapter, orig_weight, -1)


def prepare(pairs: Sequence[tuple[Any, Any]]) -> None:
    """Compute diag(c) A (r, in) of many (lora_A, lora_B) at once, until `forget`: a few kernels instead of some for each.

    Under autocast, this and B (out, r) are cast to its dtype, as PEFT's layers would, also all at once.
    """
    by_device: dict[torch.device, list[tuple[Any, Any]]] = {}
    for pair in pairs:
        by_device.setdefault(pair[0].weight.device, []).append(pair)
    for device, group in by_device.items():
        dtype = _autocast_dtype(device)
        As, cs = [lora_A.weight for lora_A, _ in group], [lora_A.c for lora_A, _ in group]
        rows = _ScaledRows.apply(dtype, *As, *cs)  # type: ignore[no-untyped-call]
        for (lora_A, _), scaled in zip(group, rows, strict=True):
            lora_A.__dict__[_SCALED] = scaled
        others = [lora_B for _, lora_B in group if dtype not in (None, unscaled(lora_B).dtype)]
        if others:
            lows = _Cast.apply(dtype, *map(unscaled, others))  # type: ignore[no-untyped-call]
            for lora_B, low in zip(others, lows, strict=True):
                lora_B.__dict__[_LOW] = low


def forget(pairs: Sequence[tuple[Any, Any]]) -> None:
    """Discard what `prepare` computed: A, c and B may change from now on."""
    for lora_A, lora_B in pairs:
        lora_A.__dict__.pop(_SCALED, None)
        lora_B.__dict__.pop(_LOW, None)


def _computed(module: Any, name: str, dtype: torch.dtype) -> Tensor | None:
    """What `prepare` computed; None if it did not, or if part of the model computes in another dtype than the rest."""
    found: Tensor | None = module.__dict__.get(name)
    return found if found is not None and found.dtype == dtype else None


def _autocast_dtype(device: torch.device) -> torch.dtype | None:
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def _merged(module: Any, adapter: str, weight: Tensor, sign: int) -> Tensor:
    """The weight plus or minus the update, as PEFT computes it without a variant."""
    delta: Tensor = sign * module.get_delta_weight(adapter)
    if weight.dtype == module.get_base_layer().weight.dtype:
        return weight.data + delta.to(weight.dtype)
    return weight.to(delta.device, delta.dtype) + delta  # the dequantised weight of a 4-bit or 8-bit layer


def _frozen_weight(module: Any, x: Tensor, result: Tensor, A: Tensor) -> Tensor | None:
    """The weight of a base layer whose backward pass the fused function can take over; None if it can't.

    The gradient of x is then one sum inside of matrix products, instead of an addition of two gradients. Only a plain,
    frozen nn.Linear without hooks in the dtype of the adapter qualifies, and only one active adapter.
    """
    base = module.get_base_layer()
    is_plain = (
        type(base) is nn.Linear
        and x.requires_grad
        and not base.weight.requires_grad
        and (base.bias is None or not base.bias.requires_grad)
        and x.dtype == result.dtype == A.dtype == base.weight.dtype
        and x.dim() > 1
        and len(module.active_adapters) == 1
        and "forward" not in base.__dict__
        and not (base._forward_hooks or base._forward_pre_hooks or base._backward_hooks or base._backward_pre_hooks)
        and not torch.is_autocast_enabled(x.device.type)
    )
    return base.weight if is_plain else None


class _Components(torch.autograd.Function):
    """result + scaling * dropout(x) A^T diag(c) B^T, and the gradients of x, result, A, c and B.

    Shapes: x (n, in), result (n, out), A (r, in), c (r,), B (out, r). cA (r, in) is diag(c) A in `dtype`, through which A
    and c then get their gradients, or None to compute it here; likewise B_low, which is B in `dtype`. With W (out, in),
    result is the detached output of a frozen linear x W^T, whose gradient is added to that of x. The products are in
    `dtype` (under autocast, its dtype), the gradients of the parameters in the parameters' own. The saved tensors are the
    same with and without a given cA and B_low, so activation checkpointing may recompute this without them.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        result: Tensor,
        A: Tensor,
        c: Tensor,
        B: Tensor,
        cA: Tensor | None,
        B_low: Tensor | None,
        dtype: torch.dtype,
        scaling: float,
        W: Tensor | None,
        p: float,
    ) -> Tensor:
        ctx.x_dtype = x.dtype
        x, keep = torch.native_dropout(x, p, True) if p > 0 else (x, None)
        x = x.to(dtype)
        cA = (c.unsqueeze(1) * A).to(dtype) if cA is None else cA
        B_low = B.to(dtype) if B_low is None else B_low
        h = x.mm(cA.t())  # (n, r)
        ctx.save_for_backward(x, keep, h, cA, A, c, B_low, W)
        ctx.B_dtype = B.dtype
        ctx.scaling, ctx.p = scaling, p
        if result.dtype == dtype:
            return torch.addmm(result, h, B_low.t(), alpha=scaling)
        return torch.add(result, h.mm(B_low.t()), alpha=scaling)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, h, cA, A, c, B, W = ctx.saved_tensors
        needs_x, needs_result, needs_A, needs_c, needs_B, needs_cA, needs_low = ctx.needs_input_grad[:7]
        g = gradient.to(h.dtype)
        unused = g.new_empty(())  # with beta=0 it is never read; alpha scales within the product
        g_x = g_A = g_c = g_B = g_cA = g_low = None
        if needs_B or needs_low:
            g_low = torch.addmm(unused, g.t(), h, beta=0, alpha=ctx.scaling)  # (out, r)
        if not needs_low and g_low is not None:
            g_B, g_low = g_low.to(ctx.B_dtype), None
        g_h = torch.addmm(unused, g, B, beta=0, alpha=ctx.scaling)  # (n, r)
        if needs_cA or needs_A or needs_c:
            g_cA = g_h.t().mm(x)  # (r, in)
        if not needs_cA and g_cA is not None:
            g_cA = g_cA.to(A.dtype)
            g_A = g_cA * c.unsqueeze(1)
            g_c = torch.bmm(g_cA.unsqueeze(1), A.unsqueeze(2)).view(-1)
            g_cA = None
        if needs_x:
            if W is None:
                g_x = g_h.mm(cA).to(ctx.x_dtype)
            elif keep is None:
                g_x = torch.addmm(g.mm(W), g_h, cA)
            else:
                g_x = torch.addcmul(g.mm(W), g_h.mm(cA), keep, value=1 / (1 - ctx.p))
        return g_x, gradient if needs_result else None, g_A, g_c, g_B, g_cA, g_low, None, None, None, None


class _ScaledRows(torch.autograd.Function):
    """diag(c) A of each A (r, in) and c (r,), in `dtype` if given; r may differ.

    The gradient of a tensor that was not used is None.
    """

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        As, cs = tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]
        result: list[Any] = [None] * len(As)
        for places in _same_width(As):
            rows = torch.cat([As[place] for place in places])
            scales = torch.cat([cs[place] for place in places])
            rows.mul_(scales.unsqueeze(1))
            _assign(result, places, rows if dtype is None else rows.to(dtype), As)
        return tuple(result)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        tensors: tuple[Tensor, ...] = ctx.saved_tensors
        As, cs = tensors[: len(gradients)], tensors[len(gradients) :]
        g_As: list[Tensor | None] = [None] * len(As)
        g_cs: list[Tensor | None] = [None] * len(As)
        for group in _same_width(As):
            places = [place for place in group if gradients[place] is not None]
            if not places:
                continue
            rows = torch.cat([cast(Tensor, gradients[place]) for place in places]).to(As[places[0]].dtype)
            scales = torch.cat([cs[place] for place in places])
            A = torch.cat([As[place] for place in places])
            _assign(g_cs, places, torch.bmm(rows.unsqueeze(1), A.unsqueeze(2)).view(-1), As)
            _assign(g_As, places, rows.mul_(scales.unsqueeze(1)), As)
        return (None, *g_As, *g_cs)


class _Cast(torch.autograd.Function):
    """Each tensor in `dtype`, and the gradients in the tensors' own; None for a tensor that was not used."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.dtypes = [tensor.dtype for tensor in tensors]
        return tuple(_cast_together(tensors, dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        result: list[Tensor | None] = [None] * len(gradients)
        by_dtype: dict[torch.dtype, list[int]] = {}
        for place, dtype in enumerate(ctx.dtypes):
            if gradients[place] is not None:
                by_dtype.setdefault(dtype, []).append(place)
        for dtype, places in by_dtype.items():
            found = _cast_together([cast(Tensor, gradients[place]) for place in places], dtype)
            for place, gradient in zip(places, found, strict=True):
                result[place] = gradient
        return (None, *result)


def _cast_together(tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    whole = torch.cat([tensor.reshape(-1) for tensor in tensors]).to(dtype)
    parts = whole.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def _same_width(As: Sequence[Tensor]) -> list[list[int]]:
    """Places of the tensors (r, in) that can be concatenated."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, A in enumerate(As):
        groups.setdefault((A.shape[1], A.dtype), []).append(place)
    return list(groups.values())


def _assign(result: list[Any], places: Sequence[int], whole: Tensor, As: Sequence[Tensor]) -> None:
    for place, part in zip(places, whole.split([len(As[place]) for place in places]), strict=True):
        result[place] = part
