import json
from pathlib import Path
from typing import Any, cast

import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from peft.utils.hotswap import hotswap_adapter
from safetensors.torch import load_file
from torch import Tensor
from transformers import BertConfig, BertModel, RobertaConfig, RobertaForSequenceClassification

from dynamic_rank import DynamicRankConfig, create_method, export_lora, wrap
from dynamic_rank.adapter.components import components_of
from dynamic_rank.adapter.targets import describe, target_names
from dynamic_rank.saving.export import Layout
from dynamic_rank.schedule.config import Init
from tests.dynamic_rank.tiny_models import KINDS, batch, build, logits, random_like


@pytest.mark.parametrize("init", ["paper", "zero_b"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_wrapped_model_is_initially_bit_identical_to_the_base_model(kind: str, init: Init) -> None:
    model, task = build(kind)
    before = logits(model, batch(kind))
    model = wrap(model, DynamicRankConfig(target_rank=2, init=init), task)
    assert torch.equal(logits(model, batch(kind)), before)


@pytest.mark.parametrize("layout", ["uniform", "compact"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_export_loads_as_plain_lora_with_the_same_logits(kind: str, layout: Layout, tmp_path: Path) -> None:
    """In float64, so that only the export affects the result: its factors are float32, as PEFT's.

    In float32 the two orders of multiplication differ by an amount that depends on the CPU: 3e-7 to 1e-5 (Llama,
    AVX-512).
    """
    model, task = build(kind)
    model = wrap(model.double(), DynamicRankConfig(target_rank=2), task)
    fill(model, seed=1)
    before = logits(model, batch(kind))
    export_lora(model, tmp_path, layout)
    assert torch.equal(logits(model, batch(kind)), before)
    loaded = PeftModel.from_pretrained(build(kind)[0].double(), tmp_path)
    torch.testing.assert_close(logits(loaded, batch(kind)), before, rtol=1e-6, atol=1e-6)


def fill(model: Any, seed: int, zero: float = 0.4, scale: float = 0.5) -> None:
    """Random factors, some scales at 0, one empty module, and a head that differs from the base model's."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for number, layer in enumerate(components_of(model).layers):
            for parameter, _ in layer.resized():
                parameter.copy_(random_like(parameter, generator) * scale)
            layer.c[torch.rand(layer.c.shape, generator=generator) < (1.0 if number == 1 else zero)] = 0
        for name, parameter in model.named_parameters():
            if "modules_to_save" in name:
                parameter.add_(random_like(parameter, generator) * 0.1)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    rank=st.integers(1, 5),
    zero=st.floats(0, 1),
    alpha=st.sampled_from([1, 8, 2.5]),
    kind=st.sampled_from(["bert", "bart", "llama"]),
    layout=st.sampled_from(["uniform", "compact"]),
)
def test_export_reproduces_the_logits_of_any_state(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rank: int, zero: bool, alpha: float, kind: str, layout: Layout
) -> None:
    folder = tmp_path_factory.mktemp("adapter")
    model, task = build(kind)
    model = wrap(model, DynamicRankConfig(target_rank=rank, lora_alpha=alpha), task)
    fill(model, seed, zero)
    export_lora(model, folder, layout)
    loaded = PeftModel.from_pretrained(build(kind)[0], folder)
    # The update of every module, up to rounding in float32: only c and the scaling were multiplied in.
    modules = dict(loaded.get_base_model().named_modules())
    for layer in components_of(model).layers:
        update = layer.scaling * (layer.B.double() * layer.c.double()) @ layer.A.double()
        written = torch.zeros_like(update)
        if hasattr(modules[layer.name], "lora_A"):
            lora = modules[layer.name]
            written = (
                lora.scaling["default"]
                * lora.lora_B["default"].weight.double()
                @ lora.lora_A["default"].weight.double()
            )
        assert torch.linalg.matrix_norm(written - update) <= 1e-6 * torch.linalg.matrix_norm(update)
    # The logits, with a tolerance for rounding errors that a random model with a random update amplifies.
    expected = logits(model, batch(kind))
    assert (logits(loaded, batch(kind)) - expected).abs().max() <= 1e-3 * max(1.0, expected.abs().max().item())
    ranks = json.loads((folder / "rank_pattern.json").read_text())
    assert ranks == {layer.name: int((layer.c != 0).sum()) for layer in components_of(model).layers}


def exported(tmp_path: Path, layout: Layout) -> tuple[dict[str, Any], dict[str, int], dict[str, Tensor]]:
    """The config, the ranks and the tensors of an export with a module at rank 0."""
    model, task = build()
    model = wrap(model, DynamicRankConfig(target_rank=2), task)
    fill(model, seed=1)
    export_lora(model, tmp_path, layout)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    ranks = json.loads((tmp_path / "rank_pattern.json").read_text())
    assert 0 in ranks.values()
    return config, ranks, load_file(tmp_path / "adapter_model.safetensors")


@pytest.mark.parametrize("layout", ["uniform", "compact"])
def test_the_exported_config_is_plain_lora_at_scale_one(layout: Layout, tmp_path: Path) -> None:
    config, ranks, _ = exported(tmp_path, layout)
    assert config["r"] == config["lora_alpha"] == max(ranks.values())
    assert config["rank_pattern"] == config["alpha_pattern"]
    assert config["modules_to_save"] == ["classifier"]
    assert not config["use_rslora"]
    assert not config["use_dora"]
    loaded = PeftModel.from_pretrained(build()[0], tmp_path)
    expected = logits(loaded, batch())
    torch.testing.assert_close(logits(loaded.merge_and_unload(), batch()), expected, rtol=1e-6, atol=1e-6)


def test_compact_export_has_each_modules_rank_and_leaves_out_empty_modules(tmp_path: Path) -> None:
    config, ranks, tensors = exported(tmp_path, "compact")
    live = {name: rank for name, rank in ranks.items() if rank}
    assert sorted(config["rank_pattern"].values()) == sorted(live.values())
    # In the model's order, not that of a set: the same training writes the same bytes in every process.
    assert config["target_modules"] == list(live)
    found = {name: tensor.shape[0] for name, tensor in tensors.items() if name.endswith("lora_A.weight")}
    assert sorted(found.values()) == sorted(live.values())


def test_uniform_export_has_one_rank_and_no_patterns(tmp_path: Path) -> None:
    config, ranks, tensors = exported(tmp_path, "uniform")
    assert config["rank_pattern"] == {}
    assert config["target_modules"] == list(ranks)
    A = {name: tensor for name, tensor in tensors.items() if name.endswith("lora_A.weight")}
    B = {name: tensor for name, tensor in tensors.items() if name.endswith("lora_B.weight")}
    assert len(A) == len(B) == len(ranks)
    assert {tensor.shape[0] for tensor in A.values()} == {tensor.shape[1] for tensor in B.values()} == {config["r"]}
    for name, rank in ranks.items():
        assert not A[f"base_model.model.{name}.lora_A.weight"][rank:].any()
        assert not B[f"base_model.model.{name}.lora_B.weight"][:, rank:].any()


def test_uniform_export_is_right_for_a_reader_that_divides_alpha_by_the_tensors_rank(tmp_path: Path) -> None:
    """As llama.cpp does: W + alpha / rank(A) * B A. A compact export would give module i r / r_i times its update."""
    config, _, uniform = exported(tmp_path / "uniform", "uniform")
    _, _, compact = exported(tmp_path / "compact", "compact")
    for name in (name for name in compact if name.endswith("lora_A.weight")):
        other = name.replace("lora_A", "lora_B")
        update = compact[other].double() @ compact[name].double()
        read = config["lora_alpha"] / uniform[name].shape[0] * uniform[other].double() @ uniform[name].double()
        torch.testing.assert_close(read, update)


@pytest.mark.filterwarnings("ignore:The density 1.0")
def test_peft_merges_and_swaps_uniform_exports_and_refuses_compact_ones(tmp_path: Path) -> None:
    expected = {}
    for name, seed in (("first", 1), ("second", 2)):
        model, task = build("llama")
        model = wrap(model, DynamicRankConfig(target_rank=2), task)
        fill(model, seed)
        expected[name] = logits(model, batch("llama"))
        for layout in ("uniform", "compact"):
            export_lora(model, tmp_path / layout / name, layout)

    def both(layout: str) -> Any:
        loaded = PeftModel.from_pretrained(build("llama")[0], tmp_path / layout / "first")
        loaded.load_adapter(tmp_path / layout / "second", "second")
        return loaded

    uniform = both("uniform")
    uniform.load_adapter(tmp_path / "uniform" / "first", "copy")
    # Merges that must produce the first adapter: with zero weight for the second, and with a copy that has the same
    # signs.
    uniform.add_weighted_adapter(["default", "second"], [1.0, 0.0], "linear", combination_type="linear")
    uniform.add_weighted_adapter(["default", "copy"], [1.0, 1.0], "ties", combination_type="ties", density=1.0)
    for merged in ("linear", "ties"):
        uniform.set_adapter(merged)
        torch.testing.assert_close(logits(uniform, batch("llama")), expected["first"], rtol=1e-5, atol=1e-5)
    uniform.set_adapter("default")
    hotswap_adapter(uniform, str(tmp_path / "uniform" / "second"), "default")
    torch.testing.assert_close(logits(uniform, batch("llama")), expected["second"], rtol=1e-5, atol=1e-5)

    compact = both("compact")
    with pytest.raises(RuntimeError, match="equal size"):
        compact.add_weighted_adapter(["default", "second"], [1.0, 0.0], "linear", combination_type="linear")
    with pytest.raises(ValueError, match="alpha_pattern"):
        hotswap_adapter(compact, str(tmp_path / "compact" / "second"), "default")


def test_unknown_layout_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    model, task = build()
    with pytest.raises(ValueError, match=r"layout.*uniform"):
        export_lora(wrap(model, DynamicRankConfig(target_rank=2), task), tmp_path, cast(Layout, "padded"))


def test_export_of_an_untrained_model_changes_nothing(tmp_path: Path) -> None:
    model, task = build("llama")
    before = logits(model, batch())
    export_lora(wrap(model, DynamicRankConfig(target_rank=2), task), tmp_path)
    loaded = PeftModel.from_pretrained(build("llama")[0], tmp_path)
    assert torch.equal(logits(loaded, batch()), before)


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("bert", "classifier"),
        ("roberta", "classifier"),
        ("llama_classifier", "score"),
        ("bart_classifier", "classification_head"),
    ],
)
def test_the_head_of_a_classifier_is_trained_and_saved(kind: str, head: str) -> None:
    model, task = build(kind)
    model = wrap(model, DynamicRankConfig(target_rank=2), task)
    trained = [name for name, p in model.named_parameters() if p.requires_grad and "lora_" not in name]
    assert trained
    assert all(f".{head}.modules_to_save" in name for name in trained)


def test_default_targets_count_36_modules_in_minilm_and_72_in_roberta_base() -> None:
    with torch.device("meta"):
        minilm = BertModel(BertConfig(num_hidden_layers=6, hidden_size=384, intermediate_size=1536))
        roberta = RobertaForSequenceClassification(RobertaConfig())
    assert len(target_names(minilm, None)) == 36
    names = target_names(roberta, None, ["classifier"])
    assert len(names) == 72
    modules = dict(roberta.named_modules())
    sizes = [(modules[name].out_features, modules[name].in_features) for name in names]
    kinds = ["query", "key", "value", "attention.output", "intermediate", "output"]
    assert [(m.layer, m.kind, m.stack) for m in describe(names, sizes)] == [
        (layer, kind, "encoder") for layer in range(12) for kind in kinds
    ]


def places(kind: str) -> list[tuple[str, int | None, str]]:
    method = create_method("dynamic_rank", {"target_rank": 1})
    method.prepare(*build(kind))
    return [(module.stack, module.layer, module.kind) for module in method.modules()]


def test_a_decoder_is_described_in_forward_order() -> None:
    kinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert places("llama") == [("", layer, kind) for layer in range(2) for kind in kinds]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_two_modules_have_the_same_heatmap_cell(kind: str) -> None:
    assert len(set(places(kind))) == len(places(kind))


def test_cross_attention_is_distinguished_from_self_attention() -> None:
    found = [kind for stack, _, kind in places("bart") if stack == "decoder"]
    assert found[:3] == ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]
    assert "encoder_attn.q_proj" in found


def test_explicit_targets_match_full_names_and_dotted_suffixes() -> None:
    model, _ = build()
    assert len(target_names(model, ["query", "attention.output.dense"])) == 4
    assert target_names(model, "bert.encoder.layer.1.output.dense") == ["bert.encoder.layer.1.output.dense"]


def test_unknown_target_is_refused_with_the_known_names() -> None:
    model, task = build()
    with pytest.raises(ValueError, match=r"'q_proj'.* it has query, key, value, output.dense, intermediate.dense"):
        wrap(model, DynamicRankConfig(target_modules=["query", "q_proj"]), task)


def test_model_that_already_has_an_adapter_is_refused() -> None:
    model, task = build()
    wrapped = wrap(model, DynamicRankConfig(), task)
    with pytest.raises(ValueError, match="already has"):
        wrap(wrapped, DynamicRankConfig(), task)


@pytest.mark.skipif(peft.__version__ >= "0.21", reason="PEFT can adapt them from 0.21 on")
def test_an_older_peft_is_named_as_the_cause_for_encoder_decoders() -> None:
    model, task = build("t5")
    with pytest.raises(ValueError, match=r"can't adapt an encoder-decoder of .*; install peft>=0.21"):
        wrap(model, DynamicRankConfig(target_rank=2), task)
