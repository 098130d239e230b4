"""The planned budget curve of a run, before or during training, including steering. Imports no torch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, Protocol

from .budget import BudgetSchedule

MOST_POINTS = 500
"""Maximum number of points of a planned curve. A chart is hardly wider in pixels."""


class SteeringAct(Protocol):
    """A steering action, which takes effect before the pruning of its step."""

    @property
    def step(self) -> int: ...

    @property
    def action(self) -> Literal["hold", "release", "freeze", "target"]: ...

    @property
    def target_rank(self) -> int | None: ...


@dataclass(frozen=True)
class PlannedCurve:
    """A planned budget curve.

    points         (step, budget) at step 0, after each pruning, and at the last step
    prunings       the pruning steps among the points
    pruning_count  number of all prunings

    If there are too many prunings, `points` and `prunings` have the first and the last, those next to steering actions,
    and an even selection of the others. Every point is exact.
    """

    points: list[tuple[int, int]]
    prunings: list[int]
    pruning_count: int


@dataclass(frozen=True)
class _Stretch:
    """The prunings between two steering actions, and the schedule that applies to them."""

    steps: range
    schedule: BudgetSchedule


def steered_curve(
    schedule: BudgetSchedule, steering: Iterable[SteeringAct], *, most: int = MOST_POINTS
) -> PlannedCurve:
    """The planned curve with at most `most` points. `schedule` does not change.

    While pruning is held, the budget stays constant until the release or the end. Actions after the final mask are
    ignored: training refuses them.
    """
    stretches = _stretches(schedule, steering)
    starts = list(accumulate((len(each.steps) for each in stretches), initial=0))
    points: list[tuple[int, int]] = []
    for index in _chosen(starts, most - 2):
        place = bisect_right(starts, index) - 1
        step = stretches[place].steps[index - starts[place]]
        points.append((step, stretches[place].schedule.budget(step)))
    first = (0, schedule.initial)
    last = (schedule.total_steps, points[-1][1] if points else first[1])
    return PlannedCurve([first, *points, last], [step for step, _ in points], starts[-1])


def last_pruning(schedule: BudgetSchedule, steering: Iterable[SteeringAct], step: int) -> tuple[int, int] | None:
    """(step, budget) of the latest planned pruning up to `step`, considering actions up to then; None before the first."""
    for stretch in reversed(_stretches(schedule, [act for act in steering if act.step <= step])):
        passed = stretch.steps[: bisect_right(stretch.steps, step)]
        if passed:
            return passed[-1], stretch.schedule.budget(passed[-1])
    return None


def _stretches(schedule: BudgetSchedule, steering: Iterable[SteeringAct]) -> list[_Stretch]:
    acts: dict[int, list[SteeringAct]] = {0: []}
    for act in steering:
        if act.step <= schedule.total_steps:
            acts.setdefault(act.step, []).append(act)
    steps = sorted(acts)
    now = copy(schedule)
    stretches: list[_Stretch] = []
    for begin, following in zip(steps, [*steps[1:], schedule.total_steps + 1], strict=True):
        for act in acts[begin]:
            _apply(act, now, stretches)
        if now.is_held:
            continue
        regular = now.regular_prunings
        inside = regular[bisect_left(regular, begin) : bisect_left(regular, following)]
        if inside:
            stretches.append(_Stretch(inside, copy(now)))
        if begin <= now.t_f < following:
            return [*stretches, _Stretch(range(now.t_f, now.t_f + 1), now)]
    return stretches


def _apply(act: SteeringAct, schedule: BudgetSchedule, before: Sequence[_Stretch]) -> None:
    match act.action:
        case "hold":
            schedule.hold()
        case "release":
            schedule.release(act.step)
        case "target":
            schedule.set_target(act.target_rank or schedule.target_rank)
        case "freeze":
            live = before[-1].schedule.budget(before[-1].steps[-1]) if before else schedule.initial
            schedule.settle(act.step, live)


def _chosen(starts: Sequence[int], most: int) -> list[int]:
    """Indices of at most `most` prunings: all, or those at the ends of the stretches and an even selection of the others."""
    count = starts[-1]
    if count <= most:
        return list(range(count))
    edges = [edge for start, end in pairwise(starts) for edge in (start, end - 1)]
    kept = {edges[place] for place in _evenly(len(edges), most // 2)}
    return sorted(kept.union(_evenly(count, most - len(kept))))


def _evenly(count: int, most: int) -> list[int]:
    """At most `most` evenly spaced indices below `count`, including the first and the last."""
    if count <= most:
        return list(range(count))
    return [place * (count - 1) // (most - 1) for place in range(most)]
