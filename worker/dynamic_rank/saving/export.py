"""Export: the trained components as a plain LoRA adapter, in a layout for every reader or in the smallest."""

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

# module name -> (A (rank, in), B (out, rank)) with every scale folded into B: the update is B A
Factors = Mapping[str, tuple[Tensor, Tensor]]


Layout = Literal["uniform", "compact"]


def export_lora(model: nn.Module, folder: Folder, layout: Layout = "uniform") -> None:
    """Write the model's adapter as plain LoRA into `folder`; the model is only read and training can go on.

    Pruned components (c = 0) are dropped, c and the scaling are folded into B, so that the scale alpha / r is 1.

    uniform  every adapted module has the same rank, the largest that is live; the rest of A and B is zero, and there
             are no patterns. Every reader of LoRA loads it alike; it is larger on disk and in memory.
    compact  each module has its own rank, by rank_pattern and alpha_pattern; modules at rank 0 are left out. As small
             as it gets, for readers of both patterns (PEFT, transformers). llama.cpp scales it wrongly without a word,
             and some servers refuse it: docs/method.md has the table.

    A trained head goes along as modules_to_save. `rank_pattern.json` has all ranks in either layout.
    `PeftModel.from_pretrained(base, folder)` gives the same logits. ValueError if the model was not made by `wrap`, or
    for an unknown layout.
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
    """Write `factors` and the model's fully trained head as an adapter of plain LoRA; see `export_lora`."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    ranks = {name: A.shape[0] for name, (A, _) in factors.items()}
    # PEFT refuses rank 0 and an adapter without targets: one component that adds nothing stands for the empty update.
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
    # PEFT makes a set of them, whose order changes from process to process, and writes it as it comes.
    config.target_modules = list(kept)
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(path))
    (path / "rank_pattern.json").write_text(json.dumps(ranks, indent=1) + "\n", encoding="utf-8")


def _padded(factors: Factors, rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    """A (rank, in) and B (out, rank) of every module, the components that it lacks at zero."""
    return {
        name: (nn.functional.pad(A, (0, 0, 0, rank - A.shape[0])), nn.functional.pad(B, (0, rank - B.shape[1])))
        for name, (A, B) in factors.items()
    }


def _without_empty(factors: Factors) -> dict[str, tuple[Tensor, Tensor]]:
    """The modules that have components; one that adds nothing where none has."""
    kept = {name: factor for name, factor in factors.items() if factor[0].shape[0]}
    if not kept:
        name, (A, B) = next(iter(factors.items()))
        kept = {name: (A.new_zeros(1, A.shape[1]), B.new_zeros(B.shape[0], 1))}
    return kept


def head_tensors(model: PeftModel) -> dict[str, Tensor]:
    """The fully trained modules (the head), by their names in a saved adapter; copies on the CPU."""
    return {
        f"{name}.{key}": tensor.detach().cpu().contiguous().clone()
        for name, wrapper in _heads(model).items()
        for key, tensor in wrapper.modules_to_save[ADAPTER].state_dict().items()
    }


def _heads(model: PeftModel) -> dict[str, ModulesToSaveWrapper]:
    return {name: module for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)}
