"""LoraPair: A and B of one plain LoRA layer, whose values and rank can be replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from .components import ADAPTER, fit_layer, replace_data


@dataclass(eq=False)
class LoraPair:
    """The factors of the adapted linear `name`: A (r, in) and B (out, r). The update of the weight is scaling * B A."""

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
        """Number of parameters of one component: in + out."""
        return int(self.lora.in_features) + int(self.lora.out_features)

    @torch.no_grad()
    def replace(self, A: Tensor, B: Tensor) -> None:
        """Set A (r, in) and B (out, r) to values of any rank r; the Parameter objects stay the same.

        At rank 0 the base layer runs alone. The caller must drop the optimizer's moments of the old shape.
        """
        replace_data(self.A, A)
        replace_data(self.B, B)
        self.fit()

    def fit(self) -> None:
        """Update PEFT's layer to the current rank of the tensors."""
        fit_layer(self.lora, ADAPTER, self.rank, (self.A, self.B))
