"""Replay: on a GPU the scores are computed by one captured graph, and equal those of the separate kernels."""

import pytest
import torch
from torch import Tensor

from dynamic_rank import DynamicRankConfig, RankAllocator, wrap
from dynamic_rank.adapter.components import components_of, replace_data
from dynamic_rank.allocation.replay import Replay
from tests.dynamic_rank.tiny_models import DEVICE, build


@pytest.mark.parametrize("score", ["norm_share", "norm", "abs_c"])
def test_scores_are_the_same_with_and_without_a_captured_graph(score: str) -> None:
    model, task = build()
    config = DynamicRankConfig.from_dict({"target_rank": 2, "score": score, "prune_interval": 3})
    model = wrap(model, config, task).to(DEVICE)
    layers = components_of(model).layers
    allocators = [RankAllocator(model, config, 40) for _ in range(2)]
    allocators[1]._replay._can = False
    for allocator in allocators:
        allocator.keeps_raw_scores = True
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 15):
        for layer in layers:
            for parameter, _ in layer.resized():
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator).to(DEVICE)
        if step == 9:  # as after a move of the model: the graph holds the old addresses
            for layer in layers:
                replace_data(layer.A, layer.A.data.clone())
        ours, plain = (allocator.step(step) for allocator in allocators)
        assert (ours is None) == (plain is None)
        assert torch.equal(allocators[0].scores(), allocators[1].scores())
        raw, expected = (allocator.snapshot().raw_scores for allocator in allocators)
        assert raw is not None
        assert expected is not None
        assert (raw == expected).all()
        if step in (8, 14):
            assert allocators[0]._replay.is_captured == (DEVICE != "cpu")
    assert not allocators[1]._replay.is_captured
    while not allocators[0].is_final:
        allocators[0].step(allocators[0].last_step + 1)
    assert not allocators[0]._replay.is_captured  # its memory is free for the rest of the training


def test_what_cannot_be_captured_is_computed_each_time() -> None:
    calls: list[float] = []
    value = torch.ones((), device=DEVICE)

    def waits(*_: Tensor) -> None:
        calls.append(float(value))  # a wait for the device, which a graph can't contain

    replay = Replay(waits, [value])
    for number in range(6):
        value.fill_(number)
        replay()
    assert calls == [0, 1, 2, 3, 4, 5]
    assert not replay.is_captured
