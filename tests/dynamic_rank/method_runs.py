"""Short trainings with a method."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback

from dynamic_rank import (
    create_method,
    make_trainer_class,
)
from dynamic_rank.adapter.components import components_of
from dynamic_rank.allocation.snapshot import Snapshot
from tests.dynamic_rank.tiny_models import Rows, arguments, build


class Probe(TrainerCallback):
    """Live components in the model itself, right after each step."""

    def __init__(self) -> None:
        self.live: dict[int, list[int]] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> Any:
        self.live[state.global_step] = [int((layer.c != 0).sum()) for layer in components_of(model).layers]


def train(
    folder: Path,
    key: str = "dynamic_rank",
    options: dict[str, Any] | None = None,
    on_snapshot: Callable[[Snapshot], None] | None = None,
    every: int = 1,
    extra: Sequence[TrainerCallback] = (),
    base: type[Trainer] = Trainer,
    **changes: Any,
) -> Any:
    model, task = build()
    defaults = {"dynamic_rank": {"target_rank": 2, "prune_interval": 2}, "lora": {"rank": 2}, "full": {}}
    method = create_method(key, defaults[key] | (options or {}))
    model = method.prepare(model, task)
    warned: list[tuple[str, str]] = []
    callbacks = method.callbacks(on_snapshot, every, lambda code, message: warned.append((code, message)))
    trainer = make_trainer_class(base)(
        model=model,
        args=arguments(folder, **changes),
        method=method,
        train_dataset=Rows(),
        eval_dataset=Rows(16),
        callbacks=[*callbacks, *extra],
    )
    trainer.train()
    return trainer, method, warned
