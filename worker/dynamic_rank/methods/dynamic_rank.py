"""dynamic_rank: the method of this library (DoRA, Mao et al., ACL 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from peft import PeftModel
from torch import Tensor, nn
from transformers import TrainerCallback

from ..allocator import RankAllocator
from ..callback import DynamicRankCallback
from ..checkpoint import Folder
from ..components import Components, components_of
from ..config import DynamicRankConfig
from ..export import export_lora
from ..regularizer import dem_loss
from ..run_state import load_run_state, save_run_state
from ..snapshot import OnSnapshot
from ..targets import AdaptedModule, describe
from ..warning import OnWarning
from ..wrapping import wrap
from .protocol import ParameterCount


class DynamicRank:
    """Ranks that move between modules while training; see DynamicRankConfig for the options."""

    key = "dynamic_rank"
    schedule_options = frozenset(
        {"target_rank", "warmup_ratio", "prune_end_ratio", "prune_interval", "schedule", "beta", "eps", "eta", "score",
         "c_lr_scale", "lora_dropout"}
    )  # fmt: skip
    """Options that a fork may change: they decide what comes, not what the tensors are."""

    def __init__(self, config: DynamicRankConfig) -> None:
        self.config = config
        self._model: PeftModel | None = None
        self._callback: DynamicRankCallback | None = None
        self._resume_state: Mapping[str, Any] | None = None
        self._trained = ParameterCount(0, 0)
        self.is_fork = False
        """Set before `load_state`: the checkpoint is another run's, whose schedule_options may have been others."""

    @property
    def allocator(self) -> RankAllocator | None:
        """What scores and prunes, and can be steered; None before training begins."""
        return self._callback.allocator if self._callback is not None else None

    @property
    def options(self) -> Mapping[str, Any]:
        return self.config.to_dict()

    @property
    def is_settled(self) -> bool:
        return self._callback is not None and self._callback.is_settled

    def prepare(self, model: nn.Module, task_type: object = None) -> nn.Module:
        self._model = wrap(model, self.config, task_type)
        self._callback = self._resume_state = None
        self._trained = ParameterCount(sum(p.numel() for p in self._components.parameters()), self._head_size())
        return self._model

    def check_schedule(self, total_steps: int) -> None:
        self.config.check_schedule(total_steps)

    def modules(self) -> list[AdaptedModule]:
        layers = self._components.layers
        sizes = [(layer.lora.out_features, layer.lora.in_features) for layer in layers]
        return describe([layer.name for layer in layers], sizes)

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        self._callback = DynamicRankCallback(self.config, on_snapshot, snapshot_every, on_warning)
        self._callback.resume_state = self._resume_state
        return [self._callback]

    def check_attached(self, attached: Sequence[TrainerCallback]) -> None:
        if self._callback is None or all(callback is not self._callback for callback in attached):
            raise RuntimeError(
                "The Trainer has no DynamicRankCallback of this method, so its ranks would never move; "
                "pass callbacks=method.callbacks(...), from the last call of it."
            )

    def loss_term(self) -> Tensor | None:
        if self.config.eta == 0 or self.is_settled:
            return None
        return self.config.eta * dem_loss(self._wrapped)

    def learning_rate_scales(self) -> list[tuple[list[nn.Parameter], float]]:
        if self.config.c_lr_scale == 1:
            return []
        return [([layer.c for layer in self._components.layers], self.config.c_lr_scale)]

    def trained_parameters(self) -> ParameterCount:
        return self._trained

    def kept_parameters(self) -> ParameterCount:
        allocator = self._callback.allocator if self._callback is not None else None
        layers = self._components.layers
        ranks = allocator.live_ranks() if allocator is not None else {layer.name: len(layer.kept) for layer in layers}
        return ParameterCount(sum(ranks[layer.name] * layer.cost for layer in layers), self._head_size())

    def export(self, folder: Folder) -> None:
        export_lora(self._wrapped, folder)

    def save_state(self, folder: Folder) -> None:
        allocator = self._callback.allocator if self._callback is not None else None
        save_run_state(folder, self._wrapped, self.key, self.options, allocator)

    def load_state(self, folder: Folder) -> None:
        may_differ = self.schedule_options if self.is_fork else frozenset()
        state = load_run_state(folder, self._wrapped, self.key, self.options, may_differ)
        self._resume_state = state
        if self._callback is None:
            return
        self._callback.resume_state = state
        if self._callback.allocator is not None and state is not None:
            self._callback.allocator.load_state_dict(state)

    @property
    def _wrapped(self) -> PeftModel:
        if self._model is None:
            raise RuntimeError("DynamicRank has no model yet; call prepare(model, task_type) first.")
        return self._model

    @property
    def _components(self) -> Components:
        return components_of(self._wrapped)

    def _head_size(self) -> int:
        own = {id(parameter) for parameter in self._components.parameters()}
        return sum(p.numel() for p in self._wrapped.parameters() if p.requires_grad and id(p) not in own)
