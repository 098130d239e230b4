from functools import reduce
from typing import Any

import pytest
import torch

from dynamic_rank import component_norms, component_scores
from dynamic_rank.allocation.scores import column_gram, row_gram
from tests.dynamic_rank.naive_equations import Factors, naive_scores
from tests.dynamic_rank.tiny_models import DEVICE


def test_scores_equal_the_naive_outer_products(factors: Factors) -> None:
    A, B, c = factors(out=7, r=3, inp=5)
    torch.testing.assert_close(component_scores(A, B, c), naive_scores(A, B, c))


def test_norms_equal_the_naive_outer_products(factors: Factors) -> None:
    A, B, c = factors(out=7, r=3, inp=5)
    naive = torch.stack([torch.linalg.matrix_norm(c[i] * torch.outer(B[:, i], A[i])) for i in range(3)])
    torch.testing.assert_close(component_norms(A, B, c), naive)


@pytest.mark.parametrize("seed", range(5))
def test_float32_scores_are_within_a_millionth_of_the_float64_oracle(factors: Factors, seed: int) -> None:
    A, B, c = factors(out=768, r=12, inp=3072, seed=seed)
    A, B, c = A.float(), B.float(), c.float()
    oracle = naive_scores(A.double(), B.double(), c.double())
    error = (component_scores(A, B, c).double() / oracle - 1).abs().max()
    assert error < 1e-6


@pytest.mark.parametrize("name", ["fp32_precision", "mkldnn.matmul.fp32_precision"])
def test_scores_stay_exact_if_products_of_float32_are_rounded(factors: Factors, name: str) -> None:
    *path, name = name.split(".")
    setting: Any = reduce(getattr, path, torch.backends)
    if not hasattr(setting, name):
        pytest.skip("torch has this setting from 2.9 on")
    A, B, c = (tensor.float() for tensor in factors(out=768, r=12, inp=3072))
    oracle = naive_scores(A.double(), B.double(), c.double())
    before, setting.fp32_precision = setting.fp32_precision, "tf32"  # as Trainer does with torch_compile
    try:
        scores = component_scores(A, B, c)
        assert setting.fp32_precision == "tf32"
    finally:
        setting.fp32_precision = before
    assert scores.dtype == torch.float32
    assert (scores.double() / oracle - 1).abs().max() < 1e-6


def test_scores_of_stacked_modules_equal_those_of_each_alone(factors: Factors) -> None:
    modules = [factors(seed=seed) for seed in range(4)]
    A, B, c = (torch.stack(tensors) for tensors in zip(*modules, strict=True))
    together = component_scores(A, B, c)
    torch.testing.assert_close(together, torch.stack([naive_scores(*module) for module in modules]))


def test_scores_of_bf16_factors_are_computed_in_float32(factors: Factors) -> None:
    A, B, c = factors(dtype=torch.bfloat16)
    scores = component_scores(A, B, c)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, naive_scores(A.float(), B.float(), c.float()))


def test_module_without_an_update_scores_zero(factors: Factors) -> None:
    A, B, _ = factors()
    assert component_scores(A, B, torch.zeros(3, dtype=torch.float64)).tolist() == [0, 0, 0]


def test_nan_in_a_factor_is_nan_in_the_scores(factors: Factors) -> None:
    A, B, c = factors()
    A[0, 0] = float("nan")
    assert component_scores(A, B, c).isnan().any()


@pytest.mark.parametrize("size", [300, 512, 1024])
def test_gram_matrices_of_long_vectors_are_exact(size: int) -> None:
    """On a GPU, those of 512 and 1,024 elements are added from parts."""
    A = torch.randn(3, 4, size, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    expected = (A.double() @ A.double().mT).float()
    torch.testing.assert_close(row_gram(A), expected, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(column_gram(A.mT.contiguous()), expected, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(row_gram(A[0]), expected[0], rtol=1e-5, atol=1e-3)
