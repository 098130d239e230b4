import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamic_rank import DynamicRankConfig, RankAllocator
from dynamic_rank.adapter.components import RankLayer, components_of
from dynamic_rank.allocation.selection import select
from dynamic_rank.schedule.config import ScheduleShape
from tests.dynamic_rank.naive_equations import naive_authors_keep, naive_budget, naive_keep, naive_scores
from tests.dynamic_rank.tiny_models import DEVICE, build
from tests.dynamic_rank.wrapped_models import shake, wrapped


def in_float64(layer: RankLayer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return layer.A.detach().double(), layer.B.detach().double(), layer.c.detach().double()


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
