"""wrap: add dynamic-rank components to a model, using PEFT's plain LoRA layers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, cast

import peft
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from .adapter.components import ADAPTER, RankLayer, attach
from .adapter.forward_pass import batch_scales
from .adapter.fused_layer import fuse
from .adapter.heads import head_names, task_name
from .adapter.scaled_linear import initialise
from .adapter.targets import forward_order, target_names
from .saving.peft_methods import install
from .schedule.config import DynamicRankConfig


def wrap(
    model: nn.Module,
    config: DynamicRankConfig,
    task_type: object = None,
    modules_to_save: Iterable[str] | str | None = None,
) -> PeftModel:
    """Freeze `model` and add `config.initial_rank` rank-1 components to each target module (Mao et al. 2024, Eq. 6).

    The wrapped model initially computes the same outputs as `model`, which is changed in place, as PEFT does.

    task_type        as in PEFT ("SEQ_CLS", "CAUSAL_LM", ...); it decides which new head is trained fully and saved with
                     the adapter (see `head_names`)
    modules_to_save  names of the modules to train fully, overriding the choice by task; [] for none

    On the returned model, `save_pretrained` is `export_lora`, and `load_adapter` restores the components of a checkpoint.

    Raises ValueError if a name in `config.target_modules` or `modules_to_save` matches no module, or if a named target
    can't be adapted. Issues a RankWarning about modules that are left out.
    """
    wrapped = wrap_lora(
        model,
        rank=config.width,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=config.target_modules,
        task_type=task_type,
        modules_to_save=modules_to_save,
    )
    layers = []
    for name, lora in lora_layers(wrapped):
        initialise(lora.lora_A[ADAPTER], lora.lora_B[ADAPTER], config.init)
        fuse(lora, ADAPTER)
        layers.append(RankLayer(name, lora, ADAPTER, config.width, list(range(config.width))))
    batch_scales(wrapped, attach(wrapped, layers))
    install(wrapped)
    return wrapped


def wrap_lora(
    model: nn.Module,
    *,
    rank: int,
    lora_alpha: float,
    lora_dropout: float,
    target_modules: Iterable[str] | str | None,
    task_type: object,
    modules_to_save: Iterable[str] | str | None = None,
    **options: Any,
) -> PeftModel:
    """Add PEFT's plain LoRA to the target modules; `options` are passed to LoraConfig. ValueError as in `wrap`."""
    if hasattr(model, "peft_config"):
        raise ValueError("The model already has a PEFT adapter; pass the base model, or merge the adapter first.")
    keep_unpacked(model)
    heads = head_names(model, task_type, modules_to_save)
    names = target_names(model, target_modules, heads)
    modules = dict(model.named_modules())
    config = LoraConfig(
        r=rank,
        lora_alpha=cast(int, lora_alpha),
        lora_dropout=lora_dropout,
        target_modules=names,
        modules_to_save=heads or None,
        task_type=task_name(task_type),
        fan_in_fan_out=any(isinstance(modules[name], Conv1D) for name in names),
        **options,
    )
    with warnings.catch_warnings():
        # PEFT warns if a model mixes Conv1D and Linear, although it handles both.
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        # PEFT 0.21 uses a name that transformers 5.23 deprecates.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        try:
            return cast(PeftModel, get_peft_model(cast(Any, model), config))
        except AttributeError as error:
            if "_kwargs_for_generation" not in str(error):
                raise
            raise ValueError(
                f"PEFT {peft.__version__} can't adapt an encoder-decoder of transformers {transformers.__version__}; "
                "install peft>=0.21."
            ) from error


def keep_unpacked(model: nn.Module) -> None:
    """Stops bitsandbytes from packing 4-bit weights at the first evaluation on a CPU with AVX512-BF16.

    They remain packed, and what is computed with packed weights has no gradient: training would go on without it. Call it
    before the model's first evaluation.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            vars(module)["support_avx512bf16_for_cpu"] = False


def lora_layers(model: PeftModel) -> list[tuple[str, Any]]:
    """PEFT's LoRA layers with their dotted names in the base model, in forward-pass order."""
    base = model.get_base_model()
    found = {name: module for name, module in base.named_modules() if isinstance(module, LoraLayer)}
    return [(name, found[name]) for name in forward_order(list(found))]
