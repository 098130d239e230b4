"""Refuses the arguments of Trainer that dynamic rank does not support, when training begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from ..adapter.components import Components
from ..schedule.config import DynamicRankConfig

_OPTIMIZERS = {
    "lomo": "updates the weights during the backward pass, so the gradients and the step can't be observed",
    "adalomo": "updates the weights during the backward pass, so the gradients and the step can't be observed",
    "galore": "projects gradients of whole weight matrices to a low rank, but the components already have a low rank",
    "apollo": "projects gradients of whole weight matrices to a low rank, but the components already have a low rank",
    "schedule_free": "keeps the evaluated weights in its own state, from which a pruned component would return",
}


def check_sharding(args: TrainingArguments) -> None:
    """ValueError if FSDP or DeepSpeed would shard the tensors, which no method supports."""
    if args.fsdp or args.deepspeed:
        raise ValueError(
            "The methods of dynamic_rank score, prune and save whole tensors, which FSDP and DeepSpeed shard; train in one "
            "process or with DDP."
        )


def check_arguments(args: TrainingArguments, config: DynamicRankConfig) -> None:
    """ValueError, with the fix, if dynamic rank does not support these arguments."""
    check_sharding(args)
    if args.n_gpu > 1:
        raise ValueError(
            f"Trainer would copy the model to {args.n_gpu} GPUs in each step (DataParallel), which dynamic rank does not "
            "support; start one process per GPU with `torchrun --nproc-per-node`, or set CUDA_VISIBLE_DEVICES to one GPU."
        )
    optimizer = str(getattr(args.optim, "value", args.optim))
    for name, reason in _OPTIMIZERS.items():
        if optimizer.startswith(name):
            raise ValueError(f"optim={optimizer!r} {reason}; set optim to 'adamw_torch' or a similar optimizer.")
    if args.fp16 and config.needs_gradients and not args.max_grad_norm:
        raise ValueError(
            f"score={config.score!r} uses the gradients, which stay scaled in fp16 if max_grad_norm=0; set max_grad_norm "
            "(a large value clips nothing), or use bf16."
        )


def check_parameters(components: Components, config: DynamicRankConfig, optimizer: Any, is_scaled: bool) -> None:
    """ValueError if components are sharded or missing in the optimizer, or if c has the wrong learning rate.

    `is_scaled`: the learning rate of c is handled elsewhere, by make_trainer_class.
    """
    for name, parameter in _named(components):
        if type(parameter.data).__name__ == "DTensor" or parameter.is_meta:
            raise ValueError(
                f"{name} is sharded or on the meta device, but dynamic rank needs whole tensors; load the model on one "
                "device, and train in one process or with DDP."
            )
    groups = getattr(optimizer, "param_groups", None)
    if groups is None:
        return
    rates = {id(parameter): float(group["lr"]) for group in groups for parameter in group["params"]}
    missing = [name for name, parameter in _named(components) if id(parameter) not in rates]
    if missing:
        raise ValueError(
            f"The optimizer lacks {len(missing)} tensors of components (the first is {missing[0]}), which would never "
            "train; create it after wrap(), from the parameters of the wrapped model."
        )
    layer = next((layer for layer in components.layers if layer.kept), components.layers[0])
    expected = rates[id(layer.A)] * config.c_lr_scale
    if not is_scaled and config.c_lr_scale != 1 and abs(rates[id(layer.c)] - expected) > 1e-6 * abs(expected):
        raise ValueError(
            f"c_lr_scale={config.c_lr_scale}, but in the optimizer c has the learning rate of A; use "
            "make_trainer_class(Trainer), add a separate group for c to the optimizer, or set c_lr_scale=1."
        )


def without_gradient(components: Components) -> list[str]:
    """Names of the modules whose scales got no gradient, because they were not used. ValueError if none got one."""
    held = [layer for layer in components.layers if layer.kept]
    missing = [layer.name for layer in held if layer.c.grad is None]
    if held and len(missing) == len(held):
        raise ValueError(
            "No component got a gradient in the first step, so at most a head would be trained. With activation "
            "checkpointing, set use_reentrant=False or call model.enable_input_require_grads(); otherwise check that the "
            "loss comes from the wrapped model."
        )
    return missing


def loss_scale(optimizer: Any) -> float:
    """The factor by which a gradient scaler multiplies the loss; 1 without a scaler."""
    scaler = getattr(optimizer, "scaler", None)
    return float(scaler.get_scale()) if scaler is not None and torch.cuda.is_available() else 1.0


def _named(components: Components) -> Iterator[tuple[str, nn.Parameter]]:
    for layer in components.layers:
        for part, parameter in (("A", layer.A), ("c", layer.c), ("B", layer.B)):
            yield f"{part} of {layer.name}", parameter
