"""The scales c of the components: a parameter of PEFT's lora_A. The weight of lora_B is B diag(c)."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from ..schedule.config import Init


class ScaledLinear(nn.Linear):
    """A linear whose weight (out, r) is computed as B diag(c) from its parameter B and the c of another linear.

    Mao et al. 2024, Eq. 6. A pruned component has c_i = 0, but c_i still gets a gradient. Unlike torch's
    parametrisations, this adds no submodules: Trainer walks over all modules several times in each step.

    PEFT's layers read the weight of lora_A in each forward pass and that of lora_B only to compute with it, so lora_A
    stays a plain linear: that read then costs nothing.
    """

    B: nn.Parameter
    _scaled: tuple[nn.Linear]

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        return self.B * cast(Tensor, self._scaled[0].c)


def scale_components(lora_A: nn.Linear, lora_B: nn.Linear, c: Tensor) -> None:
    """Make c (r,) a parameter of `lora_A` (r, in), and the weight of `lora_B` (out, r) its parameter B times diag(c)."""
    lora_A.register_parameter("c", nn.Parameter(c))
    B = lora_B._parameters.pop("weight")
    lora_B.__class__ = ScaledLinear
    lora_B.register_parameter("B", B)
    # In a tuple, so that it is not a submodule: c keeps one name, `lora_A.<adapter>.c`.
    cast(ScaledLinear, lora_B)._scaled = (lora_A,)


def unscaled(lora_B: nn.Linear) -> nn.Parameter:
    """The trained B (out, r), without the scales."""
    return cast(ScaledLinear, lora_B).B


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
