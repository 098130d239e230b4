"""full: all weights are trained, as a reference for the adapters."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback, Trainer and RankMethod)
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn
from transformers import PreTrainedModel, TrainerCallback

from ..adapter.targets import AdaptedModule
from ..allocation.snapshot import OnSnapshot
from ..saving.checkpoint import Folder, check_same, load_state, restore_trained_tensors, save_state, trained_tensors
from ..saving.export import Layout
from ..saving.run_state import versions
from ..warning import OnWarning
from .protocol import Batches, ModulesToSave, ParameterCount, RunContext, SteerAction


@dataclass(frozen=True, kw_only=True)
class FullOptions:
    """`full` has no options."""


class Full:
    """Full fine-tuning: no adapted modules and no snapshots. The export is a model for `from_pretrained`."""

    key = "full"
    width = 0
    is_settled = True
    decays_every_parameter = False

    def __init__(self, options: FullOptions | None = None) -> None:
        self._model: nn.Module | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return {}

    def set_context(self, context: RunContext) -> None:
        """Nothing depends on the run."""

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        model.requires_grad_(True)
        self._model = model
        return model

    def initialize(self, batches: Batches) -> None:
        """Nothing depends on the data."""

    def bind(self, on_resize: Callable[[], None]) -> None:
        """No tensor changes its shape."""

    def check_schedule(self, total_steps: int) -> None:
        """Any length of run works."""

    def modules(self) -> list[AdaptedModule]:
        return []

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        return []

    def check_attached(self, attached: Sequence[TrainerCallback]) -> None:
        """Nothing depends on a callback."""

    def steer(self, action: SteerAction, target_rank: int | None = None) -> None:
        raise ValueError("This method has no ranks to steer.")

    def loss_term(self) -> Tensor | None:
        return None

    def add_gradients(self, loss_scale: Tensor | None) -> Tensor | None:
        return None

    def learning_rate_scales(self) -> list[tuple[list[nn.Parameter], float]]:
        return []

    def trained_parameters(self) -> ParameterCount:
        return ParameterCount(sum(p.numel() for p in self._whole.parameters() if p.requires_grad), 0)

    def kept_parameters(self) -> ParameterCount:
        return self.trained_parameters()

    def export(self, folder: Folder, layout: Layout = "uniform") -> None:
        cast(PreTrainedModel, self._whole).save_pretrained(str(folder))

    def save_state(self, folder: Folder) -> None:
        save_state(folder, trained_tensors(self._whole), {"method": self.key, "options": {}, "versions": versions()})

    def load_state(self, folder: Folder) -> None:
        tensors, info = load_state(folder)
        check_same(info, {"method": self.key}, "the")
        restore_trained_tensors(self._whole, tensors)

    @property
    def _whole(self) -> nn.Module:
        if self._model is None:
            raise RuntimeError("Full has no model yet; call prepare(model) first.")
        return self._model
