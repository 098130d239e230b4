"""LoraPair: the A and B of one plain LoRA layer, which may be given other values and another rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from .components import ADAPTER, fit_layer, replace_data


@dataclass(eq=False)
class LoraPair:
    """A (r, in) and B (out, r) of the adapted linear `name`; the update is scaling * B A."""

    name: str
    lora: Any

    @property
    def A(self) -> nn.Parameter:
        return cast(nn.Parameter, self.lora.lora_A[ADAPTER].weight)

    @property
    def B(self) -> nn.Parameter:
        return cast(nn.Parameter, self.lora.lora_B[ADAPTER].weight)

    @property
    def rank(self) -> int:
        return int(self.A.shape[0])

    @property
    def scaling(self) -> float:
        return float(self.lora.scaling[ADAPTER])

    @scaling.setter
    def scaling(self, value: float) -> None:
        self.lora.scaling[ADAPTER] = value

    @property
    def cost(self) -> int:
        """Parameters of one component: in + out."""
        return int(self.lora.in_features) + int(self.lora.out_features)

    @torch.no_grad()
    def replace(self, A: Tensor, B: Tensor) -> None:
        """Other values, of any rank, in the same Parameter objects. At rank 0 the layer runs its base layer alone.

        An optimizer's moments of the old shape must be dropped by the caller.
        """
        replace_data(self.A, A)
        replace_data(self.B, B)
        self.fit()

    def fit(self) -> None:
        """Tell PEFT's layer the rank that its tensors have now."""
        fit_layer(self.lora, ADAPTER, self.rank, (self.A, self.B))
