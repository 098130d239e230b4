"""Rank correlations from tables of counts equal SciPy's, for every allocation."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from rankscope.comparison.agreement import agreement

Ranks = arrays.arrays(np.uint16, (3, 9), elements=st.integers(0, 5))


@pytest.mark.filterwarnings("ignore:.*constant")
@given(a=Ranks, b=Ranks)
def test_correlations_equal_those_of_scipy(a: Any, b: Any) -> None:
    found = agreement(a, b)
    for place in range(len(a)):
        spearman, kendall = (
            stats.spearmanr(a[place], b[place]).statistic,
            stats.kendalltau(a[place], b[place]).statistic,
        )
        np.testing.assert_allclose(found.spearman[place], spearman, atol=1e-12)
        np.testing.assert_allclose(found.kendall[place], kendall, atol=1e-12)


def test_one_module_has_no_correlation() -> None:
    found = agreement(np.ones((2, 1), np.uint16), np.ones((2, 1), np.uint16))
    assert np.isnan(found.spearman).all()
    assert len(found.kendall) == 2
