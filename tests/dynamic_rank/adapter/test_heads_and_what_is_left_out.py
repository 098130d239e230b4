"""New heads are trained and saved for every task; modules that can't be adapted are named."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from transformers import BertConfig, BertForPreTraining, BertModel

from dynamic_rank import DynamicRankConfig, RankWarning, create_method, export_lora, wrap
from dynamic_rank.adapter.heads import head_names
from dynamic_rank.adapter.targets import target_names
from tests.dynamic_rank.model_kinds import KINDS
from tests.dynamic_rank.tiny_models import batch, build, logits

CONFIG = DynamicRankConfig(target_rank=2)


def heads(model: Any) -> list[str]:
    return [
        name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)
    ]


def test_language_models_and_bare_backbones_have_no_new_head() -> None:
    config = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24)
    for model in (BertModel(config), BertForPreTraining(config), build("gpt2")[0], build("t5")[0], build("bart")[0]):
        assert head_names(model, None) == []


@pytest.mark.parametrize("key", ["dynamic_rank", "lora", "sora", "lora_shrink", "adalora", "eva"])
def test_named_modules_are_trained_saved_and_loaded(tmp_path: Path, key: str) -> None:
    method = create_method(key, {"rank": 2} if key in ("lora", "eva", "sora") else {"target_rank": 2})
    base, _ = build()
    model = method.prepare(base, None, modules_to_save=["bert.pooler", "classifier"])
    assert sorted(heads(model)) == ["classifier", "pooler"]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "modules_to_save" in name:
                parameter.add_(0.1)
    method.export(tmp_path)
    loaded = PeftModel.from_pretrained(build()[0], tmp_path)
    torch.testing.assert_close(logits(loaded, batch()), logits(model, batch()), rtol=1e-5, atol=1e-5)


def test_empty_modules_to_save_leaves_the_head_frozen() -> None:
    assert heads(wrap(build()[0], CONFIG, None, [])) == []


def test_unknown_module_to_save_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"modules_to_save names 'clasifier'.*classifier"):
        wrap(build()[0], CONFIG, None, "clasifier")


def test_missing_head_for_the_task_causes_a_warning() -> None:
    config = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24)
    model = BertModel(config, add_pooling_layer=False)
    with pytest.warns(RankWarning, match=r"\[head_unknown\].*modules_to_save"):
        # A child of the backbone that has the name of a head.
        wrap(model, CONFIG, "TOKEN_CLS")


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone: nn.Module = build()[0].bert
        self.ranking = nn.Linear(16, 1)

    def forward(self, **inputs: Any) -> Tensor:
        scores: Tensor = self.ranking(self.backbone(**inputs).last_hidden_state[:, 0])
        return scores


def test_possibly_frozen_head_of_a_custom_model_causes_a_warning(tmp_path: Path) -> None:
    with pytest.warns(RankWarning, match=r"ranking of this Own will stay frozen.*modules_to_save"):
        wrap(Own(), CONFIG)
    model = wrap(Own(), CONFIG, modules_to_save="ranking")
    assert heads(model) == ["ranking"]
    export_lora(model, tmp_path)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)])

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers[0](x)
        return made


def test_linear_that_is_read_but_never_called_is_left_out() -> None:
    with pytest.warns(RankWarning, match=r"layers\.\*\.self_attn\.out_proj \(nn\.MultiheadAttention reads"):
        assert target_names(Attention(), None) == ["layers.0.linear1", "layers.0.linear2"]
    with pytest.raises(ValueError, match=r"out_proj', which can't be adapted: nn.MultiheadAttention"):
        target_names(Attention(), ["out_proj"])


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("mamba", "out_proj", "Mamba's fused kernel"),
        ("deepseek_v3", "gate_proj", "fused experts"),
        ("qwen3_moe", ["q_proj", "down_proj"], "fused experts"),
        ("phimoe", "router", "does not return a linear"),
        ("bert", "word_embeddings", "no linear module of this model but a Embedding"),
        ("wav2vec2_ctc", "conv", "no linear module of this model but a Conv1d"),
    ],
)
def test_targets_that_cannot_be_adapted_are_refused_with_the_reason(name: str, wanted: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        target_names(KINDS[name].build(), wanted)


def test_modules_left_out_are_listed_by_their_place_in_a_block() -> None:
    with pytest.warns(RankWarning) as said:
        wrap(KINDS["deepseek_v3"].build(), CONFIG, "CAUSAL_LM")
    text = str(said[0].message)
    assert "model.layers.*.mlp.experts" in text
    assert "model.layers.*.mlp.gate_proj" in text
    assert "model.layers.0" not in text


def test_explicit_targets_cause_no_warning_about_other_modules() -> None:
    wrap(KINDS["qwen2_moe"].build(), CONFIG.from_dict({"target_modules": ["q_proj", "v_proj"]}), "CAUSAL_LM")
