"""Small models of every kind, with sizes that identify their options, on torch's meta device."""

import contextlib
import copy
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

LABELS = 17
# Distinct sizes, so that a size identifies its option.
SIZES = {
    "hidden_size": 96,
    "d_model": 96,
    "n_embd": 96,
    "dim": 96,
    "emb_dim": 96,
    "word_embed_proj_dim": 48,
    "embedding_size": 40,
    "vocab_size": 1009,
    "classifier_proj_size": 56,
    "pooler_hidden_size": 72,
}
POSITIONS = {"max_position_embeddings": 131, "n_positions": 131}
COUNTS = {
    "num_hidden_layers": 3,
    "n_layer": 3,
    "n_layers": 3,
    "num_layers": 3,
    "encoder_layers": 3,
    "decoder_layers": 5,
    "num_decoder_layers": 5,
}
HEADS = dict.fromkeys(
    (
        "num_attention_heads",
        "n_head",
        "n_heads",
        "num_heads",
        "encoder_attention_heads",
        "decoder_attention_heads",
        "num_key_value_heads",
    ),
    4,
)
# Further options without which some kinds can't be built.
EXTRA: dict[str, dict[str, Any]] = {
    "esm": {"pad_token_id": 1, "vocab_size": 1009},
    "hunyuan_v1_dense": {"head_dim": 24},
    "hunyuan_v1_moe": {"head_dim": 24, "num_experts": 2, "moe_topk": 1},
    "ministral": {"head_dim": 24},
    "nemotron": {"num_key_value_heads": 4},
    "squeezebert": {"embedding_size": 96},
    "reformer": {"axial_pos_embds_dim": (32, 64)},
}


def shrunk(kind: str) -> PreTrainedConfig:
    """Returns a small configuration of this kind."""
    config = AutoConfig.for_model(kind)
    present = config.to_dict()
    changes = {**SIZES, **POSITIONS, **COUNTS, **HEADS, **EXTRA.get(kind, {})}
    for name, value in changes.items():
        if name in present and (type(present[name]) is int or name in EXTRA.get(kind, {})):
            try:
                setattr(config, name, value)
            except (AttributeError, ValueError, TypeError):
                continue
    if kind == "zamba":  # a list defines its layers, which are tied in a pattern over all of them
        config = AutoConfig.for_model(kind)
    layer_types = getattr(config, "layer_types", None)
    if isinstance(layer_types, list) and len(layer_types) > config.num_hidden_layers:
        with contextlib.suppress(AttributeError):
            config.layer_types = layer_types[: config.num_hidden_layers]
    pad = getattr(config, "pad_token_id", None)
    if isinstance(pad, int) and pad >= SIZES["vocab_size"]:
        config.pad_token_id = 0
    config.num_labels = LABELS
    return config


def build(config: PreTrainedConfig) -> PreTrainedModel:
    """Builds the classifier on the meta device."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(copy.deepcopy(config))
    return model
