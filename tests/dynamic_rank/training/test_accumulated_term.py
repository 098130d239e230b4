"""The regulariser counts once in each optimizer step, however many batches a step has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainerCallback

from dynamic_rank import (
    DynamicRankConfig,
    dem_loss,
    wrap,
)
from dynamic_rank.adapter.components import components_of
from dynamic_rank.adapter.term_count import TermCount
from tests.dynamic_rank.tiny_models import build
from tests.dynamic_rank.trainer_forms import OPTIONS, Script, StopAt
from tests.wide import wide


def gradient_of(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.grad is not None
    return tensor.grad.clone()


def term_gradients(form: str, folder: Path, batches: int, divided: bool, options: dict[str, Any] | None = None) -> Any:
    """The contribution of the regulariser to the gradients of A in the first two optimizer steps, divided by its weight."""
    seen: list[list[torch.Tensor]] = []

    class NoLoss(Trainer):
        loss_is_scaled_for_ga = not divided

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(model, inputs, *args, **kwargs)
            assert isinstance(loss, torch.Tensor)
            return 0.0 * loss

    class Look(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            seen.append([gradient_of(layer.A) for layer in components_of(model).layers])

    script = Script(
        form,
        folder,
        options,
        [Look(), StopAt(2)],
        base=NoLoss,
        gradient_accumulation_steps=batches,
        max_grad_norm=0.0,
        optim="sgd",
        learning_rate=1e-30,
        weight_decay=0.0,
    )
    script.trainer.train()
    return seen


@pytest.mark.parametrize(
    ("divided", "regularizer", "form"),
    [
        (True, "dem", "callback"),
        (False, "dem", "class"),
        (True, "orthogonal", "class"),
        (False, "orthogonal", "callback"),
        *wide(
            (True, "dem", "class"),
            (False, "dem", "callback"),
            (True, "orthogonal", "callback"),
            (False, "orthogonal", "class"),
        ),
    ],
)
def test_accumulated_batches_count_the_regulariser_once(
    tmp_path: Path, form: str, divided: bool, regularizer: str
) -> None:
    """Whether Trainer divides the loss by the batches of a step or not; 16 batches in steps of 3, 3, ..., 1."""
    options = {"regularizer": regularizer}
    once = term_gradients(form, tmp_path / "1", 1, divided, options)
    accumulated = term_gradients(form, tmp_path / "3", 3, divided, options)
    for step in range(2):
        for a, b in zip(once[step], accumulated[step], strict=True):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-9)


def test_script_that_divides_the_term_itself_is_not_changed(tmp_path: Path) -> None:
    config = DynamicRankConfig(**OPTIONS)
    model = wrap(*build()[:1], config, "SEQ_CLS")
    term = components_of(model)
    term.term = TermCount(config.eta)
    for _ in range(2):
        term.term.begin_step()
        for _ in range(4):
            (config.eta * dem_loss(model) / 4).backward()
            term.term.decide(1.0)
    layer = components_of(model).layers[0]
    accumulated = gradient_of(layer.A) / 2
    layer.A.grad = None
    term.term = None
    (config.eta * dem_loss(model)).backward()
    torch.testing.assert_close(accumulated, layer.A.grad)
