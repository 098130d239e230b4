"""Whether the seeds of a cell found the same ranks: Spearman's correlation, Kendall's W, and a permutation test."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

PERMUTATIONS = 2000


class Agreement(NamedTuple):
    mean: float
    """Of Spearman's correlation, over all pairs of seeds."""
    lowest: float
    highest: float
    kendall_w: float
    p: float


def agreement(ranks: NDArray[np.floating], *, seed: int) -> Agreement | None:
    """Returns the agreement of at least two seeds; None if there is one, or a seed has equal ranks in all modules.

    Shape: ranks (seeds, modules). The p value is the share of permutations of each seed's modules (and the ranks as they
    are) with at least this mean correlation.
    """
    seeds = len(ranks)
    if seeds < 2 or (ranks == ranks[:, :1]).all(axis=1).any():
        return None
    places = stats.rankdata(ranks, axis=1)
    scaled = places - places.mean(axis=1, keepdims=True)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    pairs = [float(scaled[i] @ scaled[j]) for i, j in combinations(range(seeds), 2)]
    observed = _mean_correlation(scaled)
    random = np.random.default_rng(seed)
    shuffled = (random.permuted(scaled, axis=1) for _ in range(PERMUTATIONS))
    # Equal sums differ in the last digits if added in another order.
    as_much = sum(_mean_correlation(each) >= observed - 1e-12 for each in shuffled)
    return Agreement(
        float(np.mean(pairs)), min(pairs), max(pairs), kendall_w(places), (as_much + 1) / (PERMUTATIONS + 1)
    )


def _mean_correlation(scaled: NDArray[np.floating]) -> float:
    """Mean of all pairs' products, from the norm of the sum: |sum|^2 = seeds + 2 sum of all pairs."""
    seeds = len(scaled)
    return float((np.square(scaled.sum(axis=0)).sum() - seeds) / (seeds * (seeds - 1)))


def kendall_w(places: NDArray[np.floating]) -> float:
    """Returns Kendall's coefficient of concordance, corrected for ties (Siegel and Castellan 1988).

    W = 12 S / (m^2 (n^3 - n) - m sum T),  S = sum over modules of (R - mean R)^2,  T = sum over ties of t^3 - t

    Shape: places (m seeds, n modules), as of `scipy.stats.rankdata`.
    """
    m, n = places.shape
    sums = places.sum(axis=0)
    ties = sum(int((counts**3 - counts).sum()) for counts in (np.unique(row, return_counts=True)[1] for row in places))
    return float(12 * np.square(sums - sums.mean()).sum() / (m**2 * (n**3 - n) - m * ties))
