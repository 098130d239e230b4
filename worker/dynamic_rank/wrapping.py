"""wrap: put dynamic-rank components on a model, through PEFT's plain LoRA."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, cast

from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from .adapter.components import ADAPTER, RankLayer, attach
from .adapter.heads import head_names, task_name
from .adapter.parametrization import scale_rows
from .adapter.targets import forward_order, target_names
from .saving.peft_methods import install
from .schedule.config import DynamicRankConfig


def wrap(
    model: nn.Module,
    config: DynamicRankConfig,
    task_type: object = None,
    modules_to_save: Iterable[str] | str | None = None,
) -> PeftModel:
    """The model with frozen base weights and initial_rank components on each target; it computes what `model` computed.

    `task_type` as in PEFT ("SEQ_CLS", "CAUSAL_LM", ...): a head that is new for the task is trained fully and saved (see
    `head_names`); `modules_to_save` names such modules yourself, [] for none. `model` is changed in place, as by PEFT;
    the result's `save_pretrained` is `export_lora`, and its `load_adapter` puts a checkpoint's components back.
    ValueError if a name matches nothing, or something that cannot be adapted. RankWarning about what is left out.
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
        scale_rows(lora.lora_A[ADAPTER], lora.lora_B[ADAPTER], config.init)
        layers.append(RankLayer(name, lora, ADAPTER, config.width, list(range(config.width))))
    attach(wrapped, layers)
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
    """The model with PEFT's plain LoRA on the chosen targets; `options` go to LoraConfig."""
    if hasattr(model, "peft_config"):
        raise ValueError("The model already carries a PEFT adapter; pass the bare model, or merge the adapter first.")
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
        # PEFT's advice to people who set fan_in_fan_out by hand, for models that mix Conv1D and Linear.
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        # PEFT 0.21 asks transformers 5.23 by a deprecated name.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        return cast(PeftModel, get_peft_model(cast(Any, model), config))


def lora_layers(model: PeftModel) -> list[tuple[str, Any]]:
    """PEFT's LoRA layers by their dotted name in the base model, in forward-pass order."""
    base = model.get_base_model()
    found = {name: module for name, module in base.named_modules() if isinstance(module, LoraLayer)}
    return [(name, found[name]) for name in forward_order(list(found))]
