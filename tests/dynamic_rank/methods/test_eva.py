"""EVA: the ranks are those of PEFT, and batches that cannot decide them are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import EvaConfig, LoraConfig, get_peft_model
from peft.tuners.lora import initialize_lora_eva_weights
from transformers import Trainer

from dynamic_rank.allocation.snapshot import Snapshot
from dynamic_rank.methods.eva import Eva
from dynamic_rank.methods.protocol import Stopped
from tests.dynamic_rank.rivals import made, train
from tests.dynamic_rank.tiny_models import Rows, arguments, batch, build


def test_eva_assigns_the_same_ranks_as_peft(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    _, method, _ = train(tmp_path, "eva", on_snapshot=snapshots.append, max_steps=2)
    batches = [batch(seed=seed, size=8) for seed in range(8)]
    again = made(Eva, {"rank": 3})
    again.prepare(*build())
    again.initialize(batches)
    names = [module.name for module in again.modules()]
    theirs = get_peft_model(
        build()[0],
        LoraConfig(
            r=3,
            lora_alpha=8,
            target_modules=names,
            init_lora_weights="eva",
            eva_config=EvaConfig(use_label_mask=False),
            task_type="SEQ_CLS",
        ),
        low_cpu_mem_usage=True,
    )
    initialize_lora_eva_weights(theirs, batches, show_progress_bar=False)
    layers = dict(theirs.get_base_model().named_modules())
    for pair in again.pairs:
        layer = layers[pair.name]
        if pair.rank == 0:
            assert not hasattr(layer, "lora_A")
            continue
        torch.testing.assert_close(pair.A, layer.lora_A["default"].weight)
        assert pair.scaling == layer.scaling["default"] == 8 / 3
    assert len({pair.rank for pair in again.pairs}) > 1
    assert sum(pair.rank for pair in again.pairs) == 36
    assert snapshots[0].ranks == snapshots[-1].ranks == [pair.rank for pair in method.pairs]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rank": 12}, r"up to 24 components, but \S+ has only 16 inputs"),
        ({"rank": 6}, "up to 12 components, but the largest batch has only 7 tokens"),
    ],
)
def test_eva_refuses_batches_on_which_peft_would_loop_forever(
    options: dict[str, Any], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, task = build()
    method = made(Eva, options)

    def begin() -> None:
        method.prepare(model, task)
        method.initialize([batch(size=1), batch(seed=2, size=1)])

    with pytest.raises(ValueError, match=why):
        begin()
    assert "skipping" not in capsys.readouterr().out


def test_eva_fails_if_its_directions_never_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamic_rank.methods.eva.MOST_BATCHES", 7)
    model, task = build()
    method = made(Eva, {"rank": 2, "tau": 0.999999999})
    method.prepare(model, task)
    with pytest.raises(ValueError, match=r"have not converged after 7 batches; lower tau=1"):
        method.initialize([batch(seed=seed) for seed in range(3)])


def test_eva_stops_between_two_batches_on_request() -> None:
    model, task = build()
    method = made(Eva, {"rank": 2, "tau": 0.999999999})
    method.prepare(model, task)
    asked: list[None] = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > 20

    method.should_stop = should_stop
    with pytest.raises(Stopped):
        method.initialize([batch(seed=seed) for seed in range(3)])
    assert len(asked) == 21


def test_eva_skips_small_batches_silently(capsys: pytest.CaptureFixture[str]) -> None:
    model, task = build()
    method = made(Eva, {"rank": 4})
    method.prepare(model, task)
    method.initialize([batch(size=1), batch(seed=2, size=4), batch(seed=3, size=4)])
    assert method.is_initialized
    assert capsys.readouterr().out == ""


def test_eva_in_a_plain_trainer_without_initialize_is_refused(tmp_path: Path) -> None:
    method = made(Eva, {"rank": 2})
    model = method.prepare(*build())
    trainer = Trainer(model=model, args=arguments(tmp_path), train_dataset=Rows(), callbacks=method.callbacks())
    with pytest.raises(RuntimeError, match="not assigned"):
        trainer.train()
