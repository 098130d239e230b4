"""Export of the trained components as a plain LoRA adapter, in a portable or a compact layout."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from peft import LoraConfig, PeftModel
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import save_file
from torch import Tensor, nn

from ..adapter.components import ADAPTER, PEFT_PREFIX, components_of, unwrap
from ..schedule.checks import check_choice
from .checkpoint import Folder

# module name -> (A (rank, in), B (out, rank)); all scales are folded into B, so the update is B A
Factors = Mapping[str, tuple[Tensor, Tensor]]


Layout = Literal["uniform", "compact"]


def export_lora(model: nn.Module, folder: Folder, layout: Layout = "uniform") -> None:
    """Write the model's adapter as a plain LoRA into `folder`. The model does not change, and training can continue.

    Pruned components (c = 0) are removed, and c and the scaling are folded into B, so that the scale alpha / r is 1.

    uniform  every adapted module has the same rank, the largest live one; A (r, in) and B (out, r) are padded with zeros,
             and there are no patterns. All readers of LoRA compute the same result, but the files are larger.
    compact  each module has its own rank, given by rank_pattern and alpha_pattern; modules at rank 0 are left out. The
             smallest form, for readers that support both patterns (PEFT, transformers). llama.cpp silently applies a
             wrong scale, and some servers refuse it: see the table in docs/method.md.

    A trained head is saved as modules_to_save. `rank_pattern.json` has the ranks of all modules in both layouts.
    `PeftModel.from_pretrained(base, folder)` gives the same logits.

    Raises ValueError if the model was not made by `wrap`, or for an unknown layout.
    """
    check_choice("layout", layout, get_args(Layout))
    factors = {}
    with torch.no_grad():
        for layer in components_of(model).layers:
            live = layer.c != 0
            B = layer.B[:, live] * (layer.c[live] * layer.scaling)
            factors[layer.name] = (layer.A[live].detach(), B)
    write_lora(cast(PeftModel, unwrap(model)), factors, folder, layout)


def write_lora(model: PeftModel, factors: Factors, folder: Folder, layout: Layout) -> None:
    """Write `factors` and the model's trained head as a plain LoRA adapter; see `export_lora`."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    ranks = {name: A.shape[0] for name, (A, _) in factors.items()}
    # PEFT refuses rank 0 and an adapter without targets, so an empty update becomes one component that adds nothing.
    largest = max(1, *ranks.values())
    kept = _padded(factors, largest) if layout == "uniform" else _without_empty(factors)
    tensors = {}
    for name, (A, B) in kept.items():
        tensors[f"{PEFT_PREFIX}{name}.lora_A.weight"] = A.float().cpu().contiguous().clone()
        tensors[f"{PEFT_PREFIX}{name}.lora_B.weight"] = B.float().cpu().contiguous().clone()
    tensors |= head_tensors(model)
    pattern = {} if layout == "uniform" else {f"^{re.escape(name)}": A.shape[0] for name, (A, _) in kept.items()}
    trained = cast(LoraConfig, model.peft_config[ADAPTER])
    config = LoraConfig(
        r=largest,
        lora_alpha=largest,
        lora_dropout=trained.lora_dropout,
        target_modules=list(kept),
        modules_to_save=[name.removeprefix(PEFT_PREFIX) for name in _heads(model)] or None,
        task_type=trained.task_type,
        base_model_name_or_path=trained.base_model_name_or_path,
        fan_in_fan_out=trained.fan_in_fan_out,
        rank_pattern=pattern,
        alpha_pattern=dict(pattern),
        inference_mode=True,
    )
    # PEFT turns them into a set and writes it in an order that differs between processes.
    config.target_modules = list(kept)
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(path))
    (path / "rank_pattern.json").write_text(json.dumps(ranks, indent=1) + "\n", encoding="utf-8")


def _padded(factors: Factors, rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    """A (rank, in) and B (out, rank) of every module, padded with zeros."""
    return {
        name: (nn.functional.pad(A, (0, 0, 0, rank - A.shape[0])), nn.functional.pad(B, (0, rank - B.shape[1])))
        for name, (A, B) in factors.items()
    }


def _without_empty(factors: Factors) -> dict[str, tuple[Tensor, Tensor]]:
    """The modules that have components. If there are none, one module with a component that adds nothing."""
    kept = {name: factor for name, factor in factors.items() if factor[0].shape[0]}
    if not kept:
        name, (A, B) = next(iter(factors.items()))
        kept = {name: (A.new_zeros(1, A.shape[1]), B.new_zeros(B.shape[0], 1))}
    return kept


def head_tensors(model: PeftModel) -> dict[str, Tensor]:
    """The tensors of the trained head, by their names in a saved adapter. Copies on the CPU."""
    return {
        f"{name}.{key}": tensor.detach().cpu().contiguous().clone()
        for name, wrapper in _heads(model).items()
        for key, tensor in wrapper.modules_to_save[ADAPTER].state_dict().items()
    }


def _heads(model: PeftModel) -> dict[str, ModulesToSaveWrapper]:
    return {name: module for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)}
