"""ScaleMask: zero scales for pruned components, on the devices of the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..adapter.components import RankLayer
from .snapshot import BoolArray, to_device


class ScaleMask:
    """Multiplies the scales c of the layers by a mask. The mask is copied to their devices once."""

    def __init__(self, layers: Sequence[RankLayer]) -> None:
        self._layers = layers
        self._mask: BoolArray | None = None
        self._rows: list[Tensor] = []

    def apply(self, mask: BoolArray) -> None:
        """Set c = 0 where `mask` (modules, width) is false, with one batched kernel per device.

        A changed mask must be a new array: the same array is not copied again.
        """
        if mask.all():
            return
        c = self._layers[0].c
        if self._mask is not mask or (self._rows[0].dtype, self._rows[0].device) != (c.dtype, c.device):
            self._mask, self._rows = mask, self._on_devices(mask)
        torch._foreach_mul_([layer.c.data for layer in self._layers], self._rows)

    def _on_devices(self, mask: BoolArray) -> list[Tensor]:
        """The row of each layer, on the device and in the dtype of its c."""
        whole = torch.from_numpy(mask)
        places = {(layer.c.device, layer.c.dtype) for layer in self._layers}
        cast = {(device, dtype): to_device(whole, device).to(dtype).unbind() for device, dtype in places}
        return [cast[layer.c.device, layer.c.dtype][row] for row, layer in enumerate(self._layers)]
