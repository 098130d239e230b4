"""Forward pass of the components in few operators, through the `LoraVariant` interface of PEFT's LoRA layers.

PEFT calls this interface private, so nothing depends on it: without it, or in a layer class that does not use it, PEFT
computes lora_B(lora_A(x)), where the weight of lora_B is B diag(c). The result is the same and needs more kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .scaled_linear import unscaled

try:
    from peft.tuners.lora.layer import LoraVariant
except ImportError:  # PEFT without the interface
    LoraVariant = None  # type: ignore[assignment, misc]


# Attribute of lora_A during a forward pass of the model.
_SCALED = "_scaled_components"


class Scaled(NamedTuple):
    """What a layer computes with: cA^T (in, r), where cA is scaling * diag(c) A, and B^T (r, out), both in one dtype."""

    cA_t: Tensor
    B_t: Tensor


class Factors(NamedTuple):
    """A layer's lora_A, its A (r, in), c (r,) and B (out, r), and PEFT's scaling."""

    lora_A: Any
    A: Tensor
    c: Tensor
    B: Tensor
    scaling: float


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
        """Computes result + dropout(x) cA^T B^T in three operators, of which the last also does the addition.

        On a GPU, a step of an adapter takes as long as the host needs to launch its kernels. These are torch's own
        operators, because an autograd function in Python takes the host longer than the kernels that it would save. The
        scaling is a factor of cA, because as a factor of the sum it would cost two kernels in the backward pass.
        """

        @staticmethod
        def init(module: Any, adapter_name: str, **options: Any) -> None:
            """Nothing to set up: `fuse` attaches it to an initialised layer."""

        @staticmethod
        def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **options: Any) -> Tensor:  # noqa: ARG004
            """`result` (..., out) of the base layer plus the update of x (..., in)."""
            lora_A, dropout = module.lora_A[active_adapter], module.lora_dropout[active_adapter]
            scaled = lora_A.__dict__.get(_SCALED)
            if scaled is None or not _fits(scaled.cA_t, x):
                lora_B = module.lora_B[active_adapter]
                if is_traced():
                    return cast(Tensor, result + lora_B(lora_A(dropout(x))) * module.scaling[active_adapter])
                alone = [Factors(lora_A, lora_A.weight, lora_A.c, unscaled(lora_B), module.scaling[active_adapter])]
                scaled = _scaled(alone, _autocast_dtype(x.device))[0]
            if type(dropout) is nn.Dropout:
                x = torch.dropout(x, dropout.p, dropout.training)
            elif type(dropout) is not nn.Identity:
                x = dropout(x)
            h = x.reshape(-1, x.shape[-1]).mm(scaled.cA_t)
            if result.dtype != h.dtype:  # a base model of a lower precision than the adapter's
                return result + h.mm(scaled.B_t).view(result.shape)
            return torch.addmm(result.view(-1, result.shape[-1]), h, scaled.B_t).view(result.shape)

        @staticmethod
        def merge_safe(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
            return _merged(module, active_adapter, orig_weight, 1)

        @staticmethod
        def merge_unsafe(module: Any, active_adapter: str, orig_weight: Tensor) -> None:
            orig_weight.data += module.get_delta_weight(active_adapter)

        @staticmethod
        def unmerge(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
            return _merged(module, active_adapter, orig_weight, -1)


def prepare(layers: Iterable[Factors]) -> None:
    """Compute what many layers need, until `forget`: a few kernels instead of some for each."""
    by_device: dict[torch.device, list[Factors]] = {}
    for layer in layers:
        by_device.setdefault(layer.A.device, []).append(layer)
    for device, group in by_device.items():
        for layer, scaled in zip(group, _scaled(group, _autocast_dtype(device)), strict=True):
            layer.lora_A.__dict__[_SCALED] = scaled


def forget(lora_As: Iterable[Any]) -> None:
    """Discard what `prepare` computed: A, c and B may change from now on."""
    for lora_A in lora_As:
        lora_A.__dict__.pop(_SCALED, None)


def _scaled(layers: Sequence[Factors], dtype: torch.dtype | None) -> list[Scaled]:
    """`Scaled` of each layer, in `dtype` if given; otherwise in the tensors' own."""
    As, cs, Bs = ([getattr(layer, name) for layer in layers] for name in ("A", "c", "B"))
    cAs = _ScaledRows.apply(dtype, [layer.scaling for layer in layers], *As, *cs)  # type: ignore[no-untyped-call]
    is_low = all(dtype in (None, B.dtype) for B in Bs)
    B_ts = [B.t() for B in Bs] if is_low else _CastColumns.apply(dtype, *Bs)  # type: ignore[no-untyped-call]
    return [Scaled(cA_t, B_t) for cA_t, B_t in zip(cAs, B_ts, strict=True)]


def _fits(cA_t: Tensor, x: Tensor) -> bool:
    """Whether x can be multiplied by what was prepared: part of a model may compute in another dtype than the rest."""
    return x.dtype == cA_t.dtype or torch.is_autocast_enabled(x.device.type)


def _autocast_dtype(device: torch.device) -> torch.dtype | None:
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def _merged(module: Any, adapter: str, weight: Tensor, sign: int) -> Tensor:
    """The weight plus or minus the update, as PEFT computes it without a variant."""
    delta: Tensor = sign * module.get_delta_weight(adapter)
    if weight.dtype == module.get_base_layer().weight.dtype:
        return weight.data + delta.to(weight.dtype)
    return weight.to(delta.device, delta.dtype) + delta  # the dequantised weight of a 4-bit or 8-bit layer


class _ScaledRows(torch.autograd.Function):
    """(scaling * diag(c) A)^T (in, r) of each A (r, in) and c (r,), in `dtype` if given; r may differ.

    The gradient of a tensor that was not used is None. Nothing is saved through torch's hooks: activation checkpointing
    counts what a layer saves, and a layer that it computes again also computes this, which the first time was shared.
    """

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype | None, scalings: Sequence[float], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        As, cs = tensors[: len(scalings)], tensors[len(scalings) :]
        ctx.As, ctx.cs, ctx.scalings, ctx.versions = As, cs, scalings, [tensor._version for tensor in tensors]
        result: list[Any] = [None] * len(As)
        for places in _same_kind(As, scalings):
            rows = torch.cat([As[place] for place in places])
            scales = torch.cat([cs[place] for place in places]) * scalings[places[0]]
            rows.mul_(scales.unsqueeze(1))
            whole = rows if dtype is None else rows.to(dtype)
            for place, part in zip(places, _parts(whole, places, As), strict=True):
                result[place] = part.t()
        return tuple(result)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        As, cs = ctx.As, ctx.cs
        if [tensor._version for tensor in (*As, *cs)] != ctx.versions:
            raise RuntimeError(
                "A or c of an adapter was modified by an in-place operation between the forward and the backward pass; "
                "step the optimizer after the backward pass."
            )
        g_As: list[Tensor | None] = [None] * len(As)
        g_cs: list[Tensor | None] = [None] * len(As)
        for group in _same_kind(As, ctx.scalings):
            places = [place for place in group if gradients[place] is not None]
            if not places:
                continue
            rows = torch.cat([cast(Tensor, gradients[place]).t() for place in places]).to(As[places[0]].dtype)
            rows.mul_(ctx.scalings[places[0]])
            A, scales = (torch.cat([tensors[place] for place in places]) for tensors in (As, cs))
            products = torch.bmm(rows.unsqueeze(1), A.unsqueeze(2)).view(-1)
            rows.mul_(scales.unsqueeze(1))
            for place, g_A, g_c in zip(places, _parts(rows, places, As), _parts(products, places, As), strict=True):
                g_As[place], g_cs[place] = g_A, g_c
        return (None, None, *g_As, *g_cs)


class _CastColumns(torch.autograd.Function):
    """B^T (r, out) of each B (out, r) in `dtype`, and the gradients in the tensors' own; None for one that was not used."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *Bs: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.dtypes = [B.dtype for B in Bs]
        return tuple(B.t() for B in _cast_together(Bs, dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        result: list[Tensor | None] = [None] * len(gradients)
        by_dtype: dict[torch.dtype, list[int]] = {}
        for place, dtype in enumerate(ctx.dtypes):
            if gradients[place] is not None:
                by_dtype.setdefault(dtype, []).append(place)
        for dtype, places in by_dtype.items():
            found = _cast_together([cast(Tensor, gradients[place]).t() for place in places], dtype)
            for place, gradient in zip(places, found, strict=True):
                result[place] = gradient
        return (None, *result)


def _cast_together(tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    whole = torch.cat([tensor.reshape(-1) for tensor in tensors]).to(dtype)
    parts = whole.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def _same_kind(As: Sequence[Tensor], scalings: Sequence[float]) -> list[list[int]]:
    """Places of the tensors (r, in) that can be concatenated, and have one scaling."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, (A, scaling) in enumerate(zip(As, scalings, strict=True)):
        groups.setdefault((A.shape[1], A.dtype, scaling), []).append(place)
    return list(groups.values())


def _parts(whole: Tensor, places: Sequence[int], As: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The rows of `whole` that belong to each A (r, in) of `places`."""
    parts: tuple[Tensor, ...] = whole.split([As[place].shape[0] for place in places])
    return parts
