import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamic_rank import DynamicRankConfig, RankAllocator, wrap
from dynamic_rank.adapter.components import RankLayer, components_of
from dynamic_rank.allocation.selection import select
from dynamic_rank.schedule.config import ScheduleShape
from tests.dynamic_rank.naive_equations import naive_authors_keep, naive_budget, naive_keep, naive_scores
from tests.dynamic_rank.tiny_models import DEVICE, build, random_like


def wrapped(kind: str = "bert", seed: int = 0, **options: Any) -> tuple[Any, DynamicRankConfig]:
    model, task = build(kind, seed)
    config = DynamicRankConfig(**({"target_rank": 2, "prune_interval": 3} | options))
    return wrap(model, config, task), config


def shake(model: Any, step: int, tied: bool = False) -> None:
    """Replaces an optimizer step: changes every factor, including pruned scales. Tied: equally in all modules of a shape."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for layer in components_of(model).layers:
            if tied:
                generator.manual_seed(step)
            for parameter, _ in layer.resized():
                parameter.add_(random_like(parameter, generator) * 0.1)


def in_float64(layer: RankLayer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return layer.A.detach().double(), layer.B.detach().double(), layer.c.detach().double()


def places(mask: Any) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for row, column in np.argwhere(mask)}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("schedule", ["slow_first", "fast_first", "linear"])
@pytest.mark.parametrize("phase", ["window", "absolute"])
def test_scores_masks_and_budgets_follow_the_equations_over_a_whole_schedule(
    phase: str, schedule: ScheduleShape, tied: bool
) -> None:
    model, config = wrapped(prune_interval=4, beta=0.7, schedule=schedule, pruning_phase=phase)
    due = {9, 13, 17, 21, 25, 29, 30} if phase == "window" else {12, 16, 20, 24, 28, 30}
    allocator = RankAllocator(model, config, 60)
    if tied:
        with torch.no_grad():
            for layer in allocator.layers:
                for parameter, _ in layer.resized():
                    parameter.zero_()
    ema = torch.zeros(12, 3, dtype=torch.float64, device=DEVICE)
    mask = np.ones((12, 3), dtype=bool)
    for step in range(1, 61):
        shake(model, step, tied)
        if step <= 30:
            now = [naive_scores(*in_float64(layer)) for layer in allocator.layers]
            ema = 0.7 * ema + 0.3 * torch.stack(now)
        decision = allocator.step(step)
        torch.testing.assert_close(allocator.scores().double(), ema, rtol=1e-5, atol=1e-8)
        assert (decision is not None) == (step in due)
        if decision is not None:
            before, budget = mask, naive_budget(step, 36, 24, 9, 30, schedule)
            # ties are exact only in float32, so the naive rule uses the library's scores
            mask = naive_keep(allocator.scores(), budget)
            if not tied:
                np.testing.assert_array_equal(mask, naive_keep(ema, budget))
            assert decision.budget == decision.live == mask.sum() == budget
            assert decision.is_final == (step == 30)
            assert {(x.module_index, x.component) for x in decision.pruned} == set(
                zip(*np.nonzero(before & ~mask), strict=False)
            )
            assert {(x.module_index, x.component) for x in decision.regrown} == set(
                zip(*np.nonzero(mask & ~before), strict=False)
            )
        np.testing.assert_array_equal(allocator.mask, mask)
        if decision is not None or step > 30:
            live = np.stack([(layer.c != 0).cpu().numpy() for layer in allocator.layers])
            np.testing.assert_array_equal(live, mask)
    assert sum(allocator.live_ranks().values()) == 24


@pytest.mark.parametrize("tied", [False, True])
def test_with_the_authors_options_the_masks_follow_their_rule(tied: bool) -> None:
    """Their scores, from whole matrices, and their threshold, over a whole schedule."""
    model, config = wrapped(prune_interval=1, selection="threshold")
    allocator = RankAllocator(model, config, 40)
    ema = torch.zeros(12, 3, device=DEVICE)
    missing = []
    for step in range(1, 21):
        shake(model, step)
        if tied:
            with torch.no_grad():  # two components of every module are the same
                for layer in allocator.layers:
                    layer.A[1], layer.B[:, 1], layer.c[1] = layer.A[0], layer.B[:, 0], layer.c[0]
        now = torch.stack([naive_scores(layer.A, layer.B, layer.c) for layer in allocator.layers])
        ema = 0.9 * ema + 0.1 * now
        decision = allocator.step(step)
        torch.testing.assert_close(allocator.scores(), ema, rtol=1e-4, atol=1e-7)
        if decision is not None:
            budget = naive_budget(step, 36, 24, 6, 20)
            np.testing.assert_array_equal(allocator.mask, naive_authors_keep(allocator.scores(), budget))
            # One is pruned even while the budget still includes all.
            missing.append(min(budget, 35) - decision.live)
    assert min(missing) == 0
    # Ties at the threshold are pruned together, so fewer stay than the budget allows.
    assert (max(missing) > 0) == tied


def test_tied_components_really_tie_and_the_budget_is_still_exact() -> None:
    model, config = wrapped(prune_interval=1)
    allocator = RankAllocator(model, config, 20)
    with torch.no_grad():
        for layer in allocator.layers:
            layer.A.fill_(1.0)
            layer.B.fill_(1.0)
            layer.c.fill_(1.0)
    for step in range(1, 11):
        with torch.no_grad():
            for layer in allocator.layers:
                layer.c.fill_(1.0)
        decision = allocator.step(step)
        if decision is not None:
            assert sum(int((layer.c != 0).sum()) for layer in allocator.layers) == decision.budget
    assert len(allocator.scores()[:5].unique()) == 1


def test_pruned_component_that_becomes_important_is_regrown() -> None:
    model, config = wrapped(prune_interval=1, warmup_ratio=0.0, beta=0.0, score="abs_c", schedule="fast_first")
    allocator = RankAllocator(model, config, 40)
    c = allocator.layers[0].c
    for step in range(1, 21):
        with torch.no_grad():
            for layer in allocator.layers:
                layer.c.fill_(1.0)
            c[0] = 0.5 if step < 5 else 2.0
        decision = allocator.step(step)
        if step == 4:
            assert c[0] == 0
        if step == 5:
            assert c[0] == 2
            assert decision is not None
            assert [(change.module_index, change.component) for change in decision.regrown] == [(0, 0)]
            assert decision.regrown[0].order == 1
            assert decision.total == 36


def test_the_scale_of_a_pruned_component_keeps_its_gradient() -> None:
    model, _config = wrapped()
    layer = components_of(model).layers[0]
    assert (layer.c == 0).all()
    inputs = torch.randn(2, 16, device=DEVICE)
    layer.lora(inputs).square().sum().backward()
    assert layer.c.grad is not None
    assert layer.c.grad.ne(0).all()


@settings(max_examples=15)
@given(
    target=st.integers(1, 4),
    more=st.integers(0, 4),
    total=st.integers(6, 40),
    interval=st.integers(1, 4),
    end=st.integers(30, 100),
    score=st.sampled_from(["norm_share", "norm", "abs_c", "random"]),
    unit=st.sampled_from(["components", "parameters"]),
    resume_at=st.integers(0, 40),
)
def test_live_equals_the_budget_and_state_round_trips(
    target: int, more: int, total: int, interval: int, end: int, score: str, unit: str, resume_at: int | None
) -> None:
    options: dict[str, Any] = {
        "target_rank": target,
        "initial_rank": target + more,
        "warmup_ratio": 0.1,
        "prune_end_ratio": end / 100,
        "prune_interval": interval,
        "score": score,
        "budget_unit": unit,
    }
    model, config = wrapped(**options)
    if config.window(total)[1] - config.window(total)[0] < interval:
        return
    allocator = RankAllocator(model, config, total)
    budgets = []
    for step in range(1, total + 1):
        shake(model, step)
        decision = allocator.step(step)
        if step == resume_at:
            state = allocator.state_dict()
            values = json.loads(json.dumps({k: v for k, v in state.items() if not isinstance(v, torch.Tensor)}))
            again = RankAllocator(model, config, total)
            again.load_state_dict(state | values)
            assert torch.equal(again.scores(), allocator.scores())
            assert again.live_ranks() == allocator.live_ranks()
            allocator = again
        if decision is None:
            continue
        budgets.append(decision.budget)
        in_components = decision.budget_in_components
        live = [(layer.c != 0).sum().item() for layer in allocator.layers]
        if unit == "components":
            assert sum(live) == decision.budget == decision.live
        else:
            cost = sum(count * layer.cost for count, layer in zip(live, allocator.layers, strict=True))
            assert cost == decision.live <= decision.budget
            off = [layer.cost for count, layer in zip(live, allocator.layers, strict=True) if count < config.width]
            assert not off or decision.budget - cost < min(off)
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[-1] == sum((layer.cost if unit == "parameters" else 1) * target for layer in allocator.layers)
    assert in_components == len(allocator.layers) * target


def test_select_ranks_nan_lowest_and_breaks_ties_by_index() -> None:
    choice = select(np.array([np.nan, 2.0, 1.0, 2.0, 1.0]), 3)
    assert choice.mask.tolist() == [False, True, True, True, False]
    assert choice.place.tolist() == [5, 1, 3, 2, 4]
    assert choice.threshold == 1.0


def test_select_with_costs_skips_components_that_no_longer_fit() -> None:
    choice = select(np.array([5.0, 4.0, 3.0]), 6, np.array([4, 3, 2]))
    assert choice.mask.tolist() == [True, False, True]


def test_sensitivity_is_scale_times_its_gradient() -> None:
    model, config = wrapped(score="sensitivity", init="zero_b", beta=0.0, prune_interval=1)
    allocator = RankAllocator(model, config, 20)
    with pytest.raises(ValueError, match="observe_gradients"):
        allocator.step(1)
    for layer in allocator.layers:
        layer.c.grad = torch.randn(3, device=DEVICE)
    gradients = [torch.as_tensor(layer.c.grad) for layer in allocator.layers]
    expected = torch.stack(
        [(layer.c * gradient).abs().detach() for layer, gradient in zip(allocator.layers, gradients, strict=True)]
    )
    allocator.observe_gradients()
    for layer in allocator.layers:
        layer.c.grad = None
    allocator.step(1)
    torch.testing.assert_close(allocator.scores(), expected)


def test_skipped_step_is_refused() -> None:
    model, config = wrapped()
    allocator = RankAllocator(model, config, 40)
    allocator.step(1)
    with pytest.raises(ValueError, match="after step 1"):
        allocator.step(3)


def test_state_of_a_run_of_another_length_is_refused_only_before_the_final_mask() -> None:
    model, config = wrapped(prune_interval=1)
    allocator = RankAllocator(model, config, 40)
    for step in range(1, 21):
        allocator.step(step)
        if step == 5:
            early = allocator.state_dict()
    longer = RankAllocator(model, config, 50)
    with pytest.raises(ValueError, match="40 steps, this one 50"):
        longer.load_state_dict(early)
    shorter = RankAllocator(model, config, 30)
    shorter.load_state_dict(allocator.state_dict())
    assert shorter.is_final


def test_state_of_other_shapes_is_refused() -> None:
    model, config = wrapped()
    other, wide = wrapped(target_rank=3)
    with pytest.raises(ValueError, match="this model has"):
        RankAllocator(other, wide, 40).load_state_dict(RankAllocator(model, config, 40).state_dict())


def test_a_model_that_was_not_wrapped_is_refused() -> None:
    model, _ = build()
    with pytest.raises(ValueError, match="has no dynamic-rank components"):
        RankAllocator(model, DynamicRankConfig(), 1000)


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
