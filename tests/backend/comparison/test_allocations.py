"""Snapshots of two runs are compared at equal steps, progress or budget, over the modules of both."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rankscope.comparison.allocations import NOT_ADAPTED, Allocation, difference
from rankscope.contract.stored import StoredModule


def module(name: str, layer: int | None = 0) -> StoredModule:
    return {"name": name, "layer": layer, "kind": name, "out_features": 8, "in_features": 8}


def allocation(names: str, steps: list[int], live: list[int], total_steps: int | None = 100) -> Allocation:
    """Module j has rank 10 i + j in snapshot i."""
    ranks = (10 * np.arange(len(steps))[:, None] + np.arange(len(names))).astype(np.uint16)
    return Allocation([module(name) for name in names], 4, total_steps, np.array(steps), np.array(live), ranks)


Steps = st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True).map(sorted)


@given(a=Steps, b=Steps, total=st.sampled_from([50, 100]))
def test_each_position_shows_the_newest_snapshot_of_both_runs(a: list[int], b: list[int], total: int) -> None:
    one, other = allocation("xy", a, [9] * len(a), 50), allocation("xy", b, [9] * len(b), total)
    by_step = difference(one, other, "step", most=100)
    assert by_step.positions.tolist() == sorted({*a, *b})
    for position, step in zip(by_step.positions, by_step.steps[0], strict=True):
        assert step == max([s for s in a if s <= position], default=a[0])
    by_progress = difference(one, other, "progress", most=100)
    for position, step in zip(by_progress.positions, by_progress.steps[1], strict=True):
        assert step == max([s for s in b if s / total <= position], default=b[0])


def test_at_an_equal_budget_each_run_shows_its_last_snapshot_with_that_many_components() -> None:
    fast, slow = allocation("xy", [0, 10, 20], [8, 4, 2]), allocation("xy", [0, 50, 90], [8, 6, 4])
    found = difference(fast, slow, "budget", most=100)
    assert found.positions.tolist() == [8, 6, 4, 2]
    assert found.steps == ([0, 0, 10, 20], [0, 50, 90, 90])


def test_modules_of_one_run_only_are_not_adapted_in_the_other_and_rank_0_stays_0() -> None:
    one, other = allocation("xy", [0], [9]), allocation("yz", [0], [9])
    found = difference(one, other, "step", most=1)
    assert [entry["name"] for entry in found.modules] == ["x", "y", "z"]
    assert found.ranks[0].tolist() == [[0, 1, NOT_ADAPTED]]
    assert found.ranks[1].tolist() == [[NOT_ADAPTED, 0, 1]]
    assert found.shared_modules == 1


def test_thinned_positions_keep_the_first_and_the_last() -> None:
    one = allocation("x", list(range(0, 500, 5)), [1] * 100)
    found: Any = difference(one, one, "step", most=7)
    assert len(found.positions) == 7
    assert (found.positions[0], found.positions[-1]) == (0, 495)
