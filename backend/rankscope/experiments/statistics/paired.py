"""Differences of two variants, paired by seed."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


class PairedTest(NamedTuple):
    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float


def paired_test(differences: Sequence[float]) -> PairedTest | None:
    """Returns the paired t test and its 95 % interval; None for fewer than two pairs.

    Differences that are all equal have an interval without width, and p 0 (or 1 if they are 0).
    """
    if len(differences) < 2:
        return None
    values = np.asarray(differences, dtype=float)
    n, mean, sd = len(values), float(values.mean()), float(values.std(ddof=1))
    if is_constant(mean, sd):
        return PairedTest(n, mean, 0.0, mean, mean, 0.0 if mean else 1.0)
    result = stats.ttest_1samp(values, 0.0)
    low, high = result.confidence_interval(CONFIDENCE)
    return PairedTest(n, mean, sd, float(low), float(high), float(result.pvalue))


def is_constant(mean: float, sd: float) -> bool:
    """Whether the spread is only that of rounding."""
    return sd <= 1e-12 * max(1.0, abs(mean))


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Returns the 95 % t interval of a mean; None for fewer than two values."""
    test = paired_test(values)
    return None if test is None or math.isnan(test.low) else (test.low, test.high)
