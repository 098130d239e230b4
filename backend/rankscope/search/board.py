"""The leaderboard of a sweep: each point with the statistics over its seeds, the best first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev

from rankscope.contract.sweeps.design import SweepDesign, SweepTrialStatus
from rankscope.search.trials import KnownPoint, KnownTrial, points_of


@dataclass(frozen=True)
class Standing:
    """A point on the leaderboard. `rank` is None without a result, and if halving has stopped the point.

    Points with equal means share a rank, and the next rank is as if they had different ones: 1, 1, 3.
    """

    rank: int | None
    point: KnownPoint
    status: SweepTrialStatus
    n: int
    mean: float | None
    median: float | None
    sd: float | None
    """Standard deviation over the seeds, with n - 1; None with fewer than two."""
    min: float | None
    max: float | None
    rung: int | None
    """The last rung that it has reached, from 0."""
    rung_value: float | None


def leaderboard(design: SweepDesign, trials: Sequence[KnownTrial]) -> list[Standing]:
    """A point of which a seed diverged comes after all others with a result; then running ones, and then
    stopped ones, both by rung.
    """
    sign = 1 if design.metric.lower_is_better else -1

    def order(one: Standing) -> tuple[float, ...]:
        if one.mean is not None and one.status != SweepTrialStatus.pruned:
            return (0, one.point.is_diverged, sign * _without_rounding_errors(one.mean), one.point.number)
        at = _AFTER[one.status]
        if one.rung is None or one.rung_value is None:
            return (at, 0, 0, one.point.number)
        return (at, -1 - one.rung, sign * one.rung_value, one.point.number)

    standings = sorted((_standing(point) for point in points_of(trials)), key=order)
    first: dict[tuple[float, ...], int] = {}
    return [
        replace(one, rank=first.setdefault(order(one)[:-1], place) if order(one)[0] == 0 else None)
        for place, one in enumerate(standings, start=1)
    ]


def _without_rounding_errors(mean: float) -> float:
    """Means of the same results in another order, or of 0.1, 0.2, 0.3 and 0.2, 0.2, 0.2, may differ in the last digit."""
    return float(f"{mean:.12g}")


_AFTER = {
    SweepTrialStatus.running: 1,
    SweepTrialStatus.done: 1,
    SweepTrialStatus.pruned: 2,
    SweepTrialStatus.planned: 3,
    SweepTrialStatus.failed: 4,
}


def _standing(point: KnownPoint) -> Standing:
    values = point.results
    rungs = point.rungs
    return Standing(
        rank=None,
        point=point,
        status=status_of(point),
        n=len(values),
        mean=fmean(values) if values else None,
        median=median(values) if values else None,
        sd=stdev(values) if len(values) > 1 else None,
        min=min(values, default=None),
        max=max(values, default=None),
        rung=len(rungs) - 1 if rungs else None,
        rung_value=rungs[-1] if rungs else None,
    )


def status_of(point: KnownPoint) -> SweepTrialStatus:
    """Returns the status of a point, from those of its trials."""
    every = {one.status for one in point.trials}
    for status in (SweepTrialStatus.running, SweepTrialStatus.pruned, SweepTrialStatus.planned, SweepTrialStatus.done):
        if status in every:
            return status
    return SweepTrialStatus.failed
