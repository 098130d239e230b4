"""AdaLoRA's importance: smoothed sensitivity times its uncertainty, of the whole triplet (Zhang et al. 2023, Eq. 8 to 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .components import RankLayer

# The tensors of a layer, in the order of their names in a state.
_TENSORS: Mapping[str, Callable[[RankLayer], torch.nn.Parameter]] = {
    "A": lambda layer: layer.A,
    "B": lambda layer: layer.B,
    "c": lambda layer: layer.c,
}


@dataclass(eq=False)
class SmoothedSensitivity:
    """Keeps, for every element w of A, B and c, two running means over the optimizer steps.

    I = |w dL/dw|,  Ibar = beta1 Ibar + (1 - beta1) I,  Ubar = beta2 Ubar + (1 - beta2) |I - Ibar|,  s(w) = Ibar Ubar
    S_i = s(c_i) + mean_j s(A_ij) + mean_j s(B_ji)

    `groups` are (row numbers, layers of one shape), as in RankAllocator; memory is twice that of the adapter.
    """

    groups: Sequence[tuple[Tensor, Sequence[RankLayer]]]
    beta1: float
    beta2: float

    def __post_init__(self) -> None:
        self._state: dict[str, Tensor] = {}
        for number, (_, layers) in enumerate(self.groups):
            for name, tensor_of in _TENSORS.items():
                first = tensor_of(layers[0])
                shape = (len(layers), *first.shape)
                for what in ("mean", "uncertainty"):
                    self._state[f"{number}.{name}.{what}"] = torch.zeros(shape, device=first.device)

    @torch.no_grad()
    def observe(self) -> None:
        """Take in the gradients of one optimizer step: after clipping, before the step. ValueError if one is missing."""
        for number, (_, layers) in enumerate(self.groups):
            for name, tensor_of in _TENSORS.items():
                parameters: list[Tensor] = [tensor_of(layer) for layer in layers]
                gradients = [_gradient(layer, tensor_of(layer)) for layer in layers]
                now = (torch.stack(parameters).float() * torch.stack(gradients).float()).abs_()
                mean, uncertainty = self._state[f"{number}.{name}.mean"], self._state[f"{number}.{name}.uncertainty"]
                mean.mul_(self.beta1).add_(now, alpha=1 - self.beta1)
                uncertainty.mul_(self.beta2).add_((now - mean).abs_(), alpha=1 - self.beta2)

    @torch.no_grad()
    def scores(self, out: Tensor) -> Tensor:
        """S of every component, written into `out` (modules, width)."""
        for number, (rows, _) in enumerate(self.groups):
            A, B, c = (
                self._state[f"{number}.{name}.mean"] * self._state[f"{number}.{name}.uncertainty"] for name in _TENSORS
            )
            out[rows] = (c + A.mean(dim=-1) + B.mean(dim=-2)).to(out.device)
        return out

    def state_dict(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state_dict()`. ValueError if it is of other modules."""
        for name, own in self._state.items():
            if name not in state or state[name].shape != own.shape:
                raise ValueError(
                    "The saved sensitivities are of other modules or of another initial_rank; resume with the model "
                    "and the options of the saved run."
                )
            own.copy_(state[name])


def _gradient(layer: RankLayer, parameter: torch.nn.Parameter) -> Tensor:
    if parameter.grad is None:
        raise ValueError(
            f"This score needs the gradient of every component, and {layer.name} has none; call observe_gradients() "
            "after backward() and before zero_grad()."
        )
    return parameter.grad
