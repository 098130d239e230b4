"""The scales c of the components, as a parametrisation diag(c) A of the weight of PEFT's lora_A."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..schedule.config import Init


class ScaledRows(nn.Module):
    """Computes the weight of a linear as diag(c) A, where A and c are trained (Mao et al. 2024, Eq. 6).

    Shapes: c (r,), A (r, in) -> (r, in). A pruned component has c_i = 0, but c_i still gets a gradient.
    """

    def __init__(self, c: Tensor) -> None:
        super().__init__()
        self.c = nn.Parameter(c)

    def forward(self, A: Tensor) -> Tensor:
        return self.c.unsqueeze(1) * A


def scale_rows(lora_A: nn.Linear, lora_B: nn.Linear, init: Init) -> None:
    """Parametrise `lora_A.weight` (r, in) as diag(c) A and initialise A, B and c, so that the module's update is 0.

    paper         A and B uniform within sqrt(6 / fan_in) (kaiming-uniform with a = 0), c = 0; fan_in is `in` for A and r
                  for B (the authors' program)
    small_random  A and B uniform within 1 / sqrt(fan_in) (a = sqrt(5), as PEFT initialises A), c = 0
    zero_b        A within 1 / sqrt(fan_in), B = 0, c = 1 (LoRA)
    gaussian      A and B normal with standard deviation 0.02, c = 0 (AdaLoRA)
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
