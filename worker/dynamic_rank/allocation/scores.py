"""Importance of rank-1 components, computed from r-vectors and (r, r) Gram matrices, without an (out, in) matrix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@torch.no_grad()
def component_scores(A: Tensor, B: Tensor, c: Tensor, eps: float = 1e-8) -> Tensor:
    """Share of each rank-1 component in the norm of its module's update (Mao et al. 2024, Eq. 7).

    s_i = ||c_i b_i a_i^T||_F / (||B diag(c) A||_F + eps)

    Shapes: A (..., r, in), B (..., out, r), c (..., r) -> (..., r); leading dimensions are modules of one shape. Scores
    need not sum to one, because components are not orthogonal. For bf16 and fp16 inputs the result is float32.
    """
    norms, whole = _norms(A, B, c)
    shares: Tensor = norms / (whole.unsqueeze(-1) + eps)
    return shares.to(_work_dtype(A))


@torch.no_grad()
def component_norms(A: Tensor, B: Tensor, c: Tensor) -> Tensor:
    """Norm of each rank-1 component: ||c_i b_i a_i^T||_F = |c_i| ||a_i|| ||b_i||.

    The numerator of Eq. 7 in Mao et al. 2024; shapes and dtypes as in `component_scores`.
    """
    work = _work_dtype(A)
    a = torch.linalg.vector_norm(A, dim=-1, dtype=work)
    b = torch.linalg.vector_norm(B, dim=-2, dtype=work)
    norms: Tensor = c.to(work).abs() * a * b
    return norms


def _norms(A: Tensor, B: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """||c_i b_i a_i^T|| of each component (..., r), and ||B diag(c) A|| of each module (...,).

    ||B diag(c) A||^2 = c^T [(A A^T) o (B^T B)] c. The Gram matrices are computed in float32 (float64 for float64 inputs)
    and the (r, r) rest in float64, except on MPS, which lacks it: components may nearly cancel, and the cost is small.
    """
    work = _work_dtype(A)
    A, B = A.to(work), B.to(work)
    with _full_precision(A.device.type):
        gram = (A @ A.mT, B.mT @ B)
    fine = work if A.device.type == "mps" else torch.float64
    gram_a, gram_b, c = gram[0].to(fine), gram[1].to(fine), c.to(fine)
    product = gram_a * gram_b
    norms = c.abs() * product.diagonal(dim1=-2, dim2=-1).sqrt()
    square = (c * (product @ c.unsqueeze(-1)).squeeze(-1)).sum(-1)
    return norms, square.clamp_min(0).sqrt()


def _work_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


@contextmanager
def _full_precision(device_type: str) -> Iterator[None]:
    """Compute matrix products in full float32: TF32 and autocast would cause errors of 1e-3 in a score."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device_type=device_type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
