"""Work that all fused layers of a model share in a forward pass."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from .components import Components, RankLayer
from .fused_layer import Factors, forget, is_traced, prepare

_ATTRIBUTE = "_rank_components"


def batch_scales(model: nn.Module, components: Components) -> None:
    """Compute diag(c) A, and casts, of all layers together at the start of each forward pass of a wrapped PEFT model.

    It is discarded at the end of the forward pass, also after an error. Layers that are called on their own, or called
    again by activation checkpointing in the backward pass, compute it themselves.
    """
    inner = cast(nn.Module, model.base_model)
    # On the module, and hooks that are plain functions: a deep copy of the model then uses its own components.
    setattr(inner, _ATTRIBUTE, components)
    inner.register_forward_pre_hook(_before)
    inner.register_forward_hook(_after, always_call=True)


def _before(inner: nn.Module, _inputs: Any) -> None:
    if not is_traced():
        prepare(Factors(layer.lora_A, layer.A, layer.c, layer.B, layer.scaling) for layer in _held(inner))


def _after(inner: nn.Module, _inputs: Any, _output: Any) -> None:
    if not is_traced():
        forget(layer.lora_A for layer in _held(inner))


def _held(inner: nn.Module) -> list[RankLayer]:
    """The layers that have components."""
    components: Components = getattr(inner, _ATTRIBUTE)
    return [layer for layer in components.layers if layer.kept and layer.is_present]
