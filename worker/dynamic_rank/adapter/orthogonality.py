"""AdaLoRA's regulariser, which keeps the rows of A and the columns of B orthonormal (Zhang et al. 2023, Eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .components import components_of


def orthogonal_loss(model: nn.Module) -> Tensor:
    """AdaLoRA's orthogonality term (Zhang et al. 2023, Eq. 4), a scalar with gradient.

    The mean of ||A A^T - I||_F and ||B^T B - I||_F over the A (r, in) and B (out, r) of all modules. As in PEFT's
    AdaLoRA, the norms are not squared. Modules at rank 0 are left out; tensors of one shape share batched kernels.

    Raises ValueError if the model was not made by `wrap`.
    """
    components = components_of(model)
    groups: dict[tuple[torch.Size, bool, torch.device], list[Tensor]] = {}
    for layer in components.layers:
        if layer.kept:
            groups.setdefault((layer.A.shape, False, layer.A.device), []).append(layer.A)
            groups.setdefault((layer.B.shape, True, layer.B.device), []).append(layer.B)
    total = torch.zeros((), device=components.layers[0].A.device)
    count = 0
    for (_, is_b, _), tensors in groups.items():
        stack = torch.stack(tensors).float()
        gram = stack.mT @ stack if is_b else stack @ stack.mT  # (modules, r, r)
        off = gram - torch.eye(gram.shape[-1], device=gram.device)
        total = total + torch.linalg.matrix_norm(off).sum().to(total.device)
        count += len(tensors)
    if torch.is_grad_enabled():
        components.regularizer_calls += 1
    result = total / max(count, 1)
    return result if components.term is None else components.term.counted(result)
