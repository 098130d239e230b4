"""PlainLora: base class of the methods that train PEFT's plain LoRA. Ranks may differ, and may change once."""

# ruff: noqa: ARG002  (signatures are those of RankMethod)
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import TrainerCallback

from ..adapter.lora_pair import LoraPair
from ..adapter.targets import AdaptedModule, describe
from ..allocation.snapshot import OnSnapshot
from ..saving.checkpoint import Folder, check_same, load_state, restore_trained_tensors, save_state, trained_tensors
from ..saving.export import Layout, write_lora
from ..saving.run_state import versions
from ..schedule.checks import check_number, target_tuple
from ..warning import OnWarning
from ..wrapping import lora_layers, wrap_lora
from .fixed_rank import FixedRankCallback
from .protocol import Batches, ModulesToSave, ParameterCount, RunContext, SteerAction


@dataclass(frozen=True, kw_only=True)
class AdapterOptions:
    """Options of every adapter.

    lora_alpha      the update is scaled by lora_alpha / rank
    lora_dropout    probability, applied to the input of A
    target_modules  full names or dotted suffixes; None adapts every linear module in a numbered block
    """

    lora_alpha: float = 8
    lora_dropout: float = 0.1
    target_modules: Iterable[str] | str | None = None

    def __post_init__(self) -> None:
        check_number("lora_alpha", self.lora_alpha, above=0)
        check_number("lora_dropout", self.lora_dropout, least=0, below=1)
        if self.target_modules is not None:
            object.__setattr__(self, "target_modules", list(target_tuple(self.target_modules)))


class PlainLora:
    """Wraps a model with PEFT's LoRA. A subclass defines `key` and how ranks are chosen."""

    key: str
    width: int
    """Length of the rows of a snapshot: the largest number of components of a module."""
    start_rank: int | None = None
    """Initial rank of every module; None means `width`."""
    decays_every_parameter = False

    def __init__(self, options: AdapterOptions) -> None:
        self._adapter = options
        self._targets = options.target_modules
        self._model: PeftModel | None = None
        self._pairs: list[LoraPair] = []

    @property
    def options(self) -> Mapping[str, Any]:
        return asdict(self._adapter)

    @property
    def is_settled(self) -> bool:
        return True

    @property
    def pairs(self) -> list[LoraPair]:
        """The layers in forward-pass order."""
        self._wrapped  # noqa: B018  (RuntimeError before prepare)
        return self._pairs

    def set_context(self, context: RunContext) -> None:
        """Nothing depends on the run."""

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        self._model = self._wrap(model, task_type, modules_to_save=modules_to_save)
        self._pairs = [LoraPair(name, lora) for name, lora in lora_layers(self._model)]
        return self._model

    def initialize(self, batches: Batches) -> None:
        """Nothing depends on the data."""

    def bind(self, on_resize: Callable[[], None]) -> None:
        """No tensor changes its shape."""

    def check_schedule(self, total_steps: int) -> None:
        """Any length of run works."""

    def modules(self) -> list[AdaptedModule]:
        return describe([p.name for p in self.pairs], [(p.lora.out_features, p.lora.in_features) for p in self.pairs])

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        return [FixedRankCallback(self.pairs, self.width, on_snapshot, snapshot_every)]

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
        return self.kept_parameters()

    def kept_parameters(self) -> ParameterCount:
        adapter = sum(pair.rank * pair.cost for pair in self.pairs)
        own = {id(parameter) for pair in self.pairs for parameter in (pair.A, pair.B)}
        head = sum(p.numel() for p in self._wrapped.parameters() if p.requires_grad and id(p) not in own)
        return ParameterCount(adapter, head)

    def export(self, folder: Folder, layout: Layout = "uniform") -> None:
        with torch.no_grad():
            factors = {pair.name: (pair.A, pair.B * pair.scaling) for pair in self.pairs}
        write_lora(self._wrapped, factors, folder, layout)

    def save_state(self, folder: Folder) -> None:
        info = {"method": self.key, "options": dict(self.options), "versions": versions(), **self._extra_state()}
        save_state(folder, trained_tensors(self._wrapped), info)

    def load_state(self, folder: Folder) -> None:
        tensors, info = load_state(folder)
        check_same(info, {"method": self.key}, "the")
        check_same(info["options"], self.options, self.key)
        restore_trained_tensors(self._wrapped, tensors)
        for pair in self.pairs:
            pair.fit()
        self._restore_extra(info)

    def _wrap(self, model: nn.Module, task_type: object, **options: Any) -> PeftModel:
        adapter = self._adapter
        return wrap_lora(
            model,
            rank=self.start_rank or self.width,
            lora_alpha=adapter.lora_alpha,
            lora_dropout=adapter.lora_dropout,
            target_modules=self._targets,
            task_type=task_type,
            **options,
        )

    def _extra_state(self) -> dict[str, Any]:
        return {}

    def _restore_extra(self, info: Mapping[str, Any]) -> None:
        """Nothing to restore except the tensors."""

    @property
    def _wrapped(self) -> PeftModel:
        if self._model is None:
            raise RuntimeError(f"{type(self).__name__} has no model yet; call prepare(model, task_type) first.")
        return self._model
