import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_equations import naive_authors_keep, naive_budget, naive_keep, naive_scores
from tiny_models import build

from dynamic_rank import DynamicRankConfig, RankAllocator, wrap
from dynamic_rank.components import components_of
from dynamic_rank.selection import select


def wrapped(kind="bert", seed=0, **options):
    model, task = build(kind, seed)
    config = DynamicRankConfig(**({"target_rank": 2, "prune_interval": 3} | options))
    return wrap(model, config, task), config


def shake(model, step, tied=False):
    """Stands for an optimizer step: moves every factor, pruned scales too. Tied: all modules of a shape move alike."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for layer in components_of(model).layers:
            if tied:
                generator.manual_seed(step)
            for parameter, _ in layer.resized():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


def places(mask):
    return {(int(row), int(column)) for row, column in np.argwhere(mask)}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("schedule", ["slow_first", "fast_first", "linear"])
def test_scores_masks_and_budgets_follow_the_equations_over_a_whole_schedule(schedule, tied):
    model, config = wrapped(prune_interval=4, beta=0.7, schedule=schedule)
    allocator = RankAllocator(model, config, 60)
    if tied:
        with torch.no_grad():
            for layer in allocator.layers:
                for parameter, _ in layer.resized():
                    parameter.zero_()
    ema = torch.zeros(12, 3, dtype=torch.float64)
    mask = np.ones((12, 3), dtype=bool)
    for step in range(1, 61):
        shake(model, step, tied)
        if step <= 30:
            now = [
                naive_scores(*(t.detach().double() for t in (layer.A, layer.B, layer.c))) for layer in allocator.layers
            ]
            ema = 0.7 * ema + 0.3 * torch.stack(now)
        decision = allocator.step(step)
        torch.testing.assert_close(allocator.scores().double(), ema, rtol=1e-5, atol=1e-8)
        assert (decision is not None) == ((9 < step < 30 and step % 4 == 0) or step == 30)
        if decision is not None:
            before, budget = mask, naive_budget(step, 36, 24, 9, 30, schedule)
            # ties are exact in float32, and only there: the naive rule chooses on the library's own scores
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
            live = np.stack([(layer.c != 0).numpy() for layer in allocator.layers])
            np.testing.assert_array_equal(live, mask)
    assert sum(allocator.live_ranks().values()) == 24


@pytest.mark.parametrize("tied", [False, True])
def test_with_the_authors_choices_the_masks_are_those_of_their_rule(tied):
    """Their scores, from whole matrices, and their threshold, over a whole schedule."""
    model, config = wrapped(prune_interval=1, selection="threshold")
    allocator = RankAllocator(model, config, 40)
    ema = torch.zeros(12, 3)
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
            # One is pruned even while the budget still holds all.
            missing.append(min(budget, 35) - decision.live)
    assert min(missing) == 0
    # Ties at the threshold go together, so that fewer stay than the budget allows.
    assert (max(missing) > 0) == tied


def test_tied_components_really_tie_and_the_budget_is_still_exact():
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


def test_a_pruned_component_that_becomes_important_grows_back():
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
            assert [(change.module_index, change.component) for change in decision.regrown] == [(0, 0)]
            assert decision.regrown[0].order == 1
            assert decision.total == 36


def test_the_scale_of_a_pruned_component_keeps_its_gradient():
    model, _config = wrapped()
    layer = components_of(model).layers[0]
    assert (layer.c == 0).all()
    inputs = torch.randn(2, 16)
    layer.lora(inputs).square().sum().backward()
    assert (layer.c.grad != 0).all()


@settings(max_examples=15, deadline=None)
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
def test_live_equals_the_budget_and_state_round_trips(target, more, total, interval, end, score, unit, resume_at):
    options = {
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


def test_select_ranks_nan_lowest_and_breaks_ties_by_index():
    choice = select(np.array([np.nan, 2.0, 1.0, 2.0, 1.0]), 3)
    assert choice.mask.tolist() == [False, True, True, True, False]
    assert choice.place.tolist() == [5, 1, 3, 2, 4]
    assert choice.threshold == 1.0


def test_select_with_costs_passes_over_what_no_longer_fits():
    choice = select(np.array([5.0, 4.0, 3.0]), 6, np.array([4, 3, 2]))
    assert choice.mask.tolist() == [True, False, True]


def test_sensitivity_is_scale_times_its_gradient():
    model, config = wrapped(score="sensitivity", init="zero_b", beta=0.0, prune_interval=1)
    allocator = RankAllocator(model, config, 20)
    with pytest.raises(ValueError, match="observe_gradients"):
        allocator.step(1)
    for layer in allocator.layers:
        layer.c.grad = torch.randn(3)
    expected = torch.stack([(layer.c * layer.c.grad).abs().detach() for layer in allocator.layers])
    allocator.observe_gradients()
    for layer in allocator.layers:
        layer.c.grad = None
    allocator.step(1)
    torch.testing.assert_close(allocator.scores(), expected)


def test_a_step_left_out_is_refused():
    model, config = wrapped()
    allocator = RankAllocator(model, config, 40)
    allocator.step(1)
    with pytest.raises(ValueError, match="after step 1"):
        allocator.step(3)


def test_state_of_a_run_of_another_length_is_refused_before_the_final_mask_only():
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


def test_state_of_other_shapes_is_refused():
    model, config = wrapped()
    other, wide = wrapped(target_rank=3)
    with pytest.raises(ValueError, match="this model has"):
        RankAllocator(other, wide, 40).load_state_dict(RankAllocator(model, config, 40).state_dict())


def test_a_model_that_was_not_wrapped_is_refused():
    model, _ = build()
    with pytest.raises(ValueError, match="holds no dynamic-rank components"):
        RankAllocator(model, DynamicRankConfig(), 1000)
