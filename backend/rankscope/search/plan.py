"""SweepPlan: which trials a sweep needs next, which are stopped, and its progress.

`initial` returns the first trials, `trial_ended` those that are missing now, `losers` those to be stopped, and `progress`
how far it is. All are computed from the design and the existing trials, so that a repeated call plans nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rankscope.contract.sweeps.design import MOST_TRIALS, SweepDesign, SweepTrialStatus
from rankscope.search import halving
from rankscope.search.kinds import KINDS
from rankscope.search.trials import ENDED, KnownPoint, KnownTrial, NewTrial, points_of


@dataclass(frozen=True)
class Progress:
    ended: int
    total: int
    """Number of trials that it will have."""
    is_done: bool


class SweepPlan:
    def __init__(self, design: SweepDesign) -> None:
        self._design = design
        self._search = KINDS[design.search.kind](design)

    def initial(self, room: int) -> list[NewTrial]:
        return self.trial_ended([], room)

    def trial_ended(self, trials: Sequence[KnownTrial], room: int) -> list[NewTrial]:
        """Returns at most `room` trials that are missing now. `trials`: all that exist, ended or not."""
        points = points_of(trials)
        if self._reached_target(points) is not None:
            return []
        room = min(room, self._most_trials - len(trials))
        new: list[NewTrial] = []
        for point in points:
            new += self._of_point(point)
        while len(new) < room:
            values = self._search.next_values(points)
            if values is None:
                break
            point = KnownPoint(len(points) + 1, values)
            new += self._of_point(point)
            # For the next point of this call, it counts as training.
            running = SweepTrialStatus.running
            point.trials.extend(KnownTrial(0, point.number, seed, running, values) for seed in self._design.seeds)
            points.append(point)
        return new[: max(0, room)]

    def losers(self, trials: Sequence[KnownTrial]) -> list[KnownTrial]:
        """Returns the running trials of points that are among the worse ones at a rung."""
        if self._design.search.kind != "halving":
            return []
        worse = halving.losers(self._design, points_of(trials))
        return [one for point in worse for one in point.trials if one.status not in ENDED]

    def progress(self, trials: Sequence[KnownTrial]) -> Progress:
        ended = sum(one.status in ENDED for one in trials)
        is_done = ended == len(trials) and not self.trial_ended(trials, 1)
        return Progress(ended, len(trials) if is_done else max(len(trials), self.expected), is_done)

    def reason(self, trials: Sequence[KnownTrial]) -> str | None:
        """Returns why a completed sweep ended before the end of its search; None if it didn't."""
        best = self._reached_target(points_of(trials))
        if best is not None:
            return f"Point {best.number} has reached the target {self._design.stop.target:g}."
        if self._most_trials <= len(trials) < self._search.size * len(self._design.seeds):
            return f"It has reached its limit of {len(trials):,} runs."
        return None

    @property
    def points(self) -> int:
        return self._search.size

    @property
    def expected(self) -> int:
        """Returns the number of trials of the whole search, without what halving saves."""
        return min(self._search.size * len(self._design.seeds), self._most_trials)

    @property
    def _most_trials(self) -> int:
        return min(self._design.stop.runs or MOST_TRIALS, MOST_TRIALS)

    def _of_point(self, point: KnownPoint) -> list[NewTrial]:
        """The missing seeds of a point, unless halving has stopped it."""
        if point.is_pruned:
            return []
        known = {one.seed for one in point.trials}
        return [NewTrial(point.number, seed, point.values) for seed in self._design.seeds if seed not in known]

    def _reached_target(self, points: Sequence[KnownPoint]) -> KnownPoint | None:
        target, lower = self._design.stop.target, self._design.metric.lower_is_better
        if target is None:
            return None
        for point in points:
            mean = point.mean
            is_whole = len(point.results) >= len(self._design.seeds)
            if mean is not None and is_whole and (mean <= target if lower else mean >= target):
                return point
        return None
