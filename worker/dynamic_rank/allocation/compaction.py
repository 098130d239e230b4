"""Compaction: remove pruned components from the tensors, their gradients and the optimizer state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..adapter.components import Components, RankLayer, components_of, resize
from .snapshot import BoolArray

Masks = Mapping[str, Any] | Sequence[Any] | BoolArray


@torch.no_grad()
def compact(model: nn.Module, masks: Masks, optimizer: Any = None) -> None:
    """Shrink A, c, B, their gradients and their optimizer state in place to the components that `masks` keeps.

    The Parameter objects stay the same, so the optimizer still finds them; their data is replaced. The outputs of the
    model do not change if the removed components have c = 0. A module at rank 0 then runs its base layer alone.

    masks      by module name, or one row per module; a row is bool (width,) in ORIGINAL component indices
    optimizer  the one that trains the model, None if there is none

    Raises ValueError, before anything is changed, if a mask is missing or has the wrong length, or if the optimizer state
    can't be compacted: 8-bit and factored optimizers keep states of other shapes. Train with compact=False there.
    """
    components = components_of(model)
    rows = _rows(components, masks)
    plan = [(layer, _positions(layer, row)) for layer, row in zip(components.layers, rows, strict=True)]
    state = {} if optimizer is None else optimizer.state
    for layer, positions in plan:
        if len(positions) < len(layer.kept):
            for parameter, _ in layer.resized():
                _check_state(layer, parameter, state.get(parameter, {}))
    for layer, positions in plan:
        if len(positions) == len(layer.kept):
            continue
        kept = [layer.kept[position] for position in positions]
        for parameter, dim in layer.resized():
            _cut(parameter, dim, positions, state.get(parameter, {}))
        layer.hold(kept)


def _rows(components: Components, masks: Masks) -> list[BoolArray]:
    if isinstance(masks, Mapping):
        missing = [name for name in components.names if name not in masks]
        if missing:
            raise ValueError(f"masks has no entry for module {missing[0]!r}; pass one row for each adapted module.")
        found = [masks[name] for name in components.names]
    else:
        found = list(masks)
    rows = [row.cpu().numpy() if isinstance(row, Tensor) else np.asarray(row) for row in found]
    if len(rows) != len(components.layers) or any(row.shape != (components.width,) for row in rows):
        raise ValueError(
            f"masks must have {len(components.layers)} rows of {components.width} components, in original indices; "
            f"got {len(rows)} rows of lengths {sorted({row.size for row in rows})}."
        )
    return [row.astype(bool) for row in rows]


def _positions(layer: RankLayer, row: BoolArray) -> list[int]:
    return [position for position, original in enumerate(layer.kept) if row[original]]


def _check_state(layer: RankLayer, parameter: nn.Parameter, state: Mapping[str, Any]) -> None:
    for key, value in state.items():
        is_plain = type(value) in (Tensor, nn.Parameter)
        is_count = not isinstance(value, Tensor) or (value.numel() == 1 and value.shape != parameter.shape)
        if not is_count and (not is_plain or value.shape != parameter.shape or not value.is_floating_point()):
            raise ValueError(
                f"The optimizer keeps {key!r} of {layer.name} as {value.dtype} {tuple(value.shape)}, not in the shape "
                f"of its parameter {tuple(parameter.shape)}, so it can't be compacted; set compact=False or use AdamW."
            )


def _cut(parameter: nn.Parameter, dim: int, positions: list[int], state: dict[str, Any]) -> None:
    index = torch.tensor(positions, dtype=torch.long, device=parameter.device)
    shape = parameter.shape
    for key, value in state.items():
        if isinstance(value, Tensor) and value.shape == shape:
            state[key] = value.index_select(dim, index.to(value.device))
    gradient = None if parameter.grad is None else parameter.grad.index_select(dim, index)
    resize(parameter, parameter.data.index_select(dim, index))
    parameter.grad = gradient
