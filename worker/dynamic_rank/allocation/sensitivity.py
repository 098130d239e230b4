"""AdaLoRA's importance: smoothed sensitivity times uncertainty of a triplet (Zhang et al. 2023, Eq. 8 to 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..adapter.components import RankLayer

# The tensors of a layer, in the order of their names in a saved state.
_TENSORS: Mapping[str, Callable[[RankLayer], torch.nn.Parameter]] = {
    "A": lambda layer: layer.A,
    "B": lambda layer: layer.B,
    "c": lambda layer: layer.c,
}


@dataclass(eq=False)
class SmoothedSensitivity:
    """Two running means over the optimizer steps for every element w of A, B and c (Zhang et al. 2023, Eq. 8 to 10).

    I = |w dL/dw|,  Ibar = beta1 Ibar + (1 - beta1) I,  Ubar = beta2 Ubar + (1 - beta2) |I - Ibar|,  s(w) = Ibar Ubar
    S_i = s(c_i) + mean_j s(A_ij) + mean_j s(B_ji)

    `groups` are (row numbers, layers of one shape), see layers_by_shape. Takes twice the memory of the adapter.
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
        """Update the means with the gradients of an optimizer step; call it after clipping, before the step.

        A step with an infinite or NaN gradient changes nothing: a gradient scaler skips it too. Raises ValueError if no
        scale has a gradient.
        """
        everyone = [layer for _, layers in self.groups for layer in layers]
        check_gradients(everyone)
        counts = has_finite_gradients([parameter for layer in everyone for parameter, _ in layer.resized()])
        for number, (_, layers) in enumerate(self.groups):
            for name, tensor_of in _TENSORS.items():
                parameters = [tensor_of(layer) for layer in layers]
                gradients = [gradient_or_zero(parameter) for parameter in parameters]
                now = (torch.stack([p.data for p in parameters]).float() * torch.stack(gradients).float()).abs_()
                mean, uncertainty = self._state[f"{number}.{name}.mean"], self._state[f"{number}.{name}.uncertainty"]
                here = counts.to(mean.device)
                mean.copy_(torch.where(here, mean.mul(self.beta1).add_(now, alpha=1 - self.beta1), mean))
                spread = uncertainty.mul(self.beta2).add_((now - mean).abs_(), alpha=1 - self.beta2)
                uncertainty.copy_(torch.where(here, spread, uncertainty))

    @torch.no_grad()
    def scores(self, out: Tensor) -> Tensor:
        """Write the importance S of every component into `out` (modules, width), and return it."""
        for number, (rows, _) in enumerate(self.groups):
            A, B, c = (
                self._state[f"{number}.{name}.mean"] * self._state[f"{number}.{name}.uncertainty"] for name in _TENSORS
            )
            out[rows] = (c + A.mean(dim=-1) + B.mean(dim=-2)).to(out.device)
        return out

    def state_dict(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a `state_dict()`. ValueError if its tensors have other names or shapes."""
        for name, own in self._state.items():
            if name not in state or state[name].shape != own.shape:
                raise ValueError(
                    "The saved sensitivities belong to other modules or another initial_rank; resume with the model and "
                    "the options of the saved run."
                )
            own.copy_(state[name])


def check_gradients(layers: Sequence[RankLayer]) -> None:
    """ValueError if no scale has a gradient. Some may have none, if their module was not used in this step."""
    if all(layer.c.grad is None for layer in layers):
        raise ValueError(
            f"This score needs the gradients of the scales, but none has one (the first module is {layers[0].name}); "
            "call observe_gradients() after backward() and before zero_grad()."
        )


def gradient_or_zero(parameter: torch.nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def has_finite_gradients(parameters: Sequence[torch.nn.Parameter]) -> Tensor:
    """Whether the step counts, as a scalar on the device: all gradients are finite, or some parameters are not.

    If the parameters are finite, a gradient scaler skips a step with an infinite gradient. If they are not, training has
    diverged, and the scores must show it.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return _all_finite(gradients) | ~_all_finite([parameter.data for parameter in parameters])


def _all_finite(tensors: Sequence[Tensor]) -> Tensor:
    device = tensors[0].device
    norms = [norm.to(device, torch.float32) for norm in torch._foreach_norm(list(tensors))]
    return torch.stack(norms).isfinite().all()


def layers_by_shape(layers: Sequence[RankLayer], device: torch.device) -> list[tuple[Tensor, list[RankLayer]]]:
    """Groups of layers of one shape, dtype and device, with their row numbers; a group shares batched kernels."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, layer in enumerate(layers):
        groups.setdefault((layer.A.shape, layer.B.shape, layer.A.dtype, layer.A.device), []).append(row)
    return [(torch.tensor(rows, device=device), [layers[row] for row in rows]) for rows in groups.values()]
