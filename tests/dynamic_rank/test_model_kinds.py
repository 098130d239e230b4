"""Each kind of model trains, prunes to the exact budget, is compacted, and exports a plain LoRA with the same output."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from peft.utils import ModulesToSaveWrapper
from torch import nn

from dynamic_rank import DynamicRankConfig, RankAllocator, RankWarning, compact, dem_loss, export_lora, wrap
from dynamic_rank.adapter.components import components_of
from tests.dynamic_rank.model_kinds import KINDS, Kind
from tests.wide import narrowed

# The most different kinds; the rest is in `make test-all` and `make test-models`.
FEW = (
    "albert",
    "xlnet",
    "bert_multiple_choice",
    "gpt2",
    "qwen2_moe",
    "deepseek_v3",
    "mamba",
    "bart_layerdrop",
    "wav2vec2_ctc",
)
STEPS = 12


def output(model: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        made = model(**batch)
    for name in ("logits", "start_logits", "logits_per_image"):
        found: torch.Tensor | None = getattr(made, name, None)
        if found is not None:
            return found
    raise AssertionError(f"{type(model).__name__} gives {list(made)}")


def wrapped(kind: Kind, config: DynamicRankConfig) -> tuple[nn.Module, list[str]]:
    base = kind.build()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RankWarning)
        model = wrap(base, config, kind.task)
    return model, [str(entry.message) for entry in caught if issubclass(entry.category, RankWarning)]


@pytest.mark.parametrize("name", narrowed(KINDS, *FEW))
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_model_kind_trains_prunes_compacts_and_exports_a_plain_lora(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    config = DynamicRankConfig(target_rank=2, prune_interval=2, init="zero_b", score="sensitivity")
    if kind.refused:
        with pytest.raises(ValueError, match=kind.refused):
            wrapped(kind, config)
        return
    model, said = wrapped(kind, config)
    if kind.left_out:
        assert len(said) == 1
        assert kind.left_out in said[0]
    else:
        assert said == []
    heads = [name for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)]
    assert (kind.head in [head.rpartition(".")[2] for head in heads]) if kind.head else not heads

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in trained]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    allocator = RankAllocator(model, config, STEPS)
    for step in range(1, STEPS + 1):
        model.train()
        loss = model(**kind.batch(step)).loss
        if not allocator.is_final:
            loss = loss + config.eta * dem_loss(model)
        loss.backward()
        allocator.observe_gradients()
        optimizer.step()
        optimizer.zero_grad()
        decision = allocator.step(step)
        if decision is not None:
            live = [int((layer.c != 0).sum()) for layer in allocator.layers]
            assert sum(live) == decision.budget == decision.live
            if decision.is_final:
                compact(model, allocator.masks(), optimizer)
    assert loss.isfinite()
    layers = components_of(model).layers
    assert [len(layer.kept) for layer in layers] == list(allocator.live_ranks().values())
    assert sum(len(layer.kept) for layer in layers) == 2 * len(layers)
    assert not any(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(trained, before, strict=True) if a.numel() > 1
    )

    expected = output(model, kind.batch(0))
    export_lora(model, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = PeftModel.from_pretrained(kind.build(), tmp_path)
    torch.testing.assert_close(output(loaded, kind.batch(0)), expected, rtol=1e-4, atol=1e-4)
    assert not torch.equal(output(kind.build(), kind.batch(0)), expected)
    assert np.isfinite(expected.cpu().numpy()).all()
