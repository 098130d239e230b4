"""sora: a gate on each component, which an L1 proximal step moves to exactly zero (Ding et al., EMNLP 2023)."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback and RankMethod)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..allocation.snapshot import BoolArray, ComponentChange, FloatArray, OnSnapshot, PruneDecision, to_host
from ..saving.checkpoint import Folder
from ..saving.run_state import load_run_state, save_run_state
from ..schedule.checks import check_number, check_whole
from ..schedule.config import DynamicRankConfig
from ..warning import OnWarning, Warner
from .components import ComponentMethod
from .fixed_rank import SnapshotCallback
from .plain import AdapterOptions
from .protocol import ModulesToSave


@dataclass(frozen=True, kw_only=True)
class SoraOptions(AdapterOptions):
    """Options of `sora`.

    rank           initial rank of every module
    sparse_lambda  after each optimizer step, every gate moves towards zero by its learning rate * sparse_lambda and stops
                   at zero. There is no budget: this decides how much is pruned
    gate_lr_scale  learning rate of the gates relative to that of A and B
    """

    rank: int = 8
    sparse_lambda: float = 10.0
    gate_lr_scale: float = 1.0

    def __post_init__(self) -> None:
        check_whole("rank", self.rank, least=1)
        check_number("sparse_lambda", self.sparse_lambda, above=0)
        check_number("gate_lr_scale", self.gate_lr_scale, above=0)
        super().__post_init__()

    def config(self) -> DynamicRankConfig:
        """The components with their gates, with B = 0 as in LoRA."""
        return DynamicRankConfig(
            target_rank=self.rank,
            initial_rank=self.rank,
            lora_alpha=self.lora_alpha,
            lora_dropout=self.lora_dropout,
            target_modules=self.target_modules,
            init="zero_b",
            c_lr_scale=self.gate_lr_scale,
            eta=0,
        )


class Sora(ComponentMethod):
    """Sparse low-rank adaptation (SoRA): the gates determine the ranks, without a budget or a schedule."""

    key = "sora"

    def __init__(self, options: SoraOptions) -> None:
        super().__init__(options.config())
        self._options = options
        self._callback: SoraCallback | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return asdict(self._options)

    @torch.no_grad()
    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        wrapped = super().prepare(model, task_type, modules_to_save)
        for layer in self._components.layers:
            # As in the authors' program: gates of different sizes close one after another, not all at once.
            nn.init.normal_(layer.c)
        return wrapped

    @property
    def is_settled(self) -> bool:
        return self._callback is not None and self._callback.is_final

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        self._callback = SoraCallback(self, on_snapshot, snapshot_every, on_warning)
        return [self._callback]

    def check_attached(self, attached: Sequence[TrainerCallback]) -> None:
        if self._callback is None or all(callback is not self._callback for callback in attached):
            raise RuntimeError(
                "The Trainer does not have this method's SoraCallback, so no gate would ever close; "
                "pass callbacks=method.callbacks(...), using the result of the latest call."
            )

    def loss_term(self) -> Tensor | None:
        return None

    def gate_learning_rate(self, optimizer: Any) -> float:
        """The current learning rate of the optimizer's group with the gates."""
        gate = self._components.layers[0].c
        return next(float(group["lr"]) for group in optimizer.param_groups if any(p is gate for p in group["params"]))

    @torch.no_grad()
    def close_gates(self, learning_rate: float) -> None:
        """The proximal step: soft-threshold all gates at learning_rate * sparse_lambda, with a few batched kernels."""
        gates = [layer.c.data for layer in self._components.layers]
        signs = torch._foreach_sign(gates)
        sizes = torch._foreach_abs(gates)
        torch._foreach_sub_(sizes, learning_rate * self._options.sparse_lambda)
        torch._foreach_clamp_min_(sizes, 0.0)
        torch._foreach_mul_(sizes, signs)
        torch._foreach_copy_(gates, sizes)

    def gates(self) -> Tensor:
        """All gates (modules, width), on the device of the first module."""
        layers = self._components.layers
        return torch.stack([layer.c.detach().float().to(layers[0].c.device) for layer in layers])

    def save_state(self, folder: Folder) -> None:
        save_run_state(folder, self._wrapped, self.key, self.options, None)

    def load_state(self, folder: Folder) -> None:
        load_run_state(folder, self._wrapped, self.key, self.options)


class SoraCallback(SnapshotCallback):
    """Applies the proximal step after each optimizer step; the snapshot of the last step lists the closed gates."""

    is_final = False

    def __init__(
        self, method: Sora, on_snapshot: OnSnapshot | None, snapshot_every: int, on_warning: OnWarning | None
    ) -> None:
        super().__init__(on_snapshot, snapshot_every)
        self.method = method
        self.warn = Warner(on_warning)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Before the scheduler steps, so this is the learning rate of the optimizer step just made.
        self.method.close_gates(self.method.gate_learning_rate(kwargs["optimizer"]))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            self.is_final = True
            self.decision = self._decide(state.global_step)
            if not self.decision.pruned:
                self.warn(
                    "ranks_equal",
                    "No gate closed, so this is plain LoRA: increase sparse_lambda, the learning rate or the steps.",
                )
        super().on_step_end(args, state, control, **kwargs)
        self.decision = None

    def _decide(self, step: int) -> PruneDecision:
        mask, scores = self._read()
        place = np.empty(mask.size, dtype=np.int64)
        place[np.argsort(-scores.reshape(-1), kind="stable")] = np.arange(1, mask.size + 1)
        names = [module.name for module in self.method.modules()]
        closed = tuple(
            ComponentChange(names[m], int(m), int(i), 0.0, int(place.reshape(mask.shape)[m, i]))
            for m, i in zip(*np.nonzero(~mask), strict=True)
        )
        live = int(mask.sum())
        return PruneDecision(step, live, live, float(scores[mask].min()) if live else None, True, mask.size, closed, ())

    def _read(self) -> tuple[BoolArray, FloatArray]:
        """Which gates are open, and their magnitudes as scores. Costs one copy from the device."""
        gates = to_host(self.method.gates())
        return gates != 0, np.abs(gates)
