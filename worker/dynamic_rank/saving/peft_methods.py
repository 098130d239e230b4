"""Replacements for PEFT's methods that save, load or copy an adapter, on a wrapped model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from torch.nn.modules.module import _IncompatibleKeys

from ..adapter.components import ADAPTER, Components, RestoredState, components_of, replace_data
from ..adapter.fused_layer import fuse
from ..adapter.scaled_linear import scale_components
from .checkpoint import INFO, Folder
from .export import Layout, export_lora
from .run_state import load_run_state, save_run_state, saved_options

_CHECKPOINT = re.compile(r"checkpoint-\d+")
_METHOD = "dynamic_rank"


def install(wrapped: PeftModel) -> None:
    """Replace the methods of `wrapped`, and of its deep copies, by those below."""
    for name, method in (
        ("save_pretrained", save_pretrained),
        ("load_adapter", load_adapter),
        ("add_adapter", add_adapter),
    ):
        # Bound methods instead of closures, so that a deep copy of the model gets its own.
        object.__setattr__(wrapped, name, MethodType(method, wrapped))
    wrapped.register_load_state_dict_pre_hook(_check_ranks)


def save_pretrained(self: PeftModel, save_directory: Folder, layout: Layout = "uniform", **_options: Any) -> None:
    """Export a plain LoRA. While DynamicRankCallback trains, a `checkpoint-N` folder also gets the state to resume from."""
    # PEFT's method would write non-standard names, which no reader of LoRA knows.
    export_lora(self, save_directory, layout)
    allocator = components_of(self).allocator
    if allocator is not None and _CHECKPOINT.fullmatch(Path(save_directory).name):
        save_run_state(save_directory, self, _METHOD, allocator.config.to_dict(), allocator)


def load_adapter(self: PeftModel, model_id: Folder, adapter_name: str, *args: Any, **options: Any) -> Any:
    """Restore the components of a checkpoint, including the ranks. Other adapter names are passed on to PEFT.

    Trainer calls this to resume and to load the best checkpoint. Raises ValueError if the folder is only an export,
    which does not say which components it has.
    """
    if adapter_name != ADAPTER:
        return PeftModel.load_adapter(self, str(model_id), adapter_name, *args, **options)
    folder = Path(model_id)
    if not (folder / INFO).is_file():
        raise ValueError(
            f"{folder} has no {INFO}, so it is not a complete checkpoint and its components are unknown. To resume, use a "
            "complete checkpoint written with DynamicRankCallback (see last_complete_checkpoint). To use an exported "
            "adapter, load it into the base model: PeftModel.from_pretrained(base_model, folder)."
        )
    state = load_run_state(folder, self, _METHOD, {})
    components_of(self).restored = RestoredState(state, saved_options(folder))
    return _IncompatibleKeys([], [])


def add_adapter(self: PeftModel, adapter_name: str, peft_config: Any, *args: Any, **options: Any) -> None:
    """Add another adapter. With the config of the components it becomes a copy of them, with the same parameter names.

    TRL's DPO, KTO, RLOO and GRPO store their reference model this way: they add "ref" and copy each parameter by name.
    """
    components = components_of(self)
    is_copy = peft_config is self.peft_config[ADAPTER]
    type(self).add_adapter(self, adapter_name, peft_config, *args, **options)
    if is_copy:
        _copy_components(components, adapter_name)


@torch.no_grad()
def _copy_components(components: Components, adapter: str) -> None:
    for layer in components.layers:
        A, B = layer.lora.lora_A[adapter], layer.lora.lora_B[adapter]
        trains = A.weight.requires_grad
        replace_data(A.weight, layer.A.data)
        replace_data(B.weight, layer.B.data)
        A.out_features = B.in_features = len(layer.kept)
        scale_components(A, B, layer.c.detach().clone())
        fuse(layer.lora, adapter)
        for parameter in (*A.parameters(), *B.parameters()):
            parameter.requires_grad_(trains)


def _check_ranks(module: nn.Module, state_dict: Mapping[str, Any], prefix: str, *_rest: Any) -> None:
    """ValueError if a state_dict has other ranks: it does not say which components it has."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for layer in components_of(module).layers:
        saved = state_dict.get(prefix + names[id(layer.c)])
        if saved is not None and saved.shape != layer.c.shape:
            raise ValueError(
                f"The state_dict has {len(saved)} components of {layer.name}, but this model has {len(layer.kept)}: one of "
                "them was compacted. Resume from a checkpoint of DynamicRankCallback or of a method, or load an export "
                "into the base model."
            )
