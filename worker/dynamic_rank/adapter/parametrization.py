"""diag(c) A: the scales of the components, put on PEFT's lora_A without a layer class of our own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..schedule.config import Init


class ScaledRows(nn.Module):
    """Makes the weight of a linear read as diag(c) A, with A and c both trained (Mao et al. 2024, Eq. 6).

    Shapes: c (r,), A (r, in) -> (r, in). A pruned component has c_i = 0 and still receives a gradient through c_i.
    """

    def __init__(self, c: Tensor) -> None:
        super().__init__()
        self.c = nn.Parameter(c)

    def forward(self, A: Tensor) -> Tensor:
        return self.c.unsqueeze(1) * A


def scale_rows(lora_A: nn.Linear, lora_B: nn.Linear, init: Init) -> None:
    """Parametrise `lora_A.weight` (r, in) as diag(c) A and draw the start values; the module's update starts at 0.

    paper: A and B kaiming-uniform with a = 0, uniform within sqrt(6 / fan_in), c = 0; fan_in is `in` for A and r for B.
    small_random: the same with a = sqrt(5), within 1 / sqrt(fan_in), as PEFT starts A. zero_b: B = 0, c = 1 (LoRA's own
    start). gaussian: A and B normal with standard deviation 0.02, c = 0 (AdaLoRA's).
    """
    with torch.no_grad():
        match init:
            case "paper":
                nn.init.kaiming_uniform_(lora_A.weight)
                nn.init.kaiming_uniform_(lora_B.weight)
            case "small_random":
                nn.init.kaiming_uniform_(lora_B.weight, a=math.sqrt(5))
            case "zero_b":
                nn.init.zeros_(lora_B.weight)
            case "gaussian":
                nn.init.normal_(lora_A.weight, std=0.02)
                nn.init.normal_(lora_B.weight, std=0.02)
    A = lora_A.weight
    start = torch.ones if init == "zero_b" else torch.zeros
    c = start(A.shape[0], dtype=A.dtype, device=A.device)
    parametrize.register_parametrization(lora_A, "weight", ScaledRows(c))
