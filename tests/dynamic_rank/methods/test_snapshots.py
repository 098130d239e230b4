"""Snapshots of a training: when they are reported, what they contain and what they cost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Trainer

from dynamic_rank import (
    create_method,
    make_trainer_class,
)
from dynamic_rank.allocation import snapshot
from dynamic_rank.allocation.snapshot import Snapshot
from tests.dynamic_rank.method_runs import train
from tests.dynamic_rank.tiny_models import Rows, arguments, build


def test_snapshots_are_reported_at_the_start_every_step_and_the_end_in_one_layout(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    train(tmp_path, on_snapshot=snapshots.append)
    assert [s.step for s in snapshots] == list(range(21))
    assert {(s.mask.shape, s.scores.shape, s.n_modules, s.width) for s in snapshots} == {((12, 3), (12, 3), 12, 3)}
    assert snapshots[0].mask.all()
    assert not snapshots[0].scores.any()
    assert [s.is_final for s in snapshots] == [s.step >= 10 for s in snapshots]
    assert all((s.dem is not None) == (1 <= s.step <= 10) for s in snapshots)
    assert not set(map(id, snapshots)) & {id(None)}
    assert len({s.pack_mask() for s in snapshots}) > 1


def test_snapshots_every_seven_steps_still_include_every_pruning(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    train(tmp_path, on_snapshot=snapshots.append, every=7)
    assert [s.step for s in snapshots] == [0, 3, 5, 7, 9, 10, 14, 20]


def test_a_snapshot_costs_one_copy_to_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[int] = []
    original = snapshot.to_host

    def counted(tensor: torch.Tensor) -> Any:
        copies.append(tensor.nbytes)
        return original(tensor)

    monkeypatch.setattr("dynamic_rank.allocation.allocator.to_host", counted)
    train(tmp_path, on_snapshot=lambda s: None)
    # one per step from 0 to 10: two bytes per score, four at a pruning (3, 5, 7, 9, 10), and four for the DEM value
    between, pruning = 2 * 36 + 4, 4 * 36 + 4
    assert copies == [2 * 36, *[between] * 2, *[pruning, between] * 3, pruning, pruning]


def test_scores_between_prunings_are_the_allocators_in_float16(tmp_path: Path) -> None:
    seen: list[tuple[Snapshot, Any]] = []

    def look(snapshot: Snapshot) -> None:
        seen.append((snapshot, method._callback.allocator.scores().cpu().numpy()))

    model, task = build()
    method: Any = create_method("dynamic_rank", {"target_rank": 2, "prune_interval": 2})
    model = method.prepare(model, task)
    trainer = make_trainer_class(Trainer)(
        model=model, args=arguments(tmp_path), method=method, train_dataset=Rows(), callbacks=method.callbacks(look)
    )
    trainer.train()
    for s, scores in seen[:11]:
        expected = scores if s.is_pruning_step else scores.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(s.scores, expected)


def test_packed_snapshots_are_little_endian_halves_and_bits(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    train(tmp_path, on_snapshot=snapshots.append)
    last = snapshots[-1]
    assert np.array_equal(np.frombuffer(last.pack_scores(), "<f2").reshape(12, 3), last.scores.astype(np.float16))
    bits = np.unpackbits(np.frombuffer(last.pack_mask(), np.uint8), bitorder="little")[:36]
    assert np.array_equal(bits.reshape(12, 3).astype(bool), last.mask)
    broken = snapshot.Snapshot(**(vars(last) | {"scores": np.full((12, 3), np.nan, np.float32)}))
    assert np.isnan(np.frombuffer(broken.pack_scores(), "<f2")).all()
