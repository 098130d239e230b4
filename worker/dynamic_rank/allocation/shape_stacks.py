"""ShapeStacks: one batched kernel for all tensors of one shape, with the results in the order of the tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class ShapeStacks:
    """Parameters in groups of one shape, dtype and device. Their data may change, but not their shape."""

    def __init__(self, parameters: Sequence[Tensor], device: torch.device) -> None:
        """`device` is that of the results."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for place, parameter in enumerate(parameters):
            groups.setdefault((parameter.shape, parameter.dtype, parameter.device), []).append(place)
        self._groups = [[parameters[place] for place in places] for places in groups.values()]
        grouped = torch.tensor([place for places in groups.values() for place in places])
        self._order = grouped.argsort().to(device)
        self._device = device

    def __call__(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """`function` of each group's stack (m, ...), concatenated to (modules, ...) in the order of the parameters."""
        results = [function(torch.stack(group)).to(self._device) for group in self._groups]
        return results[0] if len(results) == 1 else torch.cat(results).index_select(0, self._order)
