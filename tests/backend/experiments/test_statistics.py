"""Each statistic compared with another way to compute it."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from rankscope.experiments.statistics.agreement import agreement
from rankscope.experiments.statistics.bootstrap import seed_and_row_interval
from rankscope.experiments.statistics.equivalence import LEVEL, tost_p
from rankscope.experiments.statistics.holm import holm
from rankscope.experiments.statistics.looks import looks_factor
from rankscope.experiments.statistics.mcnemar import mcnemar
from rankscope.experiments.statistics.paired import mean_interval, paired_test, rounding_of
from rankscope.experiments.statistics.power import power, seeds_to_exclude, seeds_to_show, smallest_detectable

RANDOM = np.random.default_rng(7)


def test_paired_test_equals_the_test_of_two_related_samples() -> None:
    first, second = RANDOM.normal(0.83, 0.01, 6), RANDOM.normal(0.82, 0.01, 6)
    found = paired_test((first - second).tolist())
    assert found is not None
    expected = stats.ttest_rel(first, second)
    low, high = expected.confidence_interval(0.95)
    assert (found.p, found.low, found.high) == pytest.approx((expected.pvalue, low, high))
    half = stats.t.ppf(0.975, 5) * np.std(first - second, ddof=1) / math.sqrt(6)
    assert found.high - found.mean == pytest.approx(half)


@pytest.mark.parametrize("differences", [[], [0.1], [0.25, 0.25, 0.25], [0.0, 0.0]])
def test_there_is_no_paired_test_of_too_few_or_equal_differences(differences: list[float]) -> None:
    """SciPy has none either: its t is NaN or infinite."""
    assert paired_test(differences) is None
    assert mean_interval(differences) is None


def test_differences_that_vary_by_rounding_only_are_equal() -> None:
    first, second = (np.asarray(side, dtype="f4").astype(float) for side in ([0.2, 0.5, 0.9], [0.1, 0.4, 0.8]))
    differences = (first - second).tolist()
    assert len(set(differences)) > 1
    assert paired_test(differences, rounding=rounding_of(first.tolist(), second.tolist())) is None
    assert paired_test([100.0, 100.01], rounding=rounding_of([100.0, 100.01])) is not None


def test_holm_equals_closed_testing_by_bonferroni() -> None:
    """A hypothesis is rejected if every set that contains it is, each by its smallest p value times its size."""
    p = [0.011, 0.02, 0.004, 0.3, 0.02]
    sets = [chosen for size in range(1, 6) for chosen in combinations(range(5), size)]
    closed = [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(5)]
    assert holm(p) == pytest.approx(closed)
    assert holm([]) == []


def test_level_of_planned_looks_is_pococks_and_equals_a_multivariate_normal_integral() -> None:
    # Pocock (1977), table 1: nominal levels for 5 % over 1 to 5 looks.
    assert [round(0.05 / looks_factor(looks), 4) for looks in range(1, 6)] == [0.05, 0.0294, 0.0221, 0.0182, 0.0158]
    bound = stats.norm.isf(0.05 / looks_factor(2) / 2)
    both = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])
    assert 1 - both.cdf([bound, bound], lower_limit=[-bound, -bound]) == pytest.approx(0.05, abs=1e-5)


def test_equivalence_equals_two_one_sided_tests_and_agrees_with_the_interval() -> None:
    for scale in (0.0005, 0.002, 0.004, 0.01):
        values = RANDOM.normal(0.001, scale, 5)
        found = tost_p(float(values.mean()), float(values.std(ddof=1)), 5, 0.005)
        above = stats.ttest_1samp(values, -0.005, alternative="greater").pvalue
        below = stats.ttest_1samp(values, 0.005, alternative="less").pvalue
        assert found == pytest.approx(max(above, below))
        test = paired_test(values.tolist())
        assert test is not None
        assert (found < LEVEL) == (test.low > -0.005 and test.high < 0.005)


@pytest.mark.parametrize(("difference", "n"), [(1.0, 5), (0.5, 20), (3.0, 2)])
def test_power_equals_the_share_of_simulated_experiments_that_show_the_difference(difference: float, n: int) -> None:
    drawn = np.random.default_rng(1).normal(difference, 1.0, (40_000, n))
    shown = (stats.ttest_1samp(drawn, 0.0, axis=1).pvalue < 0.05).mean()
    assert power(difference, 1.0, n) == pytest.approx(shown, abs=0.01)


def test_smallest_detectable_difference_is_the_one_with_80_percent_power() -> None:
    for n in (2, 3, 5, 50):
        found = smallest_detectable(0.004, n)
        drawn = np.random.default_rng(2).normal(found, 0.004, (20_000, n))
        assert (stats.ttest_1samp(drawn, 0.0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.015)


def test_seeds_to_show_is_the_first_number_that_suffices() -> None:
    found = seeds_to_show(0.005, 0.006)
    assert found is not None
    assert [power(0.005, 0.006, n) >= 0.8 for n in (found - 1, found)] == [False, True]
    assert seeds_to_show(0.0001, 1.0) is None
    assert seeds_to_show(-0.005, 0.006) == found


def test_seeds_to_exclude_is_the_first_number_whose_interval_is_within_the_margin() -> None:
    found = seeds_to_exclude(-0.0015, 0.00286, 0.005)
    assert found == 6
    widths = [stats.t.ppf(0.975, n - 1) * 0.00286 / math.sqrt(n) for n in (5, 6)]
    assert [0.0015 + width < 0.005 for width in widths] == [False, True]
    assert seeds_to_exclude(0.006, 0.001, 0.005) is None


def test_bootstrap_equals_a_loop_that_draws_seeds_and_rows() -> None:
    differences = RANDOM.choice([-1.0, 0.0, 0.0, 1.0], (4, 60)) + RANDOM.normal(0, 0.1, (4, 1))
    random = np.random.default_rng(3)
    means = [differences[np.ix_(random.integers(0, 4, 4), random.integers(0, 60, 60))].mean() for _ in range(4000)]
    low, high = seed_and_row_interval(differences, seed=4)
    spread = np.std(means)
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.15 * spread)
    assert seed_and_row_interval(differences, seed=4) == (low, high)


def test_mcnemar_equals_the_binomial_sum_over_the_rows_that_differ() -> None:
    first = np.array([1, 1, 1, 1, 1, 1, 0, 0, 1, 0], dtype=float)
    second = np.array([0, 0, 0, 0, 1, 1, 0, 1, 0, 0], dtype=float)
    found = mcnemar(first, second)
    assert found is not None
    assert (found.only_first, found.only_second) == (5, 1)
    assert found.p == pytest.approx(2 * sum(math.comb(6, k) for k in (5, 6)) / 2**6)
    assert mcnemar(first, second + 0.5) is None


def test_agreement_equals_spearman_of_each_pair_and_friedman() -> None:
    shared = RANDOM.normal(size=12)
    ranks = np.round(2 * (shared + RANDOM.normal(0, 0.8, (4, 12)))) + 6  # with ties
    found = agreement(ranks, seed=1)
    assert found is not None
    pairs = [stats.spearmanr(ranks[i], ranks[j]).statistic for i, j in combinations(range(4), 2)]
    assert (found.mean, found.lowest, found.highest) == pytest.approx((np.mean(pairs), min(pairs), max(pairs)))
    # Friedman's statistic is m (n - 1) W.
    assert found.kendall_w == pytest.approx(stats.friedmanchisquare(*ranks.T).statistic / (4 * 11))
    assert found.p < 0.01


def test_permutation_test_is_uniform_without_agreement() -> None:
    random = np.random.default_rng(5)
    p = [found.p for _ in range(40) if (found := agreement(random.integers(0, 9, (3, 20)).astype(float), seed=2))]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert agreement(np.full((3, 5), 2.0), seed=1) is None
    assert agreement(np.array([[1.0, 2.0]]), seed=1) is None
