"""What the seeds could have shown: power of the paired t test, by the noncentral t distribution."""

import math
from collections.abc import Callable

from scipy import optimize, special, stats

from rankscope.experiments.statistics.paired import CONFIDENCE

POWER = 0.8
MOST_SEEDS = 1000


def power(difference: float, sd: float, n: int, *, level: float = 1 - CONFIDENCE) -> float:
    """Returns the probability that n pairs show a true difference, two-sided at `level`.

    With d = difference / sd and t' ~ noncentral t(n - 1, d sqrt(n)):  P(t' > t_crit) + P(t' < -t_crit)
    """
    critical, shift = float(stats.t.isf(level / 2, n - 1)), difference / sd * math.sqrt(n)
    # `special.nctdtr` is finite where the tail functions of `stats.nct` are NaN. Far from 0 the wrong tail is 0.
    upper = 1.0 - float(special.nctdtr(n - 1, shift, critical))
    lower = float(special.nctdtr(n - 1, shift, -critical)) if shift < 5 else 0.0
    return min(1.0, upper + lower)


def smallest_detectable(sd: float, n: int, *, level: float = 1 - CONFIDENCE) -> float:
    """Returns the smallest true difference that n pairs with this standard deviation show with 80 % power at `level`."""
    # From 0 to what is certainly detected; 13 standard errors beyond the critical value suffice for n = 2.
    most = (float(stats.t.isf(level / 2, n - 1)) * 3 + 10) * sd / math.sqrt(n)
    return float(optimize.brentq(lambda difference: power(difference, sd, n, level=level) - POWER, 0.0, most))


def seeds_to_show(difference: float, sd: float, *, level: float = 1 - CONFIDENCE) -> int | None:
    """Returns how many pairs show this true difference with 80 % power at `level`; None for more than 1,000."""
    return _fewest(lambda n: power(abs(difference), sd, n, level=level) >= POWER)


def seeds_to_exclude(mean: float, sd: float, margin: float, *, level: float = 1 - CONFIDENCE) -> int | None:
    """Returns how many pairs put the interval at `level` within the margin if mean and sd stay; None if none does."""
    if abs(mean) >= margin:
        return None

    def is_within(n: int) -> bool:
        return abs(mean) + float(stats.t.isf(level / 2, n - 1)) * sd / math.sqrt(n) < margin

    return _fewest(is_within)


def _fewest(suffices: Callable[[int], bool]) -> int | None:
    """Returns the smallest n from 2 to 1,000 that suffices, by bisection: more seeds never suffice less."""
    if not suffices(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high
