"""The plan of a sweep, driven by a simulation: no database, no clock, no training."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rankscope.contract.sweeps.design import (
    ParameterSpace,
    Search,
    SweepDesign,
    SweepMetric,
    SweepTrialStatus,
    Values,
)
from rankscope.search.board import leaderboard
from rankscope.search.kinds import grid_points
from rankscope.search.plan import SweepPlan
from rankscope.search.spaces import on_range
from rankscope.search.trials import ENDED, KnownTrial

Space = ParameterSpace
RATE = "training.learning_rate"
RANK = "method.target_rank"
KINDS: list[dict[str, Any]] = [
    {"kind": "grid"},
    {"kind": "random", "points": 12},
    {"kind": "tpe", "points": 15, "startup": 5},
    {"kind": "halving", "points": 12},
]


def design(search: dict[str, Any], **changes: Any) -> SweepDesign:
    is_grid = search["kind"] == "grid"
    fields: dict[str, Any] = {
        "config": {"method": {"name": "dynamic_rank"}},
        "parameters": {
            RATE: Space(low=1e-4, high=1e-1, scale="log", count=4 if is_grid else None),
            RANK: Space(low=1, high=8, count=3 if is_grid else None),
        },
        "integers": [RANK],
        "search": Search(**search).resolved(),
        "seeds": [0, 1],
        "metric": SweepMetric(name="eval_accuracy", title="accuracy"),
        "rungs": [10, 30] if search["kind"] == "halving" else [],
    }
    return SweepDesign(**fields | changes)


def score(values: Values, seed: int = 0, step: int = 100) -> float:
    """Best at a rate of 0.01 and a high rank; it grows with the steps, and a seed changes it little."""
    rate, rank = values[RATE], values[RANK]
    assert isinstance(rate, float)
    assert isinstance(rank, int)
    return 1 - abs(math.log10(rate / 1e-2)) / 4 + rank / 100 + seed / 1000 - 1 / (1 + step)


class Simulation:
    """Workers that train a sweep's trials, `slots` at a time, in steps of 10 up to 100."""

    def __init__(
        self, of: SweepDesign, *, slots: int = 3, fails: Callable[[KnownTrial], bool] = lambda _: False
    ) -> None:
        self.design, self.slots, self.fails = of, slots, fails
        self.trials: list[KnownTrial] = []
        self.steps: dict[int, int] = {}
        self.dice = random.Random(1)

    @property
    def plan(self) -> SweepPlan:
        return SweepPlan(self.design)

    def launch(self) -> int:
        room = self.slots - sum(one.status not in ENDED for one in self.trials)
        new = self.plan.trial_ended(self.trials, room) if self.trials else self.plan.initial(room)
        assert len(new) <= room
        for one in new:
            number = len(self.trials) + 1
            running = SweepTrialStatus.running
            self.trials.append(KnownTrial(number, one.point, one.seed, running, one.values))
            self.steps[number] = 0
        return len(new)

    def train(self) -> bool:
        """Trains one of the running trials a little; halving may then stop some. Returns whether one was running."""
        running = [one for one in self.trials if one.status == SweepTrialStatus.running]
        if not running:
            return False
        one = self.dice.choice(running)
        step = self.steps[one.number] = self.steps[one.number] + 10
        if self.fails(one):
            self._set(one, status=SweepTrialStatus.failed)
            return True
        if step in self.design.rungs:
            one = self._set(one, rungs=[*one.rungs, score(one.values, one.seed, step)])
        if step == 100:
            self._set(one, status=SweepTrialStatus.done, value=score(one.values, one.seed))
        for loser in self.plan.losers(self.trials):
            self._set(loser, status=SweepTrialStatus.pruned)
        return True

    def run(self) -> "Simulation":
        while True:
            self.launch()
            if not self.train():
                break
        assert self.plan.progress(self.trials).is_done
        assert self.launch() == 0
        return self

    def _set(self, one: KnownTrial, **changes: Any) -> KnownTrial:
        self.trials[one.number - 1] = changed = replace(one, **changes)
        return changed

    @property
    def points(self) -> dict[int, Values]:
        return {one.point: one.values for one in self.trials}


@pytest.mark.parametrize("search", KINDS, ids=lambda one: one["kind"])
def test_every_kind_trains_each_point_at_each_seed_once_within_its_ranges(search: dict[str, Any]) -> None:
    done = Simulation(design(search)).run()
    expected = 12 if search["kind"] == "grid" else search["points"]
    pruned = {one.point for one in done.trials if one.status == SweepTrialStatus.pruned}
    trained = [(one.point, one.seed) for one in done.trials]
    assert len(set(trained)) == len(trained)
    # Points that halving has stopped get no more seeds.
    assert {(point, seed) for point in range(1, expected + 1) for seed in (0, 1) if point not in pruned} <= set(trained)
    assert bool(pruned) == (search["kind"] == "halving")
    assert done.points.keys() == set(range(1, expected + 1))
    assert done.plan.expected == 2 * expected
    every = list(done.points.values())
    assert all(every.count(values) == 1 for values in every)
    for values in every:
        assert 1e-4 <= values[RATE] <= 1e-1  # type: ignore[operator]
        assert values[RANK] in range(1, 9)


@pytest.mark.parametrize("search", KINDS, ids=lambda one: one["kind"])
def test_the_same_trials_give_the_same_plan(search: dict[str, Any]) -> None:
    done = Simulation(design(search)).run()
    half = done.trials[: len(done.trials) // 2]
    assert SweepPlan(done.design).trial_ended(half, 4) == SweepPlan(done.design).trial_ended(half, 4)
    assert [one.values for one in done.plan.initial(3)] == [one.values for one in done.plan.trial_ended([], 3)]


@pytest.mark.parametrize("search", KINDS, ids=lambda one: one["kind"])
def test_a_failed_trial_costs_itself_alone(search: dict[str, Any]) -> None:
    done = Simulation(design(search), fails=lambda one: one.number % 5 == 0).run()
    assert len(done.points) == done.plan.points
    failed = [one.number for one in done.trials if one.status == SweepTrialStatus.failed]
    assert failed
    assert all(number % 5 == 0 for number in failed)


@pytest.mark.parametrize("search", KINDS, ids=lambda one: one["kind"])
def test_more_seeds_and_points_are_added_to_a_sweep_that_is_done(search: dict[str, Any]) -> None:
    done = Simulation(design(search)).run()
    before, pruned = list(done.trials), {one.point for one in done.trials if one.status == SweepTrialStatus.pruned}
    more = {} if search["kind"] == "grid" else {"points": search["points"] + 2}
    done.design = design(search | more, seeds=[0, 1, 7])
    done.run()
    assert done.trials[: len(before)] == before
    known = {(one.point, one.seed) for one in done.trials}
    assert all(((point, 7) in known) == (point not in pruned) for point in {one.point for one in before})
    assert len(done.points) == len({one.point for one in before}) + (2 if more else 0)


def test_a_grid_has_every_combination_in_order() -> None:
    of = design(
        {"kind": "grid"},
        parameters={RATE: Space(low=0.001, high=0.1, scale="log", count=3), RANK: Space(values=[1, 2])},
    )
    points = [tuple(one.values.values()) for one in SweepPlan(of).initial(100)][::2]
    assert points == [(rate, rank) for rate in (0.001, 0.01, 0.1) for rank in (1, 2)]


def test_a_point_has_only_the_parameters_of_its_method() -> None:
    parameters = {
        "method.score": Space(values=["dora", "random"]),
        "budget": Space(values=[2, 4]),
        "method.name": Space(values=["lora", "dynamic_rank", "full"]),
    }
    of = design({"kind": "grid"}, parameters=parameters, seeds=[0])
    found = [one.values for one in SweepPlan(of).initial(100)]
    assert len(found) == 2 + 4 + 1
    wide = {"method.name": Space(values=["lora", "dynamic_rank"])} | {
        f"method.{name}": Space(low=0.1, high=0.9, count=100)
        for name in ("beta", "eta", "warmup_ratio", "prune_end_ratio", "lora_dropout")
    }
    first = next(grid_points(design({"kind": "grid"}, parameters=wide)))
    assert first == {"method.name": "lora", "method.lora_dropout": 0.1}
    assert {"method.name": "full"} in found
    assert {"method.name": "lora", "budget": 2} in found
    assert {"method.name": "dynamic_rank", "budget": 4, "method.score": "random"} in found


def test_tpe_finds_better_points_than_random_search_with_as_many() -> None:
    def best(kind: str, seed: int) -> float:
        search = {"kind": kind, "points": 30, "seed": seed} | ({"startup": 10} if kind == "tpe" else {})
        done = Simulation(design(search, seeds=[0]), slots=1).run()
        return max(one.value for one in done.trials if one.value is not None)

    seeds = range(3)
    assert sum(best("tpe", seed) for seed in seeds) > sum(best("random", seed) for seed in seeds)


def test_tpe_leaves_the_region_in_which_points_diverge() -> None:
    of = design({"kind": "tpe", "points": 60, "startup": 10}, seeds=[0])
    plan = SweepPlan(of)
    trials: list[KnownTrial] = []
    for number in range(1, 61):
        (new,) = plan.trial_ended(trials, 1)
        is_high = new.values[RATE] > 0.01  # type: ignore[operator]
        failed = (SweepTrialStatus.failed, None, True)
        done = (SweepTrialStatus.done, -abs(math.log10(new.values[RATE] / 1e-3)), False)  # type: ignore[operator]
        status, value, is_diverged = failed if is_high else done
        trials.append(KnownTrial(number, new.point, 0, status, new.values, value, is_diverged))
    diverged = [one.is_diverged for one in trials]
    assert sum(diverged[:10]) >= 2
    assert sum(diverged[-30:]) <= 2


def test_halving_stops_most_points_and_keeps_the_best() -> None:
    of = design({"kind": "halving", "points": 27}, seeds=[0])
    done = Simulation(of, slots=27).run()
    finished = {one.point for one in done.trials if one.status == SweepTrialStatus.done}
    best = max(done.points, key=lambda point: score(done.points[point]))
    assert best in finished
    passed = [sum(len(one.rungs) > rung for one in done.trials) for rung in (0, 1)]
    assert passed[0] == 27
    assert passed[1] <= 12
    assert len(finished) <= 4
    assert sum(done.steps.values()) < 0.5 * 27 * 100
    board = leaderboard(of, done.trials)
    assert board[0].point.number == best
    assert [one.rank for one in board] == [*range(1, len(finished) + 1), *[None] * (27 - len(finished))]


def test_halving_with_few_slots_stops_points_that_fall_behind_later() -> None:
    done = Simulation(design({"kind": "halving", "points": 27}, seeds=[0, 1]), slots=4).run()
    pruned = {one.point for one in done.trials if one.status == SweepTrialStatus.pruned}
    finished = set(done.points) - pruned
    best = max(done.points, key=lambda point: score(done.points[point]))
    assert best in finished
    assert len(finished) <= 9
    assert all(one.status in ENDED for one in done.trials)


def test_limits_end_a_sweep_with_a_reason() -> None:
    search = {"kind": "random", "points": 12}
    few = Simulation(design(search, stop={"runs": 7})).run()
    assert len(few.trials) == 7
    assert "7 runs" in str(few.plan.reason(few.trials))
    aim = Simulation(design(search, stop={"target": 0.9}), slots=2).run()
    means = [one.mean for one in leaderboard(aim.design, aim.trials)]
    assert means[0] is not None
    assert means[0] >= 0.9
    assert len(aim.trials) < 24
    assert "target 0.9" in str(aim.plan.reason(aim.trials))


def test_a_search_that_has_tried_every_combination_ends() -> None:
    of = design({"kind": "random", "points": 50}, parameters={RANK: Space(values=[1, 2, 3])}, seeds=[0])
    trials = [
        KnownTrial(number, one.point, one.seed, SweepTrialStatus.done, one.values, 0.5)
        for number, one in enumerate(SweepPlan(of).initial(100), start=1)
    ]
    assert sorted(str(one.values[RANK]) for one in trials) == ["1", "2", "3"]
    assert SweepPlan(of).progress(trials).is_done


def test_a_range_is_even_on_its_scale_and_keeps_its_ends() -> None:
    log = Space(low=1e-4, high=1e-2, scale="log")
    assert [on_range(log, share, is_integer=False) for share in (0, 0.5, 1)] == [1e-4, 1e-3, 1e-2]
    assert [on_range(Space(low=1, high=8), share, is_integer=True) for share in (0, 0.5, 1)] == [1, 4, 8]


def test_a_point_with_a_diverged_seed_comes_after_the_others() -> None:
    of = design({"kind": "random", "points": 3})
    done, failed = SweepTrialStatus.done, SweepTrialStatus.failed
    values: Values = {RATE: 0.1, RANK: 1}
    board = leaderboard(
        of,
        [
            KnownTrial(1, 1, 0, done, values, 0.9),
            KnownTrial(2, 1, 1, failed, values, None, True),
            KnownTrial(3, 2, 0, done, values, 0.4),
            KnownTrial(4, 2, 1, done, values, 0.6),
            KnownTrial(5, 3, 0, failed, values),
        ],
    )
    assert [(one.point.number, one.rank, one.n, one.mean) for one in board] == [
        (2, 1, 2, 0.5),
        (1, 2, 1, 0.9),
        (3, None, 0, None),
    ]
    assert (board[0].median, board[0].min, board[0].max) == (0.5, 0.4, 0.6)
    assert board[0].sd == pytest.approx(0.02**0.5)


def test_points_with_equal_means_share_a_rank() -> None:
    results = {1: (0.1, 0.2, 0.3), 2: (0.2, 0.2, 0.2), 3: (0.9, 0.9, 0.9), 4: (0.1, 0.1, 0.1)}
    trials = [
        KnownTrial(3 * point + seed, point, seed, SweepTrialStatus.done, {RATE: 0.1, RANK: 1}, value)
        for point, values in results.items()
        for seed, value in enumerate(values)
    ]
    board = leaderboard(design({"kind": "random", "points": 4}, seeds=[0, 1, 2]), trials)
    assert [(one.point.number, one.rank) for one in board] == [(3, 1), (1, 2), (2, 2), (4, 4)]
