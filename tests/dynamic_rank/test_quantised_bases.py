"""4-bit and 8-bit bases (bitsandbytes, here on the CPU): their components train, prune, compact, resume and export."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import (
    BitsAndBytesConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from dynamic_rank import RankMethod, create_method, make_trainer_class
from dynamic_rank.adapter.components import components_of
from dynamic_rank.wrapping import keep_unpacked
from tests.dynamic_rank.tiny_models import DEVICE, VOCABULARY, Rows, arguments, batch, logits
from tests.wide import each_once

# Warnings of bitsandbytes and torch when quantising on a CPU.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*MatMul8bitLt.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*CPU capability.*:UserWarning"),
]
QUANTISED = {
    "4 bit": BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    ),
    "8 bit": BitsAndBytesConfig(load_in_8bit=True),
}
METHODS = {
    "dynamic_rank": {"target_rank": 2, "prune_interval": 2},
    "adalora": {"target_rank": 2, "prune_interval": 2},
    "lora_shrink": {"target_rank": 2},
    "gradient": {"rank": 2},
    "spectrum": {"rank": 2},
}


class Sentences(Rows):
    """The same rows with a label for each token."""

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        tokens = super().__getitem__(row)
        return tokens | {"labels": tokens["input_ids"]}


class StopAt(TrainerCallback):
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        if state.global_step == 12:
            control.should_save = control.should_training_stop = True
        return control


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with sizes that the 4-bit kernels support."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=32,
        pad_token_id=1,
    )
    path = tmp_path_factory.mktemp("llama")
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def load(folder: Path, bits: str) -> torch.nn.Module:
    model: torch.nn.Module = LlamaForCausalLM.from_pretrained(
        folder, quantization_config=QUANTISED[bits], device_map={"": DEVICE}
    )
    return model


def train(
    folder: Path, bits: str, key: str, out: Path, *extra: Any, resume: str | None = None
) -> tuple[Any, RankMethod]:
    torch.manual_seed(1)
    base = load(folder, bits)
    method = create_method(key, METHODS[key])
    model = method.prepare(base, "CAUSAL_LM")
    trainer = make_trainer_class(Trainer)(
        model=model,
        args=arguments(out),
        method=method,
        train_dataset=Sentences(),
        callbacks=[*method.callbacks(), *extra],
    )
    trainer.train(resume_from_checkpoint=resume)
    return model, method


@pytest.mark.parametrize(("key", "bits"), each_once(METHODS, list(QUANTISED)))
def test_a_quantised_base_trains_resumes_and_exports_a_plain_lora(
    folder: Path, tmp_path: Path, key: str, bits: str
) -> None:
    layer = load(folder, bits).get_submodule("model.layers.0.mlp.up_proj")
    assert type(layer).__name__ in ("Linear4bit", "Linear8bitLt")
    model, method = train(folder, bits, key, tmp_path / "whole")
    expected = logits(model, batch("llama"))
    assert not torch.equal(expected, logits(load(folder, bits), batch("llama")))
    pairs = getattr(method, "pairs", [])
    spent, budget = sum(pair.rank * pair.cost for pair in pairs), 2 * sum(pair.cost for pair in pairs)
    assert spent <= budget < spent + min((pair.cost for pair in pairs), default=1)
    if not pairs:
        assert sum(len(layer.kept) for layer in components_of(model).layers) == 14
    method.export(tmp_path / "adapter")
    base = load(folder, bits)
    keep_unpacked(base)  # packed weights compute in bfloat16
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter")
    torch.testing.assert_close(logits(loaded, batch("llama")), expected, rtol=1e-5, atol=1e-5)

    train(folder, bits, key, tmp_path / "cut", StopAt())
    again, _ = train(folder, bits, key, tmp_path / "cut", resume=str(tmp_path / "cut" / "checkpoint-12"))
    assert torch.equal(logits(again, batch("llama")), expected)


@pytest.mark.parametrize("bits", QUANTISED)
def test_a_wrapped_quantised_model_starts_as_its_base(folder: Path, bits: str) -> None:
    torch.manual_seed(1)
    base = load(folder, bits)
    before = logits(base, batch("llama"))
    model = create_method("dynamic_rank", METHODS["dynamic_rank"]).prepare(base, "CAUSAL_LM")
    assert torch.equal(logits(model, batch("llama")), before)


def test_an_evaluation_leaves_the_gradients_of_a_4_bit_base_as_they_are(folder: Path) -> None:
    model = create_method("lora", {"rank": 2, "lora_dropout": 0.0}).prepare(load(folder, "4 bit"), "CAUSAL_LM")
    tokens = Sentences()[0]
    inputs = {name: tensor[None].to(DEVICE) for name, tensor in tokens.items()}

    def gradients() -> list[torch.Tensor]:
        model.train().zero_grad()
        model(**inputs).loss.backward()
        return [each.grad.clone() for each in model.parameters() if each.grad is not None]

    before = gradients()
    with torch.no_grad():
        model.eval()(**inputs)
    torch.testing.assert_close(gradients(), before, rtol=0, atol=0)
