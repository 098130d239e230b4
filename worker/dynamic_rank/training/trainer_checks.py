"""What Trainer offers and dynamic rank can't work with: refused by name when training begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from ..adapter.components import Components
from ..schedule.config import DynamicRankConfig

_OPTIMIZERS = {
    "lomo": "updates the weights inside the backward pass, so the gradients and the step cannot be observed",
    "adalomo": "updates the weights inside the backward pass, so the gradients and the step cannot be observed",
    "galore": "projects gradients of whole weight matrices to a low rank, and the components are of low rank already",
    "apollo": "projects gradients of whole weight matrices to a low rank, and the components are of low rank already",
    "schedule_free": "keeps the weights that count in its own state, where a pruned component would come back",
}


def check_sharding(args: TrainingArguments) -> None:
    """ValueError if the tensors would be sharded, which no method can work with."""
    if args.fsdp or args.deepspeed:
        raise ValueError(
            "The methods of dynamic_rank score, cut and save whole tensors, which FSDP and DeepSpeed shard; train in one "
            "process or with DDP."
        )


def check_arguments(args: TrainingArguments, config: DynamicRankConfig) -> None:
    """ValueError, with what to do, if a run of dynamic rank with these arguments cannot work."""
    check_sharding(args)
    if args.n_gpu > 1:
        raise ValueError(
            f"Trainer would copy the model to {args.n_gpu} GPUs in each step (DataParallel), which dynamic rank was never "
            "tried with; start one process a GPU with `torchrun --nproc-per-node`, or set CUDA_VISIBLE_DEVICES to one GPU."
        )
    optimizer = str(getattr(args.optim, "value", args.optim))
    for name, reason in _OPTIMIZERS.items():
        if optimizer.startswith(name):
            raise ValueError(
                f"optim={optimizer!r} {reason}; set optim to 'adamw_torch' or another that steps as it does."
            )
    if args.fp16 and config.needs_gradients and not args.max_grad_norm:
        raise ValueError(
            f"score={config.score!r} reads the gradients, which fp16 leaves scaled when max_grad_norm=0; set max_grad_norm "
            "(a large value clips nothing), or bf16."
        )


def check_parameters(components: Components, config: DynamicRankConfig, optimizer: Any, is_scaled: bool) -> None:
    """ValueError if the components are sharded, the optimizer does not hold them, or c has not its learning rate.

    `is_scaled`: whoever makes the optimizer knows of c_lr_scale, as make_trainer_class does.
    """
    for name, parameter in _named(components):
        if type(parameter.data).__name__ == "DTensor" or parameter.is_meta:
            raise ValueError(
                f"{name} is sharded or on the meta device, and dynamic rank scores whole tensors; load the model on one "
                "device, and train in one process or with DDP."
            )
    groups = getattr(optimizer, "param_groups", None)
    if groups is None:
        return
    rates = {id(parameter): float(group["lr"]) for group in groups for parameter in group["params"]}
    missing = [name for name, parameter in _named(components) if id(parameter) not in rates]
    if missing:
        raise ValueError(
            f"The optimizer does not hold {len(missing)} of the components ({missing[0]} first), so they would never "
            "train; make it from the parameters of the wrapped model, after wrap()."
        )
    layer = next((layer for layer in components.layers if layer.kept), components.layers[0])
    expected = rates[id(layer.A)] * config.c_lr_scale
    if not is_scaled and config.c_lr_scale != 1 and abs(rates[id(layer.c)] - expected) > 1e-6 * abs(expected):
        raise ValueError(
            f"c_lr_scale={config.c_lr_scale}, but the optimizer has c at the learning rate of A; use "
            "make_trainer_class(Trainer), give the optimizer a separate group for c, or set c_lr_scale=1."
        )


def without_gradient(components: Components) -> list[str]:
    """Modules whose scales got no gradient in this step: they took no part in it. ValueError if that is all of them."""
    held = [layer for layer in components.layers if layer.kept]
    missing = [layer.name for layer in held if layer.c.grad is None]
    if held and len(missing) == len(held):
        raise ValueError(
            "Not one component got a gradient in the first step, so nothing but a head would be trained. With activation "
            "checkpointing set use_reentrant=False or call model.enable_input_require_grads(); otherwise check that the "
            "loss comes from the wrapped model."
        )
    return missing


def loss_scale(optimizer: Any) -> float:
    """By what a gradient scaler multiplies the loss; 1 without one."""
    scaler = getattr(optimizer, "scaler", None)
    return float(scaler.get_scale()) if scaler is not None and torch.cuda.is_available() else 1.0


def _named(components: Components) -> Iterator[tuple[str, nn.Parameter]]:
    for layer in components.layers:
        for part, parameter in (("A", layer.A), ("c", layer.c), ("B", layer.B)):
            yield f"{part} of {layer.name}", parameter
