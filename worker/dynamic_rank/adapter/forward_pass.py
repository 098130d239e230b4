"""Work that all fused layers of a model share in a forward pass."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from .components import Components
from .fused_layer import forget, is_traced, prepare

_ATTRIBUTE = "_rank_components"


def batch_scales(model: nn.Module, components: Components) -> None:
    """Compute diag(c) A, and casts, of all layers together at the start of each forward pass of a wrapped PEFT model.

    It is discarded at the end of the forward pass, also after an error. Layers that are called on their own, or again
    by activation checkpointing in the backward pass, compute theirs.
    """
    inner = cast(nn.Module, model.base_model)
    # On the module, and hooks that are plain functions: a deep copy of the model then uses its own components.
    setattr(inner, _ATTRIBUTE, components)
    inner.register_forward_pre_hook(_before)
    inner.register_forward_hook(_after, always_call=True)


def _before(inner: nn.Module, _inputs: Any) -> None:
    if not is_traced():
        prepare(_pairs(inner))


def _after(inner: nn.Module, _inputs: Any, _output: Any) -> None:
    if not is_traced():
        forget(_pairs(inner))


def _pairs(inner: nn.Module) -> list[tuple[Any, Any]]:
    """lora_A and lora_B of each layer that has components."""
    components: Components = getattr(inner, _ATTRIBUTE)
    held = (layer for layer in components.layers if layer.kept and layer.adapter in layer.lora.lora_A)
    return [(layer.lora.lora_A[layer.adapter], layer.lora.lora_B[layer.adapter]) for layer in held]
