"""Modules that are not adapted: linears that PEFT can't adapt, and weights in blocks that are not linear layers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, cast

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import _check_lora_target_modules_mamba
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from torch import nn

_OTHER_LAYERS = (nn.Embedding, nn.EmbeddingBag, nn.modules.conv._ConvNd)


def unadaptable(model: nn.Module, names: Sequence[str]) -> dict[str, str]:
    """The linears in `names` that PEFT refuses to adapt, or adapts without effect, with the reason for each."""
    modules = dict(model.named_modules())
    verdicts: dict[str, str | None] = {}
    found = {}
    for name in names:
        parent, _, last = name.rpartition(".")
        if last not in verdicts:
            verdicts[last] = _refusal(model, last)
        if not _is_called_as_linear(modules[name]):
            found[name] = "its class derives from a linear, but it does not return a linear's output"
        elif isinstance(modules.get(parent), nn.MultiheadAttention):
            found[name] = "nn.MultiheadAttention reads its weight and never calls it"
        elif (reason := verdicts[last]) is not None:
            found[name] = reason
    return found


def other_weights(model: nn.Module, heads: Collection[str], is_linear: Any) -> list[str]:
    """Modules in numbered blocks that have matrices but are not linears: fused experts, routers, XLNet's attention.

    Embeddings and convolutions are not included.
    """
    found = []
    for name, module in model.named_modules():
        if not any(part.isdigit() for part in name.split(".")) or any(name.startswith(f"{head}.") for head in heads):
            continue
        if is_linear(module) or isinstance(module, _OTHER_LAYERS):
            continue
        if any(sum(size > 1 for size in weight.shape) > 1 for weight in module.parameters(recurse=False)):
            found.append(name)
    return found


def listed(names: Sequence[str], most: int = 12) -> str:
    """The distinct names with every block number replaced by *, at most `most` of them."""
    short = list(dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names))
    return ", ".join(short[:most]) + (f" and {len(short) - most} more" if len(short) > most else "")


@torch.no_grad()
def _is_called_as_linear(module: nn.Module) -> bool:
    """Whether a subclass of nn.Linear in transformers maps (batch, in) to (batch, out); routers return more."""
    own = type(module)
    if not isinstance(module, nn.Linear) or own.forward is nn.Linear.forward or "transformers" not in own.__module__:
        return True
    with torch.random.fork_rng(devices=[]):
        rows = torch.zeros(2, module.in_features, dtype=module.weight.dtype, device=module.weight.device)
        try:
            made: Any = module(rows)
        except (RuntimeError, ValueError, TypeError, IndexError):
            return False
    return isinstance(made, torch.Tensor) and made.shape == (2, module.out_features)


def _refusal(model: nn.Module, last: str) -> str | None:
    config = LoraConfig(target_modules=[last])
    try:
        _check_lora_target_modules_mamba(config, model, last)
    except ValueError:
        return "PEFT refuses it because Mamba's fused kernel reads its weight and never calls it"
    try:
        convert_peft_config_for_transformers(cast(Any, config), model, None)
    except ValueError:
        return _FUSED
    return None if last in (config.target_modules or ()) else _FUSED


_FUSED = "in this kind of model PEFT uses this name for the fused experts"
