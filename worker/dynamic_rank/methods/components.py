"""ComponentMethod: base class of the methods that prune rank-1 components, by any rule."""

# ruff: noqa: ARG002  (signatures are those of RankMethod)
from __future__ import annotations

from collections.abc import Callable

from peft import PeftModel
from torch import Tensor, nn

from ..adapter.components import Components, components_of
from ..adapter.targets import AdaptedModule, describe
from ..saving.checkpoint import Folder
from ..saving.export import Layout, export_lora
from ..schedule.config import DynamicRankConfig
from ..wrapping import wrap
from .protocol import Batches, ModulesToSave, ParameterCount, RunContext, SteerAction


class ComponentMethod:
    """Adds the components of `config` to a model; counts, describes and exports them."""

    key: str

    def __init__(self, config: DynamicRankConfig) -> None:
        self.config = config
        self._model: PeftModel | None = None
        self._trained = ParameterCount(0, 0)

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def decays_every_parameter(self) -> bool:
        return self.config.decays_every_parameter

    def set_context(self, context: RunContext) -> None:
        """Nothing depends on the run."""

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        self._model = wrap(model, self.config, task_type, modules_to_save)
        self._trained = ParameterCount(sum(p.numel() for p in self._components.parameters()), self._head_size())
        return self._model

    def initialize(self, batches: Batches) -> None:
        """Nothing depends on the data before training."""

    def bind(self, on_resize: Callable[[], None]) -> None:
        """No tensor changes its shape."""

    def check_schedule(self, total_steps: int) -> None:
        """Any length of run works."""

    def modules(self) -> list[AdaptedModule]:
        layers = self._components.layers
        sizes = [(layer.lora.out_features, layer.lora.in_features) for layer in layers]
        return describe([layer.name for layer in layers], sizes)

    def steer(self, action: SteerAction, target_rank: int | None = None) -> None:
        raise ValueError("This method has no ranks to steer.")

    def add_gradients(self, loss_scale: Tensor | None) -> Tensor | None:
        """No term has its gradient in closed form."""
        return None

    def learning_rate_scales(self) -> list[tuple[list[nn.Parameter], float]]:
        if self.config.c_lr_scale == 1:
            return []
        return [([layer.c for layer in self._components.layers], self.config.c_lr_scale)]

    def trained_parameters(self) -> ParameterCount:
        return self._trained

    def kept_parameters(self) -> ParameterCount:
        ranks = self.live_ranks()
        adapter = sum(ranks[layer.name] * layer.cost for layer in self._components.layers)
        return ParameterCount(adapter, self._head_size())

    def live_ranks(self) -> dict[str, int]:
        """Number of components of each module in an export."""
        return {layer.name: int((layer.c != 0).sum()) for layer in self._components.layers}

    def export(self, folder: Folder, layout: Layout = "uniform") -> None:
        export_lora(self._wrapped, folder, layout)

    @property
    def _wrapped(self) -> PeftModel:
        if self._model is None:
            raise RuntimeError(f"{type(self).__name__} has no model yet; call prepare(model, task_type) first.")
        return self._model

    @property
    def _components(self) -> Components:
        return components_of(self._wrapped)

    def _head_size(self) -> int:
        own = {id(parameter) for parameter in self._components.parameters()}
        return sum(p.numel() for p in self._wrapped.parameters() if p.requires_grad and id(p) not in own)
