"""Shapes of real models, with random weights, for measurements on a GPU."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from .sides import Base


@dataclass(frozen=True)
class Shape:
    """A model of random weights with its batch. `window_limit` is for a step in the scoring window."""

    build: Callable[[bool], nn.Module]
    batch: tuple[int, int]
    window_limit: float
    dtype: torch.dtype = torch.float32
    task_type: str = "SEQ_CLS"

    def base(self, device: str, *, smoke: bool) -> Base:
        size, length = (2, 8) if smoke else self.batch
        tokens = torch.randint(3, 200, (size, length), generator=torch.Generator().manual_seed(1))
        labels = tokens if self.task_type == "CAUSAL_LM" else torch.arange(size) % 2
        batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}

        def model() -> nn.Module:
            with torch.device(device):  # random weights of 2 billion parameters take minutes on a CPU
                return self.build(smoke).to(self.dtype)

        return Base(model, {name: tensor.to(device) for name, tensor in batch.items()}, self.task_type, device)


def _sizes(smoke: bool, layers: int, hidden: int, inner: int, heads: int, vocabulary: int) -> dict[str, Any]:
    if smoke:
        layers, hidden, inner, heads, vocabulary = 2, 32, 48, 2, 200
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "vocab_size": vocabulary,
    }


def _roberta(smoke: bool) -> nn.Module:
    sizes = _sizes(smoke, 24, 1024, 4096, 16, 50_265)
    return RobertaForSequenceClassification(RobertaConfig(**sizes, max_position_embeddings=514, type_vocab_size=1))


def _llama(smoke: bool) -> nn.Module:
    return LlamaForCausalLM(LlamaConfig(**_sizes(smoke, 8, 4096, 11_008, 32, 32_000)))


def _minilm(smoke: bool) -> nn.Module:
    return BertForSequenceClassification(BertConfig(**_sizes(smoke, 6, 384, 1536, 12, 30_522)))


SHAPES = {
    "RoBERTa-large, 16 x 128": Shape(_roberta, (16, 128), 1.03),
    "Llama-7B shape, 8 layers, 4 x 512": Shape(_llama, (4, 512), 1.02, torch.bfloat16, "CAUSAL_LM"),
    "MiniLM, 16 x 48": Shape(_minilm, (16, 48), 1.05),
}
