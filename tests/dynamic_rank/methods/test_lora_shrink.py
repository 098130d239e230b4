"""lora_shrink: the strongest singular directions are kept."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dynamic_rank.adapter.lora_pair import LoraPair
from dynamic_rank.allocation.snapshot import Snapshot
from dynamic_rank.methods.lora_shrink import LoraShrink, singular_directions
from tests.dynamic_rank.rivals import made, train
from tests.dynamic_rank.tiny_models import DEVICE, build, random_like


def random_pairs(method: Any) -> Any:
    generator = torch.Generator().manual_seed(2)
    for pair in method.pairs:
        scale = torch.rand((), generator=generator) + 0.1
        pair.replace(random_like(pair.A, generator) * scale.to(DEVICE), random_like(pair.B, generator))
    return {pair.name: (pair.scaling * pair.B @ pair.A).detach() for pair in method.pairs}


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_shrinking_keeps_the_strongest_singular_directions(allocation: str) -> None:
    method = made(LoraShrink, {"target_rank": 2, "initial_rank": 4, "allocation": allocation})
    method.prepare(*build())
    updates = random_pairs(method)
    decision = method.shrink(7)
    strengths = torch.stack([torch.linalg.svdvals(update)[:4] for update in updates.values()])
    if allocation == "uniform":
        expected = [2] * 12
    else:
        threshold = strengths.flatten().sort(descending=True).values[23]
        expected = (strengths >= threshold).sum(1).tolist()
        assert len(set(expected)) > 1
    assert [pair.rank for pair in method.pairs] == expected
    assert decision.live == decision.budget == 24
    assert len(decision.pruned) == 24
    assert decision.is_final
    for pair in method.pairs:
        # No matrix of this rank is closer (Eckart and Young). Compares the distance and not the matrix itself, whose
        # directions change with rounding if two singular values are close.
        discarded = torch.linalg.svdvals(updates[pair.name].double())[pair.rank :]
        distance = torch.linalg.matrix_norm(updates[pair.name] - (pair.scaling * pair.B @ pair.A).detach())
        torch.testing.assert_close(distance.double(), torch.linalg.vector_norm(discarded), rtol=1e-4, atol=5e-5)


def test_singular_directions_reproduce_the_update() -> None:
    method = made(LoraShrink, {"target_rank": 1})
    method.prepare(*build())
    updates = random_pairs(method)
    for pair in method.pairs:
        U, s, Vh = singular_directions(LoraPair(pair.name, pair.lora))
        torch.testing.assert_close(U @ torch.diag(s) @ Vh, updates[pair.name], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(s, torch.linalg.svdvals(updates[pair.name])[:4], rtol=1e-4, atol=1e-5)


def test_small_singular_values_next_to_large_ones_are_exact() -> None:
    method = made(LoraShrink, {"target_rank": 1})
    method.prepare(*build())
    random_pairs(method)
    pair = method.pairs[0]
    mixed = torch.randn(4, 4, generator=torch.Generator().manual_seed(3)) * torch.tensor([1e3, 1.0, 1.0, 1e-2])[:, None]
    pair.replace(pair.A.detach()[:4], pair.B.detach()[:, :4] @ mixed.to(pair.B.device))
    _, s, _ = singular_directions(pair)
    exact = torch.linalg.svdvals(pair.scaling * pair.B.double() @ pair.A.double())[:4]
    torch.testing.assert_close(s.double(), exact, rtol=1e-5, atol=0)  # float32: off by 7e-4


def test_shrinking_happens_after_the_given_step_and_training_continues(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    trainer, method, _ = train(tmp_path, "lora_shrink", {"shrink_at_ratio": 0.6}, on_snapshot=snapshots.append)
    assert [s.step for s in snapshots if s.is_pruning_step] == [12]
    assert {s.live for s in snapshots if s.step < 12} == {12 * 8}
    assert {s.live for s in snapshots if s.step >= 12} == {24}
    pair = next(pair for pair in method.pairs if pair.rank)
    assert trainer.optimizer.state[pair.A]["exp_avg"].shape == pair.A.shape
    assert trainer.optimizer.state[pair.A]["step"] == 8


def test_initial_rank_above_the_size_of_a_module_is_refused() -> None:
    with pytest.raises(ValueError, match="initial_rank=32 is larger than"):
        made(LoraShrink, {"target_rank": 8}).prepare(*build())
