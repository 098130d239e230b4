"""Mean and spread of a metric over the seeds of each group, and whether one group is ahead beyond that spread."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rankscope.comparison.groups import RunGroup

LEVEL = 0.05
"""Largest p value at which a group counts as ahead of another."""


@dataclass(frozen=True)
class Spread:
    """`mean` and `sd` over the runs of a group with a finite value; None without any, or with a single one."""

    n: int
    mean: float | None
    sd: float | None


@dataclass(frozen=True)
class Verdict:
    winner: int | None
    """Index of the group that is ahead of every other one."""
    sentence: str


def spread(values: Sequence[float | None]) -> Spread:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return Spread(0, None, None)
    return Spread(len(finite), float(np.mean(finite)), float(np.std(finite, ddof=1)) if len(finite) > 1 else None)


def verdict(groups: Sequence[RunGroup], values: Sequence[Sequence[float | None]], *, lower_is_better: bool) -> Verdict:
    """Names a winner only if it beats every other group with several runs in a two-sided t-test at 5 %, and has the best mean.

    `values`: of each group, by member. Two groups with the same seeds are paired by seed, others use Welch's test. No
    correction for several comparisons is needed: all of them must hold (intersection-union test).
    """
    spreads = [spread(one) for one in values]
    present = [place for place, one in enumerate(spreads) if one.mean is not None]
    if len(present) < 2:
        return Verdict(None, "Fewer than two have a value.")
    if all(spreads[place].n == 1 for place in present):
        return Verdict(None, "One run each: no spread known, so no winner is marked.")
    sign = -1 if lower_is_better else 1
    best = max(present, key=lambda place: sign * (spreads[place].mean or 0.0))
    tested = [place for place in present if spreads[place].n > 1 and place != best]
    if spreads[best].n < 2 or not tested:
        alone = best if spreads[best].n < 2 else next(place for place in present if place != best)
        return Verdict(None, f"No winner: “{groups[alone].name}” has one run, so its spread is not known.")
    untested = len(present) - 1 - len(tested)
    left_out = f" Not tested: {untested} with one run." if untested else ""
    worst_p, rival, is_paired = 0.0, best, False
    for place in tested:
        p, paired = _p_value(groups, values, best, place)
        if p >= worst_p:
            worst_p, rival, is_paired = p, place, paired
    test = "paired by seed" if is_paired else "Welch's t-test"
    if worst_p < LEVEL:
        sentence = f"“{groups[best].name}” is ahead of every other ({test}, p {_shown(worst_p)} at most).{left_out}"
        return Verdict(best, sentence)
    return Verdict(
        None,
        f"No winner: the best mean, “{groups[best].name}”, is within the spread of “{groups[rival].name}” "
        f"({test}, p {_shown(worst_p)}).{left_out}",
    )


def _p_value(
    groups: Sequence[RunGroup], values: Sequence[Sequence[float | None]], one: int, other: int
) -> tuple[float, bool]:
    """Two-sided p, and whether the runs were paired by seed."""
    first, second = _by_seed(groups[one], values[one]), _by_seed(groups[other], values[other])
    if first is not None and second is not None and first.keys() == second.keys():
        differences = np.array([first[seed] - second[seed] for seed in first])
        return _two_sided(
            float(differences.mean()), float(differences.var(ddof=1)) / len(differences), len(first) - 1
        ), True
    a, b = (np.array([v for v in values[at] if v is not None and math.isfinite(v)]) for at in (one, other))
    va, vb = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1)) if va + vb else len(a) + len(b) - 2
    return _two_sided(float(a.mean() - b.mean()), va + vb, freedom), False


def _by_seed(group: RunGroup, values: Sequence[float | None]) -> dict[int, float] | None:
    """Seed -> value; None if a seed occurs twice."""
    found = {
        seed: value
        for seed, value in zip(group.seeds, values, strict=True)
        if value is not None and math.isfinite(value)
    }
    return found if len(set(group.seeds)) == len(group.seeds) else None


def _two_sided(difference: float, variance_of_mean: float, freedom: float) -> float:
    if variance_of_mean <= 0:
        return 1.0 if difference == 0 else 0.0
    from scipy.special import (
        stdtr,
    )  # imported here: SciPy takes 0.3 s to load, which would delay the start of the server

    return float(2 * stdtr(freedom, -abs(difference) / math.sqrt(variance_of_mean)))


def _shown(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"
