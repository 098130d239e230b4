import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dynamic_rank import BudgetSchedule, DynamicRankConfig
from dynamic_rank.schedule.config import PruningPhase, ScheduleShape
from tests.dynamic_rank.naive_equations import naive_budget


@pytest.mark.parametrize("kind", ["slow_first", "fast_first", "linear"])
def test_budget_follows_the_equation_at_every_step(kind: ScheduleShape) -> None:
    config = DynamicRankConfig(target_rank=8, prune_interval=10, schedule=kind)
    schedule = BudgetSchedule(config, 72 * 12, 1000)
    for step in range(1001):
        assert schedule.budget(step) == naive_budget(step, 72 * 12, 72 * 8, 150, 500, kind)


@given(
    target=st.integers(1, 16),
    more=st.integers(0, 16),
    ends=st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted).filter(lambda pair: pair[0] < pair[1]),
    interval=st.integers(1, 50),
    kind=st.sampled_from(["slow_first", "fast_first", "linear"]),
    phase=st.sampled_from(["window", "absolute"]),
    modules=st.integers(1, 300),
    total=st.integers(1, 1000),
)
@settings(max_examples=150)
def test_budget_and_prunings_follow_the_paper_for_every_config(
    target: int,
    more: int,
    ends: list[int],
    interval: int,
    kind: ScheduleShape,
    phase: PruningPhase,
    modules: int,
    total: int,
) -> None:
    config = DynamicRankConfig(
        target_rank=target,
        initial_rank=target + more,
        warmup_ratio=ends[0] / 100,
        prune_end_ratio=ends[1] / 100,
        prune_interval=interval,
        schedule=kind,
        pruning_phase=phase,
    )
    first, last = ends[0] * total // 100, ends[1] * total // 100
    if last - first < interval:
        with pytest.raises(ValueError, match="prune_interval"):
            BudgetSchedule(config, modules * config.width, total)
        return
    schedule = BudgetSchedule(config, modules * config.width, total)
    begin = first if phase == "window" else 0
    due = [step for step in range(1, last) if step >= first and (step - begin) % interval == 0]
    if phase == "absolute":
        due = [step for step in due if step > first]
    assert schedule.pruning_steps() == [*due, last]
    for step in range(total + 1):
        assert schedule.is_pruning_step(step) == (step in due or step == last)
        assert schedule.budget(step) == naive_budget(
            step, modules * (target + more), modules * target, first, last, kind
        )


def test_prunings_start_and_end_with_the_window() -> None:
    config = DynamicRankConfig(prune_interval=100)
    schedule = BudgetSchedule(config, 12, 1110)  # window: 166 to 555
    assert schedule.pruning_steps() == [166, 266, 366, 466, 555]
    assert schedule.budget(166) == 12
    from_the_first_step = DynamicRankConfig(prune_interval=2, warmup_ratio=0.0)
    assert BudgetSchedule(from_the_first_step, 12, 20).pruning_steps() == [2, 4, 6, 8, 10]


def test_absolute_prunings_are_at_multiples_of_the_interval_and_at_the_end_of_the_window() -> None:
    config = DynamicRankConfig(prune_interval=100, pruning_phase="absolute")
    schedule = BudgetSchedule(config, 12, 1110)
    assert schedule.pruning_steps() == [200, 300, 400, 500, 555]


def test_ratios_are_read_as_decimals() -> None:
    config = DynamicRankConfig(warmup_ratio=0.29, prune_end_ratio=0.57, prune_interval=1)
    assert config.window(100) == (29, 57)  # 0.29 * 100 is 28.999999999999996 in floating point


@given(
    target=st.integers(1, 9),
    more=st.integers(0, 9),
    modules=st.integers(1, 80),
    total=st.integers(2, 3000),
    interval=st.integers(1, 200),
    begin=st.integers(0, 98),
    length=st.integers(1, 99),
    kind=st.sampled_from(["slow_first", "fast_first", "linear"]),
)
def test_budget_never_increases_and_meets_both_ends(
    target: int, more: int, modules: int, total: int, interval: int, begin: int, length: int, kind: ScheduleShape
) -> None:
    assume(begin + length <= 100)
    config = DynamicRankConfig(
        target_rank=target,
        initial_rank=target + more,
        warmup_ratio=begin / 100,
        prune_end_ratio=(begin + length) / 100,
        prune_interval=interval,
        schedule=kind,
    )
    t_i, t_f = config.window(total)
    if t_f - t_i < interval:
        with pytest.raises(ValueError, match="prune_interval"):
            BudgetSchedule(config, modules * config.width, total)
        return
    schedule = BudgetSchedule(config, modules * config.width, total)
    budgets = [schedule.budget(step) for step in range(total + 1)]
    assert budgets[0] == modules * (target + more)
    assert budgets[-1] == modules * target
    assert all(later <= earlier for earlier, later in itertools.pairwise(budgets))
    assert schedule.pruning_steps()[-1] == t_f
