"""Interval of a difference over seeds and evaluation rows, by a two-way bootstrap of the scores.

Each resample draws seeds and rows, both with replacement; a drawn row counts for every drawn seed and for both variants,
because the evaluation rows are the same. `scipy.stats.bootstrap` resamples along one axis only.
"""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
_VALUES_AT_ONCE = 2_000_000


def seed_and_row_interval(differences: NDArray[np.floating], *, seed: int, level: float = 0.05) -> tuple[float, float]:
    """Returns the percentile interval at `level` of the mean of `differences`.

    Shape: differences (seeds, rows) is score of the variant - score of the reference.
    """
    seeds, rows = differences.shape
    random = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    block = max(1, _VALUES_AT_ONCE // rows)
    for start in range(0, RESAMPLES, block):
        n = min(block, RESAMPLES - start)
        seed_weights = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=n) / seeds  # (n, seeds)
        row_weights = random.multinomial(rows, np.full(rows, 1 / rows), size=n) / rows  # (n, rows)
        means[start : start + n] = np.einsum("nr,nr->n", seed_weights @ differences, row_weights)
    low, high = np.percentile(means, [50 * level, 100 - 50 * level])
    return float(low), float(high)
