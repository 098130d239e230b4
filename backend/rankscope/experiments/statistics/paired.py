"""Differences of two variants, paired by seed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
_ROUNDING = 1e-6
"""Of a metric that was averaged in float32, relative to its size."""


class PairedTest(NamedTuple):
    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float


def paired_test(
    differences: Sequence[float], *, rounding: float = 0.0, level: float = 1 - CONFIDENCE
) -> PairedTest | None:
    """Returns the paired t test and its interval at `level`; None for fewer than two pairs, or if they differ by rounding only."""
    if len(differences) < 2 or is_constant(differences, rounding):
        return None
    values = np.asarray(differences, dtype=float)
    result = stats.ttest_1samp(values, 0.0)
    low, high = result.confidence_interval(1 - level)
    return PairedTest(
        len(values), float(values.mean()), float(values.std(ddof=1)), float(low), float(high), float(result.pvalue)
    )


def rounding_of(*sides: Sequence[float]) -> float:
    """Returns how much equal results may differ by rounding."""
    return _ROUNDING * max((abs(value) for side in sides for value in side), default=0.0)


def is_constant(values: Sequence[float], rounding: float) -> bool:
    """Whether the values differ by no more than rounding."""
    return max(values) - min(values) <= rounding


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Returns the 95 % t interval of a mean; None for fewer than two values, or if all are equal."""
    test = paired_test(values, rounding=rounding_of(values))
    return test and (test.low, test.high)
