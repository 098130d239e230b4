"""The scales c of the components: a parameter of PEFT's lora_A, and a parametrisation B diag(c) of lora_B's weight."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..schedule.config import Init


class ScaledColumns(nn.Module):
    """Computes the weight of lora_B as B diag(c), where B and c are trained (Mao et al. 2024, Eq. 6).

    Shapes: B (out, r), c (r,) -> (out, r). A pruned component has c_i = 0, but c_i still gets a gradient.

    PEFT's layers read the weight of lora_A in each forward pass and that of lora_B only to compute with it, so lora_A
    stays a plain linear: that read then costs nothing.
    """

    def __init__(self, lora_A: nn.Linear) -> None:
        super().__init__()
        # In a tuple, so that it is not a submodule: c keeps one name, `lora_A.<adapter>.c`.
        self._scaled = (lora_A,)

    def forward(self, B: Tensor) -> Tensor:
        return B * cast(Tensor, self._scaled[0].c)


def scale_components(lora_A: nn.Linear, lora_B: nn.Linear, c: Tensor) -> None:
    """Make c (r,) a parameter of `lora_A` (r, in), and parametrise the weight of `lora_B` (out, r) as B diag(c)."""
    lora_A.register_parameter("c", nn.Parameter(c))
    parametrize.register_parametrization(lora_B, "weight", ScaledColumns(lora_A))


def unscaled(lora_B: nn.Linear) -> nn.Parameter:
    """The trained B (out, r), without the scales."""
    return cast(nn.Parameter, lora_B.parametrizations.weight.original)  # type: ignore[union-attr]


def initialise(lora_A: nn.Linear, lora_B: nn.Linear, init: Init) -> None:
    """Initialise A (r, in) and B (out, r), and scale them by a new c (r,), so that the module's update is 0.

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
    scale_components(lora_A, lora_B, start(A.shape[0], dtype=A.dtype, device=A.device))
