"""What a search knows about the existing trials, grouped by point."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from rankscope.contract.sweeps.design import SweepTrialStatus, Values

ENDED = frozenset({SweepTrialStatus.done, SweepTrialStatus.pruned, SweepTrialStatus.failed})


@dataclass(frozen=True)
class KnownTrial:
    number: int
    point: int
    seed: int
    status: SweepTrialStatus
    values: Values
    value: float | None = None
    """None without a finite result."""
    is_diverged: bool = False
    rungs: Sequence[float | None] = ()
    """The metric at each rung that it has reached; None if it was not finite."""


@dataclass(frozen=True)
class NewTrial:
    point: int
    seed: int
    values: Values


@dataclass(frozen=True)
class KnownPoint:
    """A point with all of its trials."""

    number: int
    values: Values
    trials: list[KnownTrial] = field(default_factory=list)

    @property
    def results(self) -> list[float]:
        return [one.value for one in self.trials if one.value is not None]

    @property
    def mean(self) -> float | None:
        results = self.results
        return fmean(results) if results else None

    @property
    def is_ended(self) -> bool:
        return all(one.status in ENDED for one in self.trials)

    @property
    def is_pruned(self) -> bool:
        return any(one.status == SweepTrialStatus.pruned for one in self.trials)

    @property
    def is_diverged(self) -> bool:
        return any(one.is_diverged for one in self.trials)

    @property
    def rungs(self) -> list[float | None]:
        """The mean over its trials at each rung that all of them have reached; None if one was not finite.

        Trials that failed before the rung are left out.
        """
        counted = [one for one in self.trials if one.status != SweepTrialStatus.failed or one.is_diverged]
        reached = min((len(one.rungs) for one in counted), default=0)
        means: list[float | None] = []
        for at in range(reached):
            values = [one.rungs[at] for one in counted]
            finite = [value for value in values if value is not None]
            means.append(fmean(finite) if len(finite) == len(values) else None)
        return means


def points_of(trials: Iterable[KnownTrial]) -> list[KnownPoint]:
    """Returns the points by number."""
    found: dict[int, KnownPoint] = {}
    for one in trials:
        found.setdefault(one.point, KnownPoint(one.point, one.values)).trials.append(one)
    return [found[number] for number in sorted(found)]
