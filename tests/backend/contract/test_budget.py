"""The server's copy of the budget equation against the training library's."""

import itertools
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as some

from dynamic_rank import DynamicRankConfig
from dynamic_rank.schedule.budget import BudgetSchedule
from rankscope.contract.budget import (
    PruningPhase,
    PruningWindow,
    ScheduleShape,
    planned_budget,
    pruning_window,
    regular_prunings,
)
from rankscope.contract.config import Steering
from rankscope.contract.methods import DynamicRankMethod
from rankscope.contract.steered_budget import MOST_POINTS, BudgetPlan, steered_curve

ratios = some.integers(0, 100).map(lambda percent: percent / 100)


@given(
    target_rank=some.integers(1, 16),
    more=some.integers(0, 16),
    ratio_pair=some.tuples(ratios, ratios).map(sorted).filter(lambda pair: pair[0] < pair[1]),
    interval=some.integers(1, 50),
    shape=some.sampled_from(["slow_first", "fast_first", "linear"]),
    phase=some.sampled_from(["window", "absolute"]),
    n_modules=some.integers(1, 300),
    total_steps=some.integers(1, 1000),
)
@settings(max_examples=150, deadline=None)
def test_planned_budget_equals_the_training_librarys_at_every_step(
    target_rank: int,
    more: int,
    ratio_pair: list[float],
    interval: int,
    shape: ScheduleShape,
    phase: PruningPhase,
    n_modules: int,
    total_steps: int,
) -> None:
    warmup_ratio, prune_end_ratio = ratio_pair
    same: dict[str, Any] = {
        "target_rank": target_rank,
        "initial_rank": target_rank + more,
        "warmup_ratio": warmup_ratio,
        "prune_end_ratio": prune_end_ratio,
        "prune_interval": interval,
        "schedule": shape,
        "pruning_phase": phase,
    }
    window = pruning_window(total_steps, warmup_ratio, prune_end_ratio)
    b0, bT = n_modules * (target_rank + more), n_modules * target_rank
    try:
        schedule = BudgetSchedule(DynamicRankConfig(**same), b0, total_steps)
    except ValueError:
        schedule = None
    try:
        DynamicRankMethod(**same).check_steps(total_steps)
    except ValueError:
        assert schedule is None
        return
    assert schedule is not None
    assert (window.start, window.end) == (schedule.t_i, schedule.t_f)
    assert [*regular_prunings(window, interval, phase), window.end] == schedule.pruning_steps()
    for step in range(total_steps + 1):
        assert planned_budget(step, window, b0, bT, shape) == schedule.budget(step)


def test_ratio_reads_as_it_is_written() -> None:
    assert 0.29 * 100 < 29
    assert pruning_window(100, 0.29, 0.57).start == 29


def test_curve_holds_its_ends_outside_the_window() -> None:
    window = pruning_window(1000, 0.15, 0.5)
    assert [planned_budget(step, window, 300, 200) for step in (0, 150, 500, 1000)] == [300, 300, 200, 200]


def taught(schedule: BudgetSchedule, total_steps: int, steering: list[Steering]) -> list[tuple[int, int]]:
    """(step, budget) of every pruning when the training library's schedule is walked step by step, as the worker does."""
    prunings: list[tuple[int, int]] = []
    live = schedule.initial
    for step in range(1, total_steps + 1):
        if not (prunings and prunings[-1][0] == schedule.t_f):
            for entry in (one for one in steering if one.step == step):
                match entry.action:
                    case "hold":
                        schedule.hold()
                    case "release":
                        schedule.release(step)
                    case "freeze":
                        schedule.settle(step, live)
                    case "target":
                        assert entry.target_rank is not None
                        schedule.set_target(entry.target_rank)
        if schedule.is_pruning_step(step):
            live = schedule.budget(step)
            prunings.append((step, live))
    return prunings


acts = some.builds(
    lambda step, action, target: Steering(step=step, action=action, target_rank=target if action == "target" else None),
    step=some.integers(1, 120),
    action=some.sampled_from(["hold", "release", "target", "freeze"]),
    target=some.integers(1, 9),
)


@example(
    steering=[Steering(step=1, action="freeze"), Steering(step=1, action="target", target_rank=1)],
    ends=(1, 70),
    interval=1,
    shape="slow_first",
    phase="absolute",
)
@given(
    steering=some.lists(acts, max_size=5).map(lambda found: sorted(found, key=lambda one: one.step)),
    ends=some.tuples(some.integers(0, 60), some.integers(70, 100)),
    interval=some.integers(1, 10),
    shape=some.sampled_from(["slow_first", "fast_first", "linear"]),
    phase=some.sampled_from(["window", "absolute"]),
)
@settings(max_examples=150, deadline=None)
def test_steered_curve_is_what_the_training_library_does(
    steering: list[Steering], ends: tuple[int, int], interval: int, shape: ScheduleShape, phase: PruningPhase
) -> None:
    warmup_ratio, prune_end_ratio = (end / 100 for end in ends)
    config = DynamicRankConfig(
        target_rank=4,
        initial_rank=9,
        warmup_ratio=warmup_ratio,
        prune_end_ratio=prune_end_ratio,
        prune_interval=interval,
        schedule=shape,
        pruning_phase=phase,
    )
    plan = BudgetPlan(10, 9, 4, pruning_window(120, warmup_ratio, prune_end_ratio), interval, phase, shape)
    curve = steered_curve(plan, 120, steering)
    expected = taught(BudgetSchedule(config, 90, 120), 120, steering)
    assert curve.points[1:-1] == expected
    assert curve.prunings == [step for step, _ in expected]
    assert curve.pruning_count == len(expected)
    assert (curve.points[0], curve.points[-1]) == ((0, 90), (120, curve.points[-2][1]))
    short = steered_curve(plan, 120, steering, most=12)
    assert len(short.points) <= 12
    assert short.pruning_count == len(expected)
    assert set(short.points) <= set(curve.points)
    assert (short.points[0], short.points[-1]) == (curve.points[0], curve.points[-1])
    assert (short.prunings[:1], short.prunings[-1:]) == (curve.prunings[:1], curve.prunings[-1:])
    if len(expected) <= 10:
        assert short == curve


def test_curve_stays_where_pruning_is_held_and_falls_to_the_target_at_the_release() -> None:
    plan = BudgetPlan(10, 9, 4, PruningWindow(10, 50), 10)
    held = [Steering(step=25, action="hold")]
    curve = steered_curve(plan, 100, held).points
    assert steered_curve(plan, 100, held).prunings == [10, 20]
    assert curve == [(0, 90), (10, 90), (20, planned_budget(20, plan.window, 90, 40)), (100, curve[2][1])]
    released = [*held, Steering(step=60, action="target", target_rank=3), Steering(step=70, action="release")]
    assert steered_curve(plan, 100, released).points == [*curve[:3], (70, 30), (100, 30)]


def test_curve_of_a_frozen_mask_ends_at_the_budget_before_and_hears_nothing_more() -> None:
    plan = BudgetPlan(10, 9, 4, PruningWindow(10, 50), 10)
    steering = [Steering(step=33, action="freeze"), Steering(step=40, action="target", target_rank=2)]
    curve = steered_curve(plan, 100, steering)
    assert curve.prunings == [10, 20, 30, 33]
    assert [budget for _, budget in curve.points[3:]] == [planned_budget(30, plan.window, 90, 40)] * 3


def test_curve_of_the_longest_run_is_an_even_choice_with_its_ends_and_what_was_steered() -> None:
    window = PruningWindow(1_500_000, 5_000_000)
    plan = BudgetPlan(10_000, 512, 1, window, 1)
    steering = [Steering(step=2_000_000, action="hold"), Steering(step=3_000_000, action="release")]
    curve = steered_curve(plan, 10_000_000, steering)
    assert curve.pruning_count == 1 + 3_500_000 - 1_000_000
    assert MOST_POINTS - 4 <= len(curve.points) <= MOST_POINTS
    assert {1_500_000, 1_999_999, 3_000_000, 5_000_000} <= set(curve.prunings)
    assert all(budget == plan.budget(step) for step, budget in curve.points[:-1])
    gaps = [later - step for step, later in itertools.pairwise(curve.prunings) if step != 1_999_999]
    assert max(gaps) <= curve.pruning_count / 490


def test_curve_of_a_thousand_acts_in_ten_million_steps_is_bounded() -> None:
    plan = BudgetPlan(10_000, 512, 1, PruningWindow(0, 10_000_000), 1)
    steering = [Steering(step=1 + 9_999 * place, action="target", target_rank=1 + place % 9) for place in range(1000)]
    curve = steered_curve(plan, 10_000_000, steering)
    assert (curve.pruning_count, curve.prunings[0], curve.prunings[-1]) == (10_000_000, 1, 10_000_000)
    assert len(curve.points) <= MOST_POINTS
