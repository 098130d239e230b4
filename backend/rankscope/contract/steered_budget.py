"""The planned budget curve as it is in force: steering a run bends the rest of it.

The training library does the same to its `dynamic_rank.BudgetSchedule`; `tests/backend/contract/test_budget.py` holds both equal.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from rankscope.contract.budget import PruningPhase, PruningWindow, ScheduleShape, planned_budget, regular_prunings
from rankscope.contract.config import Steering

MOST_POINTS = 500
"""Points of a planned curve, its first and its last included. A chart is hardly wider in pixels."""


@dataclass(frozen=True)
class BudgetPlan:
    """What decides the planned curve of a run: `modules` times a rank gives a budget in components."""

    modules: int
    initial_rank: int
    target_rank: int
    window: PruningWindow
    interval: int
    phase: PruningPhase = "window"
    shape: ScheduleShape = "slow_first"

    def budget(self, step: int) -> int:
        b0, bT = self.modules * self.initial_rank, self.modules * self.target_rank
        return planned_budget(step, self.window, b0, bT, self.shape)


@dataclass(frozen=True)
class PlannedCurve:
    """(step, budget) from each pruning on, between the first and the last step; and the steps of the prunings.

    Of more prunings than fit, `points` and `prunings` have the first and the last, those next to acts of steering, and
    evenly chosen ones. Each point is exact; `pruning_count` counts all.
    """

    points: list[tuple[int, int]]
    prunings: list[int]
    pruning_count: int


@dataclass(frozen=True)
class _Stretch:
    """The prunings between two acts of steering, and what decides their budgets."""

    steps: range
    plan: BudgetPlan
    frozen: int | None

    def budget(self, step: int) -> int:
        return self.plan.budget(step) if self.frozen is None else self.frozen


def steered_curve(
    plan: BudgetPlan, total_steps: int, steering: Iterable[Steering], *, most: int = MOST_POINTS
) -> PlannedCurve:
    """The planned curve with the acts of steering in force, in at most `most` points, at the cost of so many points.

    An act comes before the pruning of its own step, as in the training. While pruning is held the budget stays where it
    was, up to the release or the end. Acts after the final mask were refused, and change nothing.
    """
    stretches = _stretches(plan, total_steps, steering)
    starts = list(accumulate((len(each.steps) for each in stretches), initial=0))
    points: list[tuple[int, int]] = []
    for index in _chosen(starts, most - 2):
        stretch = bisect_right(starts, index) - 1
        step = stretches[stretch].steps[index - starts[stretch]]
        points.append((step, stretches[stretch].budget(step)))
    first = (0, plan.modules * plan.initial_rank)
    last = (total_steps, points[-1][1] if points else first[1])
    return PlannedCurve([first, *points, last], [step for step, _ in points], starts[-1])


def last_pruning(plan: BudgetPlan, total_steps: int, steering: Iterable[Steering], step: int) -> tuple[int, int] | None:
    """(step, budget) of the newest planned pruning up to `step`, with what was steered until then; None before the first."""
    for stretch in reversed(_stretches(plan, total_steps, [entry for entry in steering if entry.step <= step])):
        passed = stretch.steps[: bisect_right(stretch.steps, step)]
        if passed:
            return passed[-1], stretch.budget(passed[-1])
    return None


def _stretches(plan: BudgetPlan, total_steps: int, steering: Iterable[Steering]) -> list[_Stretch]:
    acts: dict[int, list[Steering]] = {0: []}
    for entry in steering:
        if entry.step <= total_steps:
            acts.setdefault(entry.step, []).append(entry)
    steps = sorted(acts)
    regular = regular_prunings(plan.window, plan.interval, plan.phase)
    stretches: list[_Stretch] = []
    is_held = False
    frozen: int | None = None
    for begin, following in zip(steps, [*steps[1:], total_steps + 1], strict=True):
        for entry in acts[begin]:
            match entry.action:
                case "hold":
                    is_held = True
                case "release":
                    is_held = False
                    # A window whose end has passed meanwhile ends here.
                    plan = replace(plan, window=replace(plan.window, end=max(plan.window.end, begin)))
                case "target":
                    plan, frozen = replace(plan, target_rank=entry.target_rank or plan.target_rank), None
                case "freeze":
                    is_held, frozen = False, _last_budget(plan, stretches)
                    plan = replace(plan, window=replace(plan.window, end=begin))
        if is_held:
            continue
        end = plan.window.end
        inside = regular[bisect_left(regular, begin) : bisect_left(regular, min(following, end))]
        if inside:
            stretches.append(_Stretch(inside, plan, frozen))
        if begin <= end < following:
            return [*stretches, _Stretch(range(end, end + 1), plan, frozen)]
    return stretches


def _last_budget(plan: BudgetPlan, stretches: Sequence[_Stretch]) -> int:
    if not stretches:
        return plan.modules * plan.initial_rank
    return stretches[-1].budget(stretches[-1].steps[-1])


def _chosen(starts: Sequence[int], most: int) -> list[int]:
    """Which prunings are shown, by their number from 0: all, or the edges of the stretches and evenly chosen others."""
    count = starts[-1]
    if count <= most:
        return list(range(count))
    edges = [edge for start, end in pairwise(starts) for edge in (start, end - 1)]
    kept = {edges[place] for place in _evenly(len(edges), most // 2)}
    return sorted(kept.union(_evenly(count, most - len(kept))))


def _evenly(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [place * (count - 1) // (most - 1) for place in range(most)]
