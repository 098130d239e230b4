"""Correction for planned looks at a growing result: Pocock's group sequential test (Pocock 1977).

All looks are tested at the same nominal level, chosen so that the chance of a false finding at any of them is 5 %. The level
is that of looks after equal numbers of seeds; a t test uses it by its p value, which is the usual approximation.
"""

from functools import cache

import numpy as np
from scipy import optimize, stats

LEVEL = 0.05
_NODES = 100


@cache
def looks_factor(looks: int) -> float:
    """Returns the factor by which to multiply p values for a 5 % level over all looks: 1 for one look, 1.70 for two."""
    if looks == 1:
        return 1.0
    least, most = (
        float(stats.norm.isf(LEVEL / 2)),
        float(stats.norm.isf(LEVEL / 2 / looks)),
    )  # no correction; Bonferroni
    bound = optimize.brentq(lambda z: 1 - _stays_within(z, looks) - LEVEL, least, most)
    return LEVEL / float(2 * stats.norm.sf(bound))


def _stays_within(bound: float, looks: int) -> float:
    """Returns the probability that no |Z_k| exceeds the bound, by the recursion of Armitage, McPherson and Rowe (1969).

    With S_k the sum of k standard normal numbers and Z_k = S_k / sqrt(k), the density of S_k without an earlier excess is
    f_k(s) = integral of f_(k-1)(u) phi(s - u) du over |u| < bound sqrt(k - 1).
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    at, weight = nodes * bound, weights * bound
    density = stats.norm.pdf(at)
    for look in range(2, looks + 1):
        before, of_before = at, weight * density
        at, weight = nodes * bound * look**0.5, weights * bound * look**0.5
        density = stats.norm.pdf(at[:, None] - before) @ of_before
    return float(weight @ density)
