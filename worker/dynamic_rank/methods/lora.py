"""lora: PEFT's LoRA at one fixed rank, with rsLoRA as an option; the baseline at equal budget."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback, Trainer and RankMethod)
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..checkpoint import Folder, check_same, load_state, restore_trained_tensors, save_state, trained_tensors
from ..export import write_lora
from ..run_state import versions
from ..scores import component_scores
from ..snapshot import OnSnapshot, Snapshot, to_host
from ..targets import AdaptedModule, describe
from ..warning import OnWarning
from ..wrapping import ADAPTER, lora_layers, wrap_lora
from .protocol import ParameterCount


@dataclass(frozen=True)
class LoraOptions:
    """rank: of every module. The others as in PEFT; target_modules None means as in dynamic_rank."""

    rank: int = 8
    lora_alpha: float = 8
    lora_dropout: float = 0.1
    use_rslora: bool = False
    target_modules: Iterable[str] | str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.rank, bool) or not isinstance(self.rank, int) or self.rank < 1:
            raise ValueError(f"rank={self.rank!r} must be a whole number of at least 1; set rank to 1 or more.")
        if not (isinstance(self.lora_alpha, int | float) and math.isfinite(self.lora_alpha) and self.lora_alpha > 0):
            raise ValueError(f"lora_alpha={self.lora_alpha!r} must be a number above 0; change lora_alpha.")
        if not (isinstance(self.lora_dropout, int | float) and 0 <= self.lora_dropout < 1):
            raise ValueError(f"lora_dropout={self.lora_dropout!r} must be at least 0 and below 1; change lora_dropout.")
        if self.target_modules is not None:
            names = [self.target_modules] if isinstance(self.target_modules, str) else list(self.target_modules)
            object.__setattr__(self, "target_modules", names)


class Lora:
    """One fixed rank everywhere. Snapshots show full masks and each component's share in its module's update."""

    key = "lora"
    is_settled = True

    def __init__(self, options: LoraOptions) -> None:
        self._options = options
        self._model: PeftModel | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return asdict(self._options)

    def prepare(self, model: nn.Module, task_type: object = None) -> nn.Module:
        self._model = wrap_lora(model, task_type=task_type, **asdict(self._options))
        return self._model

    def check_schedule(self, total_steps: int) -> None:
        """Any length of run works."""

    def modules(self) -> list[AdaptedModule]:
        layers = lora_layers(self._wrapped)
        return describe([name for name, _ in layers], [(lora.out_features, lora.in_features) for _, lora in layers])

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        return [FixedRankCallback(on_snapshot, snapshot_every)]

    def check_attached(self, attached: Sequence[TrainerCallback]) -> None:
        """Nothing depends on a callback."""

    def loss_term(self) -> Tensor | None:
        return None

    def learning_rate_scales(self) -> list[tuple[list[nn.Parameter], float]]:
        return []

    def trained_parameters(self) -> ParameterCount:
        adapter = sum(self._options.rank * (m.in_features + m.out_features) for m in self.modules())
        everything = sum(p.numel() for p in self._wrapped.parameters() if p.requires_grad)
        return ParameterCount(adapter, everything - adapter)

    def kept_parameters(self) -> ParameterCount:
        return self.trained_parameters()

    def export(self, folder: Folder) -> None:
        with torch.no_grad():
            factors = {
                name: (lora.lora_A[ADAPTER].weight, lora.lora_B[ADAPTER].weight * lora.scaling[ADAPTER])
                for name, lora in lora_layers(self._wrapped)
            }
        write_lora(self._wrapped, factors, folder)

    def save_state(self, folder: Folder) -> None:
        info = {"method": self.key, "options": dict(self.options), "versions": versions()}
        save_state(folder, trained_tensors(self._wrapped), info)

    def load_state(self, folder: Folder) -> None:
        tensors, info = load_state(folder)
        check_same(info, {"method": self.key}, "the")
        check_same(info["options"], self.options, self.key)
        restore_trained_tensors(self._wrapped, tensors)

    @property
    def _wrapped(self) -> PeftModel:
        if self._model is None:
            raise RuntimeError("Lora has no model yet; call prepare(model, task_type) first.")
        return self._model


class FixedRankCallback(TrainerCallback):
    """Reports snapshots of a plain LoRA: at the begin, every `snapshot_every` steps, and at the end."""

    def __init__(self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1) -> None:
        if snapshot_every < 1:
            raise ValueError(f"snapshot_every={snapshot_every} must be at least 1; set it to 1 for every step.")
        self.on_snapshot = on_snapshot
        self.snapshot_every = snapshot_every
        self._reported = -1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._report(state, kwargs["model"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self.snapshot_every == 0:
            self._report(state, kwargs["model"])

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._reported != state.global_step:
            self._report(state, kwargs["model"])

    def _report(self, state: TrainerState, model: PeftModel) -> None:
        if self.on_snapshot is None:
            return
        scores = to_host(component_shares(model))
        self._reported = state.global_step
        self.on_snapshot(
            Snapshot(
                step=state.global_step,
                total_steps=state.max_steps,
                budget=scores.size,
                live=scores.size,
                threshold=None,
                is_pruning_step=False,
                is_final=True,
                n_modules=scores.shape[0],
                width=scores.shape[1],
                mask=np.ones(scores.shape, dtype=bool),
                scores=scores,
            )
        )


@torch.no_grad()
def component_shares(model: PeftModel) -> Tensor:
    """Each component's share in its module's update (modules, rank), Eq. 7 with c = 1; batched by shape."""
    layers = [lora for _, lora in lora_layers(model)]
    groups: dict[Any, list[int]] = {}
    for row, lora in enumerate(layers):
        groups.setdefault((lora.lora_A[ADAPTER].weight.shape, lora.lora_B[ADAPTER].weight.shape), []).append(row)
    first = layers[0].lora_A[ADAPTER].weight
    result = torch.empty((len(layers), first.shape[0]), device=first.device)
    for rows in groups.values():
        A = torch.stack([layers[row].lora_A[ADAPTER].weight for row in rows])
        B = torch.stack([layers[row].lora_B[ADAPTER].weight for row in rows])
        result[torch.tensor(rows, device=first.device)] = component_scores(A, B, A.new_ones(A.shape[:2])).float()
    return result
