"""DistributedDataParallel and tensors that change their shape."""

from __future__ import annotations

import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def rebuild_reducer(model: nn.Module) -> None:
    """Make DistributedDataParallel recompute its buckets after tensors were cut; other modules are unchanged.

    Empty tensors get no gradient, so they leave the reduction. Call it on every rank, after the optimizer step. This
    goes through DistributedDataParallel's own pickling protocol, which makes a new reducer for the module's current tensors.
    """
    while (inner := getattr(model, "_orig_mod", None)) is not None:
        model = inner
    if not isinstance(model, DistributedDataParallel):
        return
    state = model.__getstate__()
    empty = {name for name, parameter in model.module.named_parameters() if parameter.numel() == 0}
    state["parameters_to_ignore"] = set(model.parameters_to_ignore) | empty
    # The old reducer holds the gradient accumulators, which remember the old shapes: it must be gone first.
    del model.reducer, model.logger
    model.__setstate__(state)
    for hook, hook_state in model._comm_hooks:
        dist._register_comm_hook(model.reducer, hook_state, hook)  # type: ignore[attr-defined]
