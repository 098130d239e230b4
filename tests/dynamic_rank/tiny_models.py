"""Tiny random models and runs that train in milliseconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BartForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
    TrainingArguments,
)

# Models and batches of the tests are on this device; `make test-gpu` sets it.
DEVICE = os.environ.get("RANKSCOPE_TEST_DEVICE", "cpu")
VOCABULARY = 37
_BERT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
}
_BART: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 32,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
_LLAMA: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "pad_token_id": 1,
}
_T5: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 1,
    "num_heads": 2,
    "decoder_start_token_id": 0,
}
KINDS: dict[str, tuple[Callable[[], Any], str]] = {
    "bert": (lambda: BertForSequenceClassification(BertConfig(**_BERT)), "SEQ_CLS"),
    "roberta": (lambda: RobertaForSequenceClassification(RobertaConfig(**_BERT)), "SEQ_CLS"),
    "llama": (lambda: LlamaForCausalLM(LlamaConfig(**_LLAMA)), "CAUSAL_LM"),
    "llama_classifier": (lambda: LlamaForSequenceClassification(LlamaConfig(**_LLAMA)), "SEQ_CLS"),
    "gpt2": (
        lambda: GPT2LMHeadModel(
            GPT2Config(
                vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=2
            )
        ),
        "CAUSAL_LM",
    ),
    "bart": (lambda: BartForConditionalGeneration(BartConfig(**_BART)), "SEQ_2_SEQ_LM"),
    "bart_classifier": (lambda: BartForSequenceClassification(BartConfig(**_BART | {"num_labels": 2})), "SEQ_CLS"),
    "t5": (
        lambda: T5ForConditionalGeneration(T5Config(**_T5)),
        "SEQ_2_SEQ_LM",
    ),
}


def build(kind: str = "bert", seed: int = 0) -> tuple[Any, str]:
    """A model of this kind and its task type; the same weights for the same seed, on every device."""
    torch.manual_seed(seed)
    make, task = KINDS[kind]
    return make().to(DEVICE), task


def batch(kind: str = "bert", seed: int = 1, size: int = 4, length: int = 7) -> dict[str, torch.Tensor]:
    """Token ids 3 and up (no padding), ending with the end token 2, which BART's classifier needs."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (size, length), generator=generator).to(DEVICE)
    ids[:, -1] = 2
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if kind in ("bart", "t5"):
        inputs["decoder_input_ids"] = ids.clone()
    return inputs


def labels() -> torch.Tensor:
    """Labels for a `batch` of a classifier."""
    return torch.tensor([0, 1, 0, 1], device=DEVICE)


def random_like(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Normal numbers on the tensor's device, the same on every device."""
    return torch.randn(tensor.shape, generator=generator).to(tensor.device)


def logits(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        result: torch.Tensor = model(**inputs).logits
    model.train(was_training)
    return result


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Random rows with labels for a classifier."""

    def __init__(self, count: int = 64) -> None:
        generator = torch.Generator().manual_seed(3)
        self.ids = torch.randint(3, VOCABULARY, (count, 7), generator=generator)
        self.labels = (self.ids[:, 0] > VOCABULARY // 2).long()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {
            "input_ids": self.ids[row],
            "attention_mask": torch.ones(7, dtype=torch.long),
            "labels": self.labels[row],
        }


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": 20,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "weight_decay": 0.01,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": DEVICE == "cpu",
        "seed": 5,
        "dataloader_pin_memory": False,
    }
    return TrainingArguments(**(settings | changes))
