"""Holm's correction of p values for several comparisons (Holm 1979). SciPy has none; statsmodels is only needed for this."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the adjusted p values, in the order of `p_values`.

    adjusted_(i) = max over j <= i of min(1, (m - j + 1) p_(j)), with p_(1) <= ... <= p_(m)
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(p)
    adjusted[order] = raised
    return [float(each) for each in adjusted]
