"""Equivalence within a margin, by two one-sided t tests (Schuirmann 1987)."""

import math

from scipy import stats

from rankscope.experiments.statistics.paired import is_constant

LEVEL = 0.025
"""Each test's level, so that a difference is equivalent exactly if its 95 % interval is within the margin.

The usual 0.05 belongs to a 90 % interval; the page shows 95 % intervals, and a verdict must agree with what is shown.
"""


def tost_p(mean: float, sd: float, n: int, margin: float) -> float:
    """Returns the larger p value of the two tests: that the true difference is above -margin, and below +margin."""
    if is_constant(mean, sd):
        return 0.0 if abs(mean) < margin else 1.0
    error = sd / math.sqrt(n)
    above = stats.t.sf((mean + margin) / error, n - 1)
    below = stats.t.cdf((mean - margin) / error, n - 1)
    return float(max(above, below))
