"""TRL's trainers on a wrapped model: their reference model is a copy of the components under another name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from datasets import Dataset
from peft import PeftModel
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

from dynamic_rank import DynamicRankCallback, DynamicRankConfig, create_method, export_lora, make_trainer_class, wrap
from dynamic_rank.adapter.components import components_of
from tests.dynamic_rank.tiny_models import batch, build, logits
from tests.wide import each_once

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    # Not with `import`: its classes are loaded on first use, which a type checker cannot follow.
    trl: Any = pytest.importorskip("trl")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
WORDS = ["<pad>", "<s>", "</s>", "<unk>", *(f"w{number}" for number in range(33))]
SMALL: dict[str, Any] = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tokenizer() -> Any:
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def model(kind: Any = LlamaForCausalLM) -> Any:
    torch.manual_seed(0)
    labels = {"num_labels": 1} if kind is LlamaForSequenceClassification else {}
    return kind(LlamaConfig(**(SMALL | labels)))


PAIRS = {"prompt": ["w1 w2"] * 32, "chosen": [" w3 w4"] * 32, "rejected": [" w5 w6"] * 32}
TRAINERS: dict[str, tuple[Any, Any, dict[str, list[Any]], dict[str, Any]]] = {
    "sft": (trl.SFTTrainer, trl.SFTConfig, {"text": ["w1 w2 w3 w4"] * 32}, {}),
    "dpo": (trl.DPOTrainer, trl.DPOConfig, PAIRS, {}),
    "reward": (trl.RewardTrainer, trl.RewardConfig, PAIRS, {}),
    "kto": (
        trl.KTOTrainer,
        trl.KTOConfig,
        {"prompt": ["w1 w2"] * 32, "completion": [" w3", " w5"] * 16, "label": [True, False] * 16},
        {},
    ),
    "grpo": (
        trl.GRPOTrainer,
        trl.GRPOConfig,
        {"prompt": ["w1 w2"] * 32},
        {"num_generations": 2, "max_completion_length": 4, "beta": 0.1},
    ),
    "rloo": (
        trl.RLOOTrainer,
        trl.RLOOConfig,
        {"prompt": ["w1 w2"] * 32},
        {"num_generations": 2, "max_completion_length": 4, "beta": 0.1},
    ),
}


def trainer_of(name: str, folder: Path, form: str, config: DynamicRankConfig | None = None, **changes: Any) -> Any:
    kind, settings, rows, more = TRAINERS[name]
    config = config or DynamicRankConfig(target_rank=2, prune_interval=2, eta=0.1)
    is_reward = name == "reward"
    base = model(LlamaForSequenceClassification if is_reward else LlamaForCausalLM)
    usual: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": 12,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "save_strategy": "no",
        "seed": 5,
        "gradient_checkpointing": False,
        "logging_steps": 1,
    }
    common: dict[str, Any] = {"train_dataset": Dataset.from_dict(rows), "processing_class": tokenizer()}
    if name in ("grpo", "rloo"):
        common["reward_funcs"] = lambda completions, **_: [float("w3" in text) for text in completions]
    common["args"] = settings(**(usual | more | changes))
    task = "SEQ_CLS" if is_reward else "CAUSAL_LM"
    if form == "class":
        method = create_method("dynamic_rank", config.to_dict())
        wrapped = method.prepare(base, task)
        return make_trainer_class(kind)(wrapped, method=method, callbacks=method.callbacks(), **common), wrapped, config
    wrapped = wrap(base, config, task)
    callback = DynamicRankCallback(config, on_warning=lambda *_: None)
    return kind(wrapped, callbacks=[callback], **common), wrapped, config


@pytest.mark.parametrize(("name", "form"), each_once(TRAINERS, ["callback", "class"]))
def test_a_trainer_of_trl_prunes_to_the_exact_budget_and_exports(tmp_path: Path, name: str, form: str) -> None:
    trainer, wrapped, _ = trainer_of(name, tmp_path / "out", form)
    trainer.train()
    layers = components_of(wrapped).layers
    assert sum(len(layer.kept) for layer in layers) == 2 * len(layers)
    export_lora(wrapped, tmp_path / "adapter")
    kind = LlamaForSequenceClassification if name == "reward" else LlamaForCausalLM
    loaded = PeftModel.from_pretrained(model(kind), tmp_path / "adapter")
    torch.testing.assert_close(logits(loaded, batch("llama")), logits(wrapped, batch("llama")), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "init"), each_once(["dpo", "kto", "grpo"], ["paper", "zero_b"]))
def test_reference_model_of_trl_stays_the_model_at_the_start_of_training(
    tmp_path: Path, name: str, init: Literal["paper", "zero_b"]
) -> None:
    config = DynamicRankConfig(target_rank=2, prune_interval=2, eta=0, init=init)
    trainer, wrapped, _ = trainer_of(name, tmp_path, "callback", config)
    trainer.train()
    assert "ref" in wrapped.peft_config
    trained = logits(wrapped, batch("llama"))
    wrapped.set_adapter("ref")
    assert torch.equal(logits(wrapped, batch("llama")), logits(model(), batch("llama")))
    wrapped.set_adapter("default")
    assert torch.equal(logits(wrapped, batch("llama")), trained)
    assert not torch.equal(trained, logits(model(), batch("llama")))


def test_preference_training_continues_from_a_compacted_model(tmp_path: Path) -> None:
    """SFT first, then DPO with the same components: the reference is the result of SFT, including its compaction."""
    config = DynamicRankConfig(target_rank=1, initial_rank=4, prune_interval=2, eta=0, init="zero_b", score="norm")
    trainer, wrapped, _ = trainer_of("sft", tmp_path / "sft", "callback", config)
    trainer.train()
    assert min(len(layer.kept) for layer in components_of(wrapped).layers) == 0
    tuned = logits(wrapped, batch("llama"))
    kind, settings, rows, _ = TRAINERS["dpo"]
    args = settings(
        output_dir=str(tmp_path),
        max_steps=3,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        gradient_checkpointing=False,
    )
    kind(wrapped, args=args, train_dataset=Dataset.from_dict(rows), processing_class=tokenizer()).train()
    assert not torch.equal(logits(wrapped, batch("llama")), tuned)
    wrapped.set_adapter("ref")
    torch.testing.assert_close(logits(wrapped, batch("llama")), tuned)


def test_an_adapter_with_the_config_of_the_components_is_a_copy_of_them() -> None:
    """TRL adds "ref" with the config of "default" to any model, then copies each parameter by its name."""
    base, task = build()
    wrapped = wrap(base, DynamicRankConfig(target_rank=2), task)
    wrapped.add_adapter("ref", wrapped.peft_config["default"])
    for name, parameter in wrapped.named_parameters():
        if ".default." in name:
            other = wrapped.get_parameter(name.replace(".default.", ".ref."))
            other.data.copy_(parameter.data)
            assert not other.requires_grad
