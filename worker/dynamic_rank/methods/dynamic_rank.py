"""dynamic_rank: Dynamic Low-Rank Adaptation (DoRA, Mao et al., ACL 2024)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import TrainerCallback

from ..adapter.orthogonality import orthogonal_loss
from ..adapter.regularizer import add_dem_gradient
from ..allocation.allocator import RankAllocator
from ..allocation.snapshot import OnSnapshot
from ..saving.checkpoint import Folder
from ..saving.run_state import load_run_state, save_run_state
from ..schedule.config import DynamicRankConfig
from ..training.callback import DynamicRankCallback
from ..warning import OnWarning
from .components import ComponentMethod
from .protocol import ModulesToSave, RunContext, SteerAction


class DynamicRank(ComponentMethod):
    """Moves rank between modules during training; see DynamicRankConfig for the options."""

    key = "dynamic_rank"
    schedule_options = frozenset(
        {
            "target_rank",
            "warmup_ratio",
            "prune_end_ratio",
            "prune_interval",
            "pruning_phase",
            "schedule",
            "beta",
            "eps",
            "eta",
            "score",
            "c_lr_scale",
            "lora_dropout",
        }
    )
    """Options that a fork may change: they affect future steps, but not the saved tensors."""

    def __init__(self, config: DynamicRankConfig) -> None:
        super().__init__(config)
        self._callback: DynamicRankCallback | None = None
        self._resume_state: Mapping[str, Any] | None = None
        self.is_fork = False
        """Set before `load_state`: the checkpoint is another run's, whose schedule_options may differ."""
        self.keeps_raw_scores = False
        """Set before `callbacks`: snapshots also have the scores before smoothing."""

    @property
    def allocator(self) -> RankAllocator | None:
        """The allocator, which scores, prunes and can be steered; None before training begins."""
        return self._callback.allocator if self._callback is not None else None

    @property
    def options(self) -> Mapping[str, Any]:
        return self.config.to_dict()

    @property
    def is_settled(self) -> bool:
        return self._callback is not None and self._callback.is_settled

    def set_context(self, context: RunContext) -> None:
        self.is_fork = context.is_fork
        self.keeps_raw_scores = context.keeps_raw_scores

    def steer(self, action: SteerAction, target_rank: int | None = None) -> None:
        allocator = self.allocator
        if allocator is None:
            raise ValueError("Training has not begun, so there are no ranks to steer.")
        match action:
            case "hold":
                allocator.hold()
            case "release":
                allocator.release()
            case "freeze":
                allocator.freeze()
            case "target":
                if target_rank is None:
                    raise ValueError("Action target needs a target_rank.")
                allocator.set_target(target_rank)

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        self._callback = self._resume_state = None
        return super().prepare(model, task_type, modules_to_save)

    def bind(self, on_resize: Callable[[], None]) -> None:
        if self._callback is not None:
            self._callback.on_resize = on_resize

    def check_schedule(self, total_steps: int) -> None:
        self.config.check_schedule(total_steps)

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        self._callback = DynamicRankCallback(self.config, on_snapshot, snapshot_every, on_warning)
        self._callback.keeps_raw_scores = self.keeps_raw_scores
        self._callback.resume_state = self._resume_state
        return [self._callback]

    def check_attached(self, attached: Sequence[TrainerCallback]) -> None:
        if self._callback is None or all(callback is not self._callback for callback in attached):
            raise RuntimeError(
                "The Trainer does not have this method's DynamicRankCallback, so the ranks would never change; "
                "pass callbacks=method.callbacks(...), using the result of the latest call."
            )

    def loss_term(self) -> Tensor | None:
        if self.config.eta == 0 or self.config.regularizer != "orthogonal":
            return None
        return self.config.eta * orthogonal_loss(self._wrapped)

    def add_gradients(self, loss_scale: Tensor | None) -> Tensor | None:
        is_due, self._components.is_term_due = self._components.is_term_due, False
        if not is_due or self.config.eta == 0 or self.config.regularizer != "dem" or self.is_settled:
            return None
        scaled = self.config.eta if loss_scale is None else self.config.eta * loss_scale
        return self.config.eta * add_dem_gradient(self._wrapped, scaled)

    def live_ranks(self) -> dict[str, int]:
        # Those of the latest pruning: since then, a pruned scale may have moved away from zero.
        allocator = self._callback.allocator if self._callback is not None else None
        if allocator is not None:
            return allocator.live_ranks()
        return {layer.name: len(layer.kept) for layer in self._components.layers}

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
