"""Equivalence within a margin, by two one-sided t tests (Schuirmann 1987)."""

import math

from scipy import stats

LEVEL = 0.025
"""Each test's level, so that a difference is equivalent exactly if its 95 % interval is within the margin.

The usual 0.05 belongs to a 90 % interval; the page shows 95 % intervals, and a verdict must agree with what is shown.
"""


def tost_p(mean: float, sd: float, n: int, margin: float) -> float:
    """Returns the larger p value of the two tests: that the true difference is above -margin, and below +margin."""
    error = sd / math.sqrt(n)
    above = stats.t.sf((mean + margin) / error, n - 1)
    below = stats.t.cdf((mean - margin) / error, n - 1)
    return float(max(above, below))
