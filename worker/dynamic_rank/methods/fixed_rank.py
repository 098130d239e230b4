"""Snapshots of methods without an allocator, so that their ranks appear on the same heatmap."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..adapter.lora_pair import LoraPair
from ..allocation.scores import component_scores
from ..allocation.snapshot import BoolArray, FloatArray, OnSnapshot, PruneDecision, Snapshot, to_host


class SnapshotCallback(TrainerCallback):
    """Reports a snapshot at the start, every `snapshot_every` steps, at a step with a decision, and at the end."""

    is_final = True
    """Whether the ranks can no longer change."""
    decision: PruneDecision | None = None
    """The changes of the current step."""

    def __init__(self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1) -> None:
        if snapshot_every < 1:
            raise ValueError(f"snapshot_every={snapshot_every} must be at least 1; set it to 1 for every step.")
        self.on_snapshot = on_snapshot
        self.snapshot_every = snapshot_every
        self._reported = -1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._report(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.decision is not None or state.global_step % self.snapshot_every == 0:
            self._report(state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._reported != state.global_step:
            self._report(state)

    def _report(self, state: TrainerState) -> None:
        self._reported = state.global_step
        if self.on_snapshot is None:
            return
        mask, scores = self._read()
        decision = self.decision
        self.on_snapshot(
            Snapshot(
                step=state.global_step,
                total_steps=state.max_steps,
                budget=int(mask.sum()),
                live=int(mask.sum()),
                threshold=None if decision is None else decision.threshold,
                is_pruning_step=decision is not None,
                is_final=self.is_final,
                n_modules=mask.shape[0],
                width=mask.shape[1],
                mask=mask,
                scores=scores,
                decision=decision,
            )
        )

    def _read(self) -> tuple[BoolArray, FloatArray]:
        """Current mask and scores (modules, width)."""
        raise TypeError(f"{type(self).__name__} must implement _read().")


class FixedRankCallback(SnapshotCallback):
    """Reports the first `rank` components of each module as live; scores are shares in the module's update (Eq. 7)."""

    def __init__(
        self, pairs: Sequence[LoraPair], width: int, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1
    ) -> None:
        super().__init__(on_snapshot, snapshot_every)
        self.pairs = pairs
        self.width = width

    def _read(self) -> tuple[BoolArray, FloatArray]:
        """Which components exist, and their scores (modules, width). Costs one copy from the device."""
        ranks = np.array([pair.rank for pair in self.pairs])
        return np.arange(self.width)[None, :] < ranks[:, None], to_host(component_shares(self.pairs, self.width))


@torch.no_grad()
def component_shares(pairs: Sequence[LoraPair], width: int) -> Tensor:
    """Share of each component in its module's update (modules, width): Mao et al. 2024, Eq. 7 with c = 1.

    Entries beyond a module's rank are 0. Modules of one shape share batched kernels.
    """
    groups: dict[Any, list[int]] = {}
    for row, pair in enumerate(pairs):
        groups.setdefault((pair.A.shape, pair.B.shape), []).append(row)
    device = pairs[0].A.device
    result = torch.zeros((len(pairs), width), device=device)
    for rows in groups.values():
        A = torch.stack([pairs[row].A for row in rows])
        B = torch.stack([pairs[row].B for row in rows])
        rank = A.shape[1]
        shares = component_scores(A, B, A.new_ones(A.shape[:2])).float()
        result[torch.tensor(rows, device=device)[:, None], torch.arange(rank, device=device)] = shares
    return result
