"""The server's copy of the budget equation against the training library's."""

from hypothesis import given, settings
from hypothesis import strategies as some

from dynamic_rank import DynamicRankConfig
from dynamic_rank.schedule import BudgetSchedule
from rankscope.contract.budget import planned_budget, pruning_steps, pruning_window
from rankscope.contract.config import DynamicRankMethod, check_schedule

ratios = some.integers(0, 100).map(lambda percent: percent / 100)


@given(
    target_rank=some.integers(1, 16),
    more=some.integers(0, 16),
    ratio_pair=some.tuples(ratios, ratios).map(sorted).filter(lambda pair: pair[0] < pair[1]),
    interval=some.integers(1, 50),
    shape=some.sampled_from(["slow_first", "fast_first", "linear"]),
    n_modules=some.integers(1, 300),
    total_steps=some.integers(1, 1000),
)
@settings(max_examples=150, deadline=None)
def test_planned_budget_equals_the_training_librarys_at_every_step(
    target_rank, more, ratio_pair, interval, shape, n_modules, total_steps
):
    warmup_ratio, prune_end_ratio = ratio_pair
    same = {
        "target_rank": target_rank, "initial_rank": target_rank + more, "warmup_ratio": warmup_ratio,
        "prune_end_ratio": prune_end_ratio, "prune_interval": interval, "schedule": shape,
    }  # fmt: skip
    window = pruning_window(total_steps, warmup_ratio, prune_end_ratio)
    b0, bT = n_modules * (target_rank + more), n_modules * target_rank
    try:
        schedule = BudgetSchedule(DynamicRankConfig(**same), b0, total_steps)
    except ValueError:
        schedule = None
    try:
        check_schedule(DynamicRankMethod(**same), total_steps)
    except ValueError:
        assert schedule is None
        return
    assert schedule is not None
    assert (window.start, window.end) == (schedule.t_i, schedule.t_f)
    assert pruning_steps(window, interval) == schedule.pruning_steps()
    for step in range(total_steps + 1):
        assert planned_budget(step, window, b0, bT, shape) == schedule.budget(step)


def test_ratio_reads_as_it_is_written():
    assert 0.29 * 100 < 29
    assert pruning_window(100, 0.29, 0.57).start == 29


def test_curve_holds_its_ends_outside_the_window():
    window = pruning_window(1000, 0.15, 0.5)
    assert [planned_budget(step, window, 300, 200) for step in (0, 150, 500, 1000)] == [300, 300, 200, 200]
