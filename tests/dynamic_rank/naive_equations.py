"""The equations of the paper, written as simply as possible, slow and independent of the library."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Factors = Callable[..., tuple[Tensor, Tensor, Tensor]]


def naive_scores(A: Tensor, B: Tensor, c: Tensor, eps: float = 1e-8) -> Tensor:
    """Eq. 7, from outer products."""
    whole = torch.linalg.matrix_norm(B @ torch.diag(c) @ A)
    parts = [torch.linalg.matrix_norm(c[i] * torch.outer(B[:, i], A[i])) for i in range(len(c))]
    shares: Tensor = torch.stack(parts) / (whole + eps)
    return shares


def naive_budget(step: int, b0: int, bT: int, t_i: int, t_f: int, kind: str = "slow_first") -> int:
    """Eq. 9, in exact fractions, rounded up to whole components."""
    if step <= t_i:
        return b0
    if step >= t_f:
        return bT
    x = Fraction(step - t_i, t_f - t_i)
    curve = {
        "slow_first": b0 - (b0 - bT) * x**3,
        "fast_first": bT + (b0 - bT) * (1 - x) ** 3,
        "linear": b0 - (b0 - bT) * x,
    }
    return math.ceil(curve[kind])


def naive_keep(ema: Tensor, budget: int) -> npt.NDArray[np.bool_]:
    """The `budget` highest scores; of equal ones the earlier component."""
    flat = ema.flatten().tolist()
    order = sorted(range(len(flat)), key=lambda i: (-flat[i], i))
    mask = np.zeros(len(flat), dtype=bool)
    mask[order[:budget]] = True
    return mask.reshape(ema.shape)


def naive_authors_keep(ema: Tensor, budget: int) -> npt.NDArray[np.bool_]:
    """The authors' program: every score up to the threshold is pruned, and at least one component."""
    threshold = torch.kthvalue(ema.flatten(), max(ema.numel() - budget, 1)).values
    return (ema > threshold).cpu().numpy()
