"""Options and short runs of the other methods."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from transformers import Trainer

from dynamic_rank import create_method, make_trainer_class
from dynamic_rank.allocation.snapshot import Snapshot
from dynamic_rank.methods.adalora import AdaLora
from dynamic_rank.methods.control import Control
from dynamic_rank.methods.eva import Eva
from dynamic_rank.methods.lora_shrink import LoraShrink
from dynamic_rank.methods.sora import Sora
from tests.dynamic_rank.tiny_models import Rows, arguments, build

PATTERN = {
    "bert.encoder.layer.0.attention.self.query": 3,
    "bert.encoder.layer.0.attention.self.key": 1,
    "bert.encoder.layer.0.output.dense": 0,
    "bert.encoder.layer.1.attention.self.value": 2,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "dynamic_rank": {"target_rank": 2, "prune_interval": 2},
    "lora": {"rank": 2},
    "adalora": {"target_rank": 2, "prune_interval": 2},
    "eva": {"rank": 2},
    "lora_shrink": {"target_rank": 2, "allocation": "global"},
    "sora": {"rank": 3, "sparse_lambda": 5.0},
    "control": {"rank_pattern": PATTERN},
    "gradient": {"rank": 2, "least_rank": 0, "batches": 2},
    "spectrum": {"rank": 2},
}
Made = TypeVar("Made", AdaLora, Control, Eva, LoraShrink, Sora)


def made(kind: type[Made], options: dict[str, Any]) -> Made:
    method = create_method(kind.key, options)
    assert isinstance(method, kind)
    return method


def train(
    folder: Path,
    key: str,
    options: dict[str, Any] | None = None,
    kind: str = "bert",
    on_snapshot: Callable[[Snapshot], None] | None = None,
    **changes: Any,
) -> Any:
    model, task = build(kind)
    method = create_method(key, OPTIONS[key] | (options or {}))
    model = method.prepare(model, task)
    warned: list[str] = []
    trainer = make_trainer_class(Trainer)(
        model=model,
        args=arguments(folder, **changes),
        method=method,
        train_dataset=Rows(),
        callbacks=method.callbacks(on_snapshot, 1, lambda code, _: warned.append(code)),
    )
    trainer.train()
    return trainer, method, warned
