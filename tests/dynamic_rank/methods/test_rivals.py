"""The other methods: each trains, reports ranks, counts parameters, exports, and follows its paper."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import Trainer

from dynamic_rank import create_method, make_trainer_class
from dynamic_rank.adapter.components import components_of
from dynamic_rank.allocation.snapshot import Snapshot
from dynamic_rank.methods.control import Control
from dynamic_rank.methods.sora import Sora
from tests.dynamic_rank.rivals import OPTIONS, PATTERN, made, train
from tests.dynamic_rank.tiny_models import DEVICE, Rows, arguments, batch, build, logits, random_like
from tests.wide import wide


@pytest.mark.parametrize("key", OPTIONS)
def test_every_method_reports_ranks_counts_parameters_and_exports_a_plain_lora(tmp_path: Path, key: str) -> None:
    snapshots: list[Snapshot] = []
    trainer, method, warned = train(tmp_path, key, on_snapshot=snapshots.append)
    assert not warned
    assert method.is_settled
    assert [s.step for s in snapshots] == list(range(21))
    last, modules = snapshots[-1], method.modules()
    assert last.is_final
    assert {s.mask.shape for s in snapshots} == {(len(modules), last.width)}
    assert last.live == last.mask.sum()
    assert np.isfinite(last.scores).all()
    assert (last.scores[last.mask] > 0).any()

    expected = logits(trainer.model, batch())
    method.export(tmp_path / "adapter", "compact")
    loaded = PeftModel.from_pretrained(build()[0], tmp_path / "adapter")
    torch.testing.assert_close(logits(loaded, batch()), expected, rtol=1e-6, atol=1e-6)
    assert not torch.equal(expected, logits(build()[0], batch()))
    assert json.loads((tmp_path / "adapter" / "rank_pattern.json").read_text()) == {
        module.name: rank for module, rank in zip(modules, last.ranks, strict=True)
    }
    tensors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    lora = sum(tensor.numel() for name, tensor in tensors.items() if "lora_" in name)
    assert method.kept_parameters().adapter == lora
    assert method.kept_parameters().head == sum(t.numel() for n, t in tensors.items() if "lora_" not in n)
    assert method.trained_parameters().adapter >= lora


@pytest.mark.parametrize(
    ("key", "kind"),
    # Each method with a decoder and an encoder-decoder.
    [
        *product(["adalora", "sora"], ["llama", "bart"]),
        *product(["lora", "lora_shrink"], ["gpt2", "t5"]),
        *wide(*product(["adalora", "sora"], ["gpt2", "t5"]), *product(["lora", "lora_shrink"], ["llama", "bart"])),
    ],
)
def test_every_method_supports_decoders_and_encoder_decoders(tmp_path: Path, key: str, kind: str) -> None:
    model, task = build(kind)
    method = create_method(key, OPTIONS[key])
    model = method.prepare(model, task)
    before = logits(build(kind)[0], batch(kind))
    assert torch.equal(logits(model, batch(kind)), before)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(random_like(parameter, generator) * 0.3)
    expected = logits(model, batch(kind))
    method.export(tmp_path, "compact")
    loaded = PeftModel.from_pretrained(build(kind)[0], tmp_path)
    torch.testing.assert_close(logits(loaded, batch(kind)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("key", ["adalora", "lora_shrink", "sora"])
def test_a_trainer_without_the_methods_callback_is_refused(tmp_path: Path, key: str) -> None:
    model, task = build()
    method = create_method(key, OPTIONS[key])
    trainer = make_trainer_class(Trainer)(
        model=method.prepare(model, task), args=arguments(tmp_path), method=method, train_dataset=Rows()
    )
    with pytest.raises(RuntimeError, match=r"callbacks=method.callbacks"):
        trainer.train()


# ---------------------------------------------------------------- sora


def test_the_gates_take_the_proximal_step(tmp_path: Path) -> None:
    method = made(Sora, {"rank": 3, "sparse_lambda": 5.0})
    method.prepare(*build())
    before = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    with torch.no_grad():
        for layer, row in zip(components_of(method._wrapped).layers, before, strict=True):
            layer.c.copy_(row)
    method.close_gates(0.1)
    naive = before.sign() * (before.abs() - 0.5).clamp(min=0)
    torch.testing.assert_close(method.gates(), naive)


def test_gates_close_during_training_and_the_last_snapshot_lists_them(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    _, method, _ = train(tmp_path, "sora", on_snapshot=snapshots.append)
    assert snapshots[0].live == 36
    assert snapshots[-1].live < 36
    decision = snapshots[-1].decision
    assert decision is not None
    assert len(decision.pruned) == 36 - snapshots[-1].live
    assert sum(method.live_ranks().values()) == snapshots[-1].live


def test_gates_that_never_close_cause_a_warning(tmp_path: Path) -> None:
    _, _, warned = train(tmp_path, "sora", {"sparse_lambda": 1e-6})
    assert warned == ["ranks_equal"]


# ---------------------------------------------------------------- control


def test_control_has_the_ranks_of_the_pattern_and_the_scale_of_the_mean_rank() -> None:
    method = made(Control, {"rank_pattern": PATTERN, "lora_alpha": 6})
    model = method.prepare(*build())
    assert {pair.name: pair.rank for pair in method.pairs} == PATTERN
    assert {pair.scaling for pair in method.pairs} == {6 / 2}  # (3 + 1 + 0 + 2) / 4, rounded half to even
    assert torch.equal(logits(model, batch()), logits(build()[0], batch()))
    assert method.trained_parameters().adapter == 3 * 32 + 32 + 2 * 32


def test_control_of_a_finished_run_has_its_kept_parameters(tmp_path: Path) -> None:
    _, first, _ = train(tmp_path, "dynamic_rank")
    first.export(tmp_path / "adapter")
    pattern = json.loads((tmp_path / "adapter" / "rank_pattern.json").read_text())
    control = made(Control, {"rank_pattern": pattern})
    control.prepare(*build())
    assert control.kept_parameters() == first.kept_parameters()


def test_control_for_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rank_pattern names 'decoder\.q', which is not a linear module"):
        made(Control, {"rank_pattern": {"decoder.q": 2}}).prepare(*build())
