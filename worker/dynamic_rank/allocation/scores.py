"""Importance of rank-1 components, computed from r-vectors and (r, r) Gram matrices, without an (out, in) matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def component_scores(A: Tensor, B: Tensor, c: Tensor, eps: float = 1e-8) -> Tensor:
    """Share of each rank-1 component in the norm of its module's update (Mao et al. 2024, Eq. 7).

    s_i = ||c_i b_i a_i^T||_F / (||B diag(c) A||_F + eps)

    Shapes: A (..., r, in), B (..., out, r), c (..., r) -> (..., r); leading dimensions are modules of one shape. Scores
    need not sum to one, because components are not orthogonal. For bf16 and fp16 inputs the result is float32.
    """
    return shares(row_gram(A), column_gram(B), c, eps).to(_work_dtype(A))


@torch.no_grad()
def component_norms(A: Tensor, B: Tensor, c: Tensor) -> Tensor:
    """Norm of each rank-1 component: ||c_i b_i a_i^T||_F = |c_i| ||a_i|| ||b_i||.

    The numerator of Eq. 7 in Mao et al. 2024; shapes and dtypes as in `component_scores`.
    """
    return norms_of_vectors(row_norms(A), column_norms(B), c)


def row_norms(A: Tensor) -> Tensor:
    """||a_i|| of the rows of A (..., r, in): (..., r)."""
    norms: Tensor = torch.linalg.vector_norm(A, dim=-1, dtype=_work_dtype(A))
    return norms


def column_norms(B: Tensor) -> Tensor:
    """||b_i|| of the columns of B (..., out, r): (..., r)."""
    norms: Tensor = torch.linalg.vector_norm(B, dim=-2, dtype=_work_dtype(B))
    return norms


def norms_of_vectors(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """|c_i| ||a_i|| ||b_i|| from the norms a and b of the vectors, all (..., r)."""
    return c.to(a.dtype).abs() * a * b


def row_gram(A: Tensor) -> Tensor:
    """A A^T of A (..., r, in): (..., r, r), in float32, or in float64 for float64."""
    with torch.autocast(A.device.type, enabled=False):
        parts = _split(A.to(_product_dtype(A)), -1)
        return _added(parts @ parts.mT, A)


def column_gram(B: Tensor) -> Tensor:
    """B^T B of B (..., out, r): (..., r, r), in float32, or in float64 for float64."""
    with torch.autocast(B.device.type, enabled=False):
        parts = _split(B.to(_product_dtype(B)), -2)
        return _added(parts.mT @ parts, B)


_PART = 256


def _split(vectors: Tensor, dim: int) -> Tensor:
    """On a GPU, matrices of up to 256 elements along `dim`, in a new third dimension from the end.

    A product of a few long vectors is one tile, which a single multiprocessor would compute.
    """
    size = vectors.shape[dim]
    if not vectors.is_cuda or size <= _PART or size % _PART:
        return vectors
    parts: Tensor = vectors.unflatten(dim, (size // _PART, _PART)).movedim(dim - 1, -3)
    return parts


def _added(products: Tensor, of: Tensor) -> Tensor:
    """The Gram matrices of `of` from those of its parts."""
    return (products.sum(-3) if products.dim() > of.dim() else products).to(_work_dtype(of))


def shares(gram_a: Tensor, gram_b: Tensor, c: Tensor, eps: float) -> Tensor:
    """Eq. 7 from the Gram matrices A A^T and B^T B (..., r, r), and c (..., r): (..., r).

    ||B diag(c) A||^2 = c^T [(A A^T) o (B^T B)] c. This part is computed in float64, except on MPS, which lacks it:
    components may nearly cancel, and the cost is small.
    """
    fine = gram_a.dtype if gram_a.device.type == "mps" else torch.float64
    product, c = gram_a.to(fine) * gram_b, c.to(fine)
    norms = c.abs() * product.diagonal(dim1=-2, dim2=-1).sqrt()
    square = (c * (product @ c.unsqueeze(-1)).squeeze(-1)).sum(-1, keepdim=True)
    return norms / (square.clamp_min(0).sqrt() + eps)


def _work_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _product_dtype(tensor: Tensor) -> torch.dtype:
    """float64 if products of float32 are rounded to TF32 or bf16, which would cause errors of 1e-3 in a score.

    Trainer switches TF32 on with torch_compile. Only the setting is read: changing it would also change the training.
    """
    backend: Any = {"cuda": torch.backends.cuda, "cpu": torch.backends.mkldnn}.get(tensor.device.type)
    settings = getattr(backend, "matmul", None)
    if settings is None:
        return _work_dtype(tensor)
    # From torch 2.9 on; the older function raises an error once the newer setting has been used.
    precision = getattr(settings, "fp32_precision", None) or torch.get_float32_matmul_precision()
    return _work_dtype(tensor) if precision in ("none", "ieee", "highest") else torch.float64
