"""DEM, the dimensional equilibrium modulator: keeps every component's vectors even (Mao et al. 2024, Eq. 10)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .components import components_of


def dem_loss(model: nn.Module) -> Tensor:
    """R = mean, over all rows of A and columns of B of all modules, of their unbiased variance; a scalar with gradient.

    Add eta * dem_loss(model) to the loss until pruning ends. Modules at rank 0 add nothing. Tensors of one shape are
    stacked, so 72 modules cost a handful of kernels. ValueError if the model was not made by `wrap`.
    """
    components = components_of(model)
    groups: dict[tuple[torch.Size, int, torch.device], list[Tensor]] = {}
    for layer in components.layers:
        if layer.kept:
            groups.setdefault((layer.A.shape, -1, layer.A.device), []).append(layer.A)
            groups.setdefault((layer.B.shape, -2, layer.B.device), []).append(layer.B)
    device = components.layers[0].A.device
    total = torch.zeros((), device=device)
    vectors = 0
    for (_, dim, _), tensors in groups.items():
        # (modules, r, in) over its last, (modules, out, r) over its middle dimension: one variance a vector
        variances = torch.stack(tensors).float().var(dim=dim, unbiased=True)
        total = total + variances.sum().to(device)
        vectors += variances.numel()
    result = total / max(vectors, 1)
    components.dem_value = result.detach()
    if torch.is_grad_enabled():
        components.dem_calls += 1
    return result
