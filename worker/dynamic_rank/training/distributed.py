"""DistributedDataParallel with tensors that change their shape."""

from __future__ import annotations

import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def rebuild_reducer(model: nn.Module) -> None:
    """Recompute the buckets of DistributedDataParallel after a compaction. Does nothing for other models.

    Call it in every process, after the optimizer step. Empty tensors get no gradient, so they are excluded from the
    reduction. Uses DistributedDataParallel's own pickling methods, which create a new reducer for the current tensors.
    """
    while (inner := getattr(model, "_orig_mod", None)) is not None:
        model = inner
    if not isinstance(model, DistributedDataParallel):
        return
    state = model.__getstate__()
    empty = {name for name, parameter in model.module.named_parameters() if parameter.numel() == 0}
    state["parameters_to_ignore"] = set(model.parameters_to_ignore) | empty
    # The old reducer refers to gradient accumulators of the old shapes, so it must be deleted first.
    del model.reducer, model.logger
    model.__setstate__(state)
    for hook, hook_state in model._comm_hooks:
        dist._register_comm_hook(model.reducer, hook_state, hook)  # type: ignore[attr-defined]
