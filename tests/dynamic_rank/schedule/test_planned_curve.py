"""The planned curve equals the schedule followed step by step, as by the allocator."""

import itertools
from typing import Any, Literal, NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as some

from dynamic_rank import BudgetSchedule, DynamicRankConfig
from dynamic_rank.schedule.config import PruningPhase, ScheduleShape
from dynamic_rank.schedule.curve import MOST_POINTS, last_pruning, steered_curve
from tests.dynamic_rank.naive_equations import naive_budget


class Act(NamedTuple):
    step: int
    action: Literal["hold", "release", "freeze", "target"]
    target_rank: int | None = None


def schedule_of(
    modules: int,
    initial_rank: int,
    target_rank: int,
    window: tuple[int, int],
    interval: int,
    total_steps: int,
    **options: Any,
) -> BudgetSchedule:
    """A schedule with this window, given in steps."""
    config = DynamicRankConfig(
        target_rank=target_rank,
        initial_rank=initial_rank,
        warmup_ratio=window[0] / total_steps,
        prune_end_ratio=window[1] / total_steps,
        prune_interval=interval,
        **options,
    )
    schedule = BudgetSchedule(config, modules * initial_rank, total_steps)
    assert (schedule.t_i, schedule.t_f) == window
    return schedule


def walked(schedule: BudgetSchedule, total_steps: int, steering: list[Act]) -> list[tuple[int, int]]:
    """(step, budget) of every pruning when the schedule is steered and followed step by step."""
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
    lambda step, action, target: Act(step=step, action=action, target_rank=target if action == "target" else None),
    step=some.integers(1, 120),
    action=some.sampled_from(["hold", "release", "target", "freeze"]),
    target=some.integers(1, 9),
)


@example(
    steering=[Act(step=1, action="freeze"), Act(step=1, action="target", target_rank=1)],
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
@settings(max_examples=150)
def test_steered_curve_is_what_the_schedule_does_step_by_step(
    steering: list[Act], ends: tuple[int, int], interval: int, shape: ScheduleShape, phase: PruningPhase
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
    schedule = BudgetSchedule(config, 90, 120)
    curve = steered_curve(schedule, steering)
    assert schedule.pruning_steps() == BudgetSchedule(config, 90, 120).pruning_steps()
    expected = walked(BudgetSchedule(config, 90, 120), 120, steering)
    assert curve.points[1:-1] == expected
    assert curve.prunings == [step for step, _ in expected]
    assert curve.pruning_count == len(expected)
    assert (curve.points[0], curve.points[-1]) == ((0, 90), (120, curve.points[-2][1]))
    short = steered_curve(schedule, steering, most=12)
    assert len(short.points) <= 12
    assert short.pruning_count == len(expected)
    assert set(short.points) <= set(curve.points)
    assert (short.points[0], short.points[-1]) == (curve.points[0], curve.points[-1])
    assert (short.prunings[:1], short.prunings[-1:]) == (curve.prunings[:1], curve.prunings[-1:])
    if len(expected) <= 10:
        assert short == curve
    for step in (1, 40, 120):
        passed = walked(BudgetSchedule(config, 90, 120), step, steering)
        assert last_pruning(schedule, steering, step) == (passed[-1] if passed else None)


def test_curve_is_constant_while_held_and_falls_to_the_target_at_the_release() -> None:
    schedule = schedule_of(10, 9, 4, (10, 50), 10, 100)
    held = [Act(step=25, action="hold")]
    curve = steered_curve(schedule, held).points
    assert steered_curve(schedule, held).prunings == [10, 20]
    assert curve == [(0, 90), (10, 90), (20, naive_budget(20, 90, 40, 10, 50)), (100, curve[2][1])]
    released = [*held, Act(step=60, action="target", target_rank=3), Act(step=70, action="release")]
    assert steered_curve(schedule, released).points == [*curve[:3], (70, 30), (100, 30)]


def test_curve_of_a_frozen_mask_ends_at_the_previous_budget_and_ignores_later_actions() -> None:
    schedule = schedule_of(10, 9, 4, (10, 50), 10, 100)
    steering = [Act(step=33, action="freeze"), Act(step=40, action="target", target_rank=2)]
    curve = steered_curve(schedule, steering)
    assert curve.prunings == [10, 20, 30, 33]
    assert [budget for _, budget in curve.points[3:]] == [naive_budget(30, 90, 40, 10, 50)] * 3


def test_curve_of_the_longest_run_is_an_even_selection_with_its_ends_and_steering() -> None:
    schedule = schedule_of(10_000, 512, 1, (1_500_000, 5_000_000), 1, 10_000_000)
    steering = [Act(step=2_000_000, action="hold"), Act(step=3_000_000, action="release")]
    curve = steered_curve(schedule, steering)
    assert curve.pruning_count == 1 + 3_500_000 - 1_000_000
    assert MOST_POINTS - 4 <= len(curve.points) <= MOST_POINTS
    assert {1_500_000, 1_999_999, 3_000_000, 5_000_000} <= set(curve.prunings)
    assert all(budget == schedule.budget(step) for step, budget in curve.points[:-1])
    gaps = [later - step for step, later in itertools.pairwise(curve.prunings) if step != 1_999_999]
    assert max(gaps) <= curve.pruning_count / 490


def test_curve_of_a_thousand_actions_in_ten_million_steps_is_bounded() -> None:
    schedule = schedule_of(10_000, 512, 1, (0, 10_000_000), 1, 10_000_000)
    steering = [Act(step=1 + 9_999 * place, action="target", target_rank=1 + place % 9) for place in range(1000)]
    curve = steered_curve(schedule, steering)
    assert (curve.pruning_count, curve.prunings[0], curve.prunings[-1]) == (10_000_000, 1, 10_000_000)
    assert len(curve.points) <= MOST_POINTS
