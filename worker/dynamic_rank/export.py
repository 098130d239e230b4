"""Export: the trained components as a plain LoRA adapter that every reader of LoRA gets right."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import save_file
from torch import Tensor, nn

from .checkpoint import Folder
from .components import ADAPTER, PEFT_PREFIX, components_of, unwrap

# module name -> (A (rank, in), B (out, rank)) with every scale folded into B: the update is B A
Factors = Mapping[str, tuple[Tensor, Tensor]]


def export_lora(model: nn.Module, folder: Folder) -> None:
    """Write the model's adapter as plain LoRA into `folder`; the model is only read and training can go on.

    Components with c = 0 are dropped, c and the scaling are folded into B; `r = lora_alpha` = the largest rank, so the
    scale is 1 everywhere, for readers of rank_pattern and alpha_pattern and for those that ignore alpha_pattern.
    Modules at rank 0 are left out. A trained head goes along as modules_to_save. `rank_pattern.json` has all ranks.
    `PeftModel.from_pretrained(base, folder)` gives the same logits. ValueError if the model was not made by `wrap`.
    """
    factors = {}
    with torch.no_grad():
        for layer in components_of(model).layers:
            live = layer.c != 0
            B = layer.B[:, live] * (layer.c[live] * layer.scaling)
            factors[layer.name] = (layer.A[live].detach(), B)
    write_lora(cast(PeftModel, unwrap(model)), factors, folder)


def write_lora(model: PeftModel, factors: Factors, folder: Folder) -> None:
    """Write `factors` and the model's fully trained head as an adapter of plain LoRA; see `export_lora`."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    ranks = {name: A.shape[0] for name, (A, _) in factors.items()}
    kept = {name: factor for name, factor in factors.items() if ranks[name]}
    if not kept:
        # PEFT refuses an adapter without targets: one component that adds nothing stands for the empty update.
        name, (A, B) = next(iter(factors.items()))
        kept = {name: (A.new_zeros(1, A.shape[1]), B.new_zeros(B.shape[0], 1))}
    tensors = {}
    for name, (A, B) in kept.items():
        tensors[f"{PEFT_PREFIX}{name}.lora_A.weight"] = A.float().cpu().contiguous().clone()
        tensors[f"{PEFT_PREFIX}{name}.lora_B.weight"] = B.float().cpu().contiguous().clone()
    tensors |= head_tensors(model)
    pattern = {f"^{re.escape(name)}": A.shape[0] for name, (A, _) in kept.items()}
    trained = cast(LoraConfig, model.peft_config[ADAPTER])
    largest = max(pattern.values())
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
    # PEFT makes a set of them, whose order changes from process to process, and writes it as it comes.
    config.target_modules = list(kept)
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(path))
    (path / "rank_pattern.json").write_text(json.dumps(ranks, indent=1) + "\n", encoding="utf-8")


def head_tensors(model: PeftModel) -> dict[str, Tensor]:
    """The fully trained modules (the head), by their names in a saved adapter; copies on the CPU."""
    return {
        f"{name}.{key}": tensor.detach().cpu().contiguous().clone()
        for name, wrapper in _heads(model).items()
        for key, tensor in wrapper.modules_to_save[ADAPTER].state_dict().items()
    }


def _heads(model: PeftModel) -> dict[str, ModulesToSaveWrapper]:
    return {name: module for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)}
