"""A training script in both forms: DynamicRankCallback in a plain Trainer, and make_trainer_class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import Trainer, TrainerCallback

from dynamic_rank import (
    DynamicRankCallback,
    DynamicRankConfig,
    RankAllocator,
    Snapshot,
    create_method,
    dem_loss,
    export_lora,
    make_trainer_class,
    orthogonal_loss,
    wrap,
)
from dynamic_rank.adapter.components import components_of
from tests.dynamic_rank.tiny_models import Rows, arguments, batch, build, logits

FORMS = ("callback", "class")
OPTIONS: dict[str, Any] = {"target_rank": 2, "prune_interval": 2}


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if state.global_step == self.step:
            control.should_save = control.should_training_stop = True
        return control


class Script:
    """A training script in one of the two forms: the trainer, its model, the warnings, and the exported adapter."""

    def __init__(
        self,
        form: str,
        folder: Path,
        options: dict[str, Any] | None = None,
        extra: Sequence[TrainerCallback] = (),
        model: Any = None,
        base: type[Trainer] = Trainer,
        own: Any = None,
        **changes: Any,
    ) -> None:
        config = DynamicRankConfig(**(OPTIONS | (options or {})))
        self.config = config
        self.warned: list[str] = []
        self.snapshots: list[Snapshot] = []
        bare, task = (model, "SEQ_CLS") if model is not None else build()

        def warn(code: str, message: str) -> None:
            self.warned.append(code)

        common: dict[str, Any] = {
            "train_dataset": Rows(),
            "eval_dataset": Rows(16),
            "args": arguments(folder, **changes),
        }
        if form == "class":
            self.method = create_method("dynamic_rank", OPTIONS | (options or {}))
            self.model = self.method.prepare(bare, task)
            callbacks = self.method.callbacks(self.snapshots.append, 1, warn)
            common["method"] = self.method
            kind = make_trainer_class(base)
        else:
            self.model = wrap(bare, config, task)
            callback = DynamicRankCallback(config, self.snapshots.append, on_warning=warn)
            callbacks = [callback]
            term = orthogonal_loss if config.regularizer == "orthogonal" else dem_loss

            class WithTerm(base):  # type: ignore[valid-type, misc]
                def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
                    loss = super().compute_loss(model, inputs, *args, **kwargs)
                    is_off = callback.is_settled or not model.training or config.eta == 0
                    return loss if is_off else loss + config.eta * term(model)

            kind = WithTerm
        if own is not None:
            common["optimizers"] = (own(self.model), None)
        self._callback: Any = callbacks[0]
        self.trainer: Any = kind(model=self.model, callbacks=[*callbacks, *extra], **common)

    @property
    def allocator(self) -> RankAllocator:
        allocator = self._callback.allocator
        assert isinstance(allocator, RankAllocator)
        return allocator

    def ranks(self) -> list[int]:
        return [len(layer.kept) for layer in components_of(self.model).layers]

    def tensors(self) -> Any:
        return {name: p.detach().clone() for name, p in self.model.named_parameters() if p.requires_grad}


def assert_exports(script: Script, folder: Path, tolerance: float = 1e-5) -> None:
    export_lora(script.model, folder)
    loaded = PeftModel.from_pretrained(build()[0], folder)
    expected = logits(script.model, batch())
    torch.testing.assert_close(logits(loaded, batch()), expected, rtol=tolerance, atol=tolerance)
