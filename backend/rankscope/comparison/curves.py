"""Curves of several runs on one axis: thinned for a chart, or mean and spread over the seeds of a group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlmodel import Session

from rankscope.comparison.axes import CurveAxis, places_on
from rankscope.comparison.groups import RunGroup
from rankscope.contract.config import RunConfig
from rankscope.contract.tables import Run
from rankscope.store.history.points import Floats, Points
from rankscope.store.history.series import Curve, read_curves

_DIGITS = 6
_MOST_BINS = 200
_FEWEST_SMOOTHED = 40


@dataclass(frozen=True)
class ComparedCurve:
    """One metric of a group. `x` and `values` have six significant digits, for drawing."""

    group: int
    name: str
    x: Floats
    values: Floats
    sd: Floats | None
    """Standard deviation over the runs; NaN where only one run has a value. None for a single run."""
    runs: list[int] | None
    """How many runs the value is a mean of. None for a single run."""
    total_points: int


@dataclass(frozen=True)
class Unplaced:
    run_id: str
    reason: str


def compared_curves(
    session: Session,
    runs: Sequence[Run],
    configs: Sequence[RunConfig],
    groups: Sequence[RunGroup],
    names: Sequence[str],
    axis: CurveAxis,
    *,
    points: int,
    smooth: float = 0.0,
) -> tuple[list[ComparedCurve], list[Unplaced]]:
    """The curves of each metric and group, and the runs that have no position on the axis.

    `smooth`: weight of the moving average over each run's points, 0 <= smooth < 1.
    """
    curves: list[ComparedCurve] = []
    unplaced: list[Unplaced] = []
    for place, group in enumerate(groups):
        found: dict[str, list[tuple[Floats, Floats, int]]] = {}
        is_mean = len(group.members) > 1
        for member in group.members:
            run = runs[member]
            present = [name for name in names if name in run.metrics]
            places = places_on(session, run, configs[member], axis)
            if isinstance(places, str):
                unplaced.append(Unplaced(run.id, places))
                continue
            # A mean needs every point: the reduced form keeps extremes.
            for name, of, total in _read(session, run, present, None if is_mean else points, smooth):
                found.setdefault(name, []).append((places(of), of.values, total))
        for name, parts in found.items():
            curves.append(_mean(place, name, parts, points) if is_mean else _single(place, name, parts[0]))
    return sorted(curves, key=lambda curve: names.index(curve.name)), unplaced


def _read(
    session: Session, run: Run, names: list[str], limit: int | None, smooth: float
) -> list[tuple[str, Points, int]]:
    """Name, points and their number before reduction. Curves of a few points are not smoothed."""
    if not names:
        return []
    curves = read_curves(session, run.id, names, limit=limit, smooth=smooth)
    return [(name, _shown(curve), curve.total) for name, curve in curves.items() if len(curve.points)]


def _shown(curve: Curve) -> Points:
    if curve.smoothed is None or curve.total <= _FEWEST_SMOOTHED:
        return curve.points
    return Points(curve.points.steps, curve.points.times, curve.smoothed)


def _single(group: int, name: str, part: tuple[Floats, Floats, int]) -> ComparedCurve:
    x, values, total = part
    return ComparedCurve(group, name, significant(x), significant(values), None, None, total)


def _mean(group: int, name: str, parts: Sequence[tuple[Floats, Floats, int]], points: int) -> ComparedCurve:
    first = parts[0][0]
    if all(np.array_equal(x, first) for x, _, _ in parts[1:]) and len(first) <= points:
        grid, values = first, np.stack([value for _, value, _ in parts])
    else:
        grid, values = _binned(parts, min(points, _MOST_BINS))
    values = np.where(np.isfinite(values), values, np.nan)
    n = np.isfinite(values).sum(axis=0)
    kept = n > 0
    grid, values, n = grid[kept], values[:, kept], n[kept]
    mean = np.nansum(values, axis=0) / n
    squares = np.nansum((values - mean) ** 2, axis=0)
    sd = np.sqrt(np.where(n > 1, squares / np.maximum(n - 1, 1), np.nan))
    if first[0] > first[-1]:  # live parameters fall during the training
        grid, mean, sd, n = (column[:: 1 if grid[0] > grid[-1] else -1] for column in (grid, mean, sd, n))
    total = max(total for _, _, total in parts)
    return ComparedCurve(group, name, significant(grid), significant(mean), significant(sd), n.tolist(), total)


def _binned(parts: Sequence[tuple[Floats, Floats, int]], most: int) -> tuple[Floats, Floats]:
    """Centres of equal bins, and the mean of each run within them, interpolated over bins without points."""
    low, high = min(float(x.min()) for x, _, _ in parts), max(float(x.max()) for x, _, _ in parts)
    count = max(1, min(most, min(len(x) for x, _, _ in parts)))
    width = (high - low) / count or 1.0
    centres: Floats = np.asarray(low + width * (np.arange(count) + 0.5), np.float64)
    rows = []
    for x, values, _ in parts:
        is_finite = np.isfinite(values)
        place = np.minimum(((x[is_finite] - low) / width).astype(int), count - 1)
        n = np.bincount(place, minlength=count)
        total = np.bincount(place, values[is_finite], minlength=count)
        own = np.flatnonzero(n)
        rows.append(
            np.interp(centres, centres[own], total[own] / n[own], left=np.nan, right=np.nan)
            if len(own)
            else np.full(count, np.nan)
        )
    return centres, np.stack(rows)


def significant(values: Floats, digits: int = _DIGITS) -> Floats:
    """Rounds to significant digits: a chart doesn't show more, and the response is a third as long."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = np.floor(np.log10(np.abs(values)))
        factor = 10.0 ** np.clip(digits - 1 - size, -300, 300)
        shorter = np.where(factor >= 1, np.round(values * factor) / factor, np.round(values * factor) * (1 / factor))
    return np.where(np.isfinite(shorter) & (values != 0), shorter, values)
