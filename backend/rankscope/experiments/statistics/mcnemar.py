"""McNemar's test of two single runs on the same rows: exact, by the binomial distribution."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats


class McNemar(NamedTuple):
    only_first: int
    only_second: int
    p: float


def mcnemar(first: NDArray[np.floating], second: NDArray[np.floating]) -> McNemar | None:
    """Compares the rows that exactly one of the two gets right; None unless all scores are 0 or 1."""
    if not (np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        return None
    only_first, only_second = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    differing = only_first + only_second
    p = float(stats.binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0
    return McNemar(only_first, only_second, p)
