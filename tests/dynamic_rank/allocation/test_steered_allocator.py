"""Holding, freezing and retargeting the pruning of a RankAllocator, and forks of its schedule."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from dynamic_rank import DynamicRankConfig, RankAllocator
from tests.dynamic_rank.naive_equations import naive_budget
from tests.dynamic_rank.wrapped_models import shake, wrapped


def places(mask: Any) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for row, column in np.argwhere(mask)}


def steered(actions: Any, total: int = 60, save_at: int | None = None, **options: Any) -> list[Any]:
    """A run steered by `actions` {step: [(name, *arguments)]} before that step; masks, budgets and decisions by step.

    With `save_at` it continues in a new allocator and model from the state of that step.
    """
    model, config = wrapped(prune_interval=4, beta=0.7, **({"pruning_phase": "absolute"} | options))
    allocator = RankAllocator(model, config, total)
    history = []
    for step in range(1, total + 1):
        shake(model, step)
        for name, *arguments in actions.get(step, []):
            getattr(allocator, name)(*arguments)
        decision = allocator.step(step)
        history.append((allocator.mask.copy(), allocator.live, decision, allocator.is_final))
        if step == save_at:
            state = allocator.state_dict()
            plain = json.loads(json.dumps({k: v for k, v in state.items() if not isinstance(v, torch.Tensor)}))
            allocator = RankAllocator(model, config, total)
            allocator.load_state_dict({**state, **plain})
    return history


def pruned_at(history: Any) -> list[int]:
    return [step for step, (_, _, decision, _) in enumerate(history, start=1) if decision is not None]


def test_held_pruning_catches_up_after_the_release() -> None:
    # Window 9 to 30: prunings at 12, 16, 20, 24, 28, 30.
    within = steered({13: [("hold",)], 22: [("release",)]})
    assert pruned_at(within) == [12, 24, 28, 30]
    assert within[-1][1] == naive_budget(30, 36, 24, 9, 30, "slow_first") == 24
    beyond = steered({13: [("hold",)], 41: [("release",)]})
    assert pruned_at(beyond) == [12, 41]
    assert [final for *_, final in beyond] == [step >= 41 for step in range(1, 61)]
    assert beyond[-1][1] == 24
    never = steered({13: [("hold",)]})
    assert pruned_at(never) == [12]
    assert not never[-1][3]
    assert never[-1][1] == never[11][1]


def test_steering_at_and_around_the_first_step_of_the_window() -> None:
    # Window 9 to 30: prunings at 9, 13, 17, 21, 25, 29, 30; the first removes nothing.
    plain = steered({}, pruning_phase="window")
    assert pruned_at(plain) == [9, 13, 17, 21, 25, 29, 30]
    first = plain[8][2]
    assert (first.budget, first.live, first.pruned, first.regrown, first.is_final) == (36, 36, (), (), False)
    held = steered({9: [("hold",)], 14: [("release",)]}, pruning_phase="window")
    assert pruned_at(held) == [17, 21, 25, 29, 30]
    assert held[-1][1] == 24
    frozen = steered({9: [("freeze",)]}, pruning_phase="window")
    assert pruned_at(frozen) == [9]
    assert (frozen[8][3], frozen[-1][1]) == (True, 36)
    lower = steered({9: [("set_target", 1)]}, pruning_phase="window")
    assert lower[8][1] == 36
    assert lower[-1][1] == 12


def test_freezing_makes_the_current_mask_final() -> None:
    history = steered({19: [("freeze",)]})
    assert pruned_at(history) == [12, 16, 19]
    decision = history[18][2]
    assert (decision.is_final, decision.pruned, decision.regrown) == (True, (), ())
    assert decision.budget == decision.live == history[17][1]
    for mask, live, _, _ in history[18:]:
        assert places(mask) == places(history[15][0])
        assert live == history[15][1]
    early = steered({3: [("freeze",)]})
    assert pruned_at(early) == [3]
    assert early[-1][1] == 36


@pytest.mark.parametrize("target", [1, 3])
def test_new_target_changes_the_budget_from_the_next_pruning_on(target: int) -> None:
    history = steered({19: [("set_target", target)]})
    assert pruned_at(history) == [12, 16, 20, 24, 28, 30]
    for step in (12, 16):
        assert history[step - 1][1] == naive_budget(step, 36, 24, 9, 30, "slow_first")
    for step in (20, 24, 28, 30):
        assert history[step - 1][1] == naive_budget(step, 36, 12 * target, 9, 30, "slow_first")


@pytest.mark.parametrize("save_at", [5, 14, 18, 19, 20, 30, 36, 45])
def test_steered_run_resumed_at_any_step_equals_the_uninterrupted_one(save_at: int | None) -> None:
    for actions in (
        {13: [("hold",)], 35: [("set_target", 1), ("release",)]},
        {19: [("freeze",)]},
        {6: [("set_target", 1)], 17: [("hold",)], 18: [("release",)]},
    ):
        whole, cut = steered(actions), steered(actions, save_at=save_at)
        for (mask, live, decision, final), (mask2, live2, decision2, final2) in zip(whole, cut, strict=True):
            assert (mask == mask2).all()
            assert (live, decision, final) == (live2, decision2, final2)


def test_steering_after_the_final_mask_is_refused_with_the_fix() -> None:
    model, config = wrapped()
    allocator = RankAllocator(model, config, 60)
    for step in range(1, 31):
        allocator.step(step)
    for wish in (allocator.hold, allocator.release, allocator.freeze, lambda: allocator.set_target(1)):
        with pytest.raises(ValueError, match=r"final since step 30\. Fork the run from a checkpoint before"):
            wish()
    fresh = RankAllocator(*wrapped(), 60)
    with pytest.raises(ValueError, match="target_rank=4 must be between 1 and initial_rank=3"):
        fresh.set_target(4)


def test_schedule_of_a_fork_takes_over_if_the_mask_is_not_final() -> None:
    model, config = wrapped(prune_interval=4)
    allocator = RankAllocator(model, config, 60)
    for step in range(1, 21):
        allocator.step(step)
    state = allocator.state_dict() | {"total_steps": None, "target_rank": None}
    longer = RankAllocator(model, DynamicRankConfig(target_rank=1, initial_rank=3, prune_interval=5), 100)
    longer.load_state_dict(state)
    assert longer.schedule.t_f == 50
    for step in range(21, 51):
        longer.step(step)
    assert longer.is_final
    assert longer.live == 12
    shorter = RankAllocator(model, config, 40)
    with pytest.raises(ValueError, match="this schedule ends at step 20: increase prune_end_ratio"):
        shorter.load_state_dict(state)
    for step in range(21, 31):
        allocator.step(step)
    final = RankAllocator(model, config, 200)
    final.load_state_dict(allocator.state_dict() | {"total_steps": None})
    assert final.is_final
    assert final.live == allocator.live
