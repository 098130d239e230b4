"""A model's config.json: an object of which every value that is used has the type that it should have."""

import importlib.util
from collections.abc import Mapping
from typing import Any

from rankscope.catalog.models.architectures import Architecture, architectures
from rankscope.catalog.models.files import MIB, ModelFiles, UnusableModel, json_kind, shown

_MOST_BYTES = 16 * MIB
_NUMBERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "num_decoder_layers",
    "encoder_layers",
    "decoder_layers",
    "hidden_size",
    "d_model",
    "n_embd",
    "dim",
    "emb_dim",
    "vocab_size",
    "max_position_embeddings",
    "n_positions",
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "embedding_size",
)
_OF_TYPE = {"id2label": dict, "label2id": dict, "quantization_config": dict, "auto_map": dict, "architectures": list}
_MOST = 1 << 31
_FEWEST_TOKENS = 4
"""As `config.training.max_length` allows."""
_COPY = "Copy config.json from the model again."


def read_config(files: ModelFiles) -> dict[str, Any]:
    """config.json, with every value that is used of its right type; UnusableModel otherwise."""
    files.require("config.json", "has no config.json", "Copy config.json from the model into the folder.")
    config = files.read_json("config.json", _MOST_BYTES)
    for name in _NUMBERS:
        value = config.get(name)
        if value is not None and not (type(value) is int and 0 < value < _MOST):
            raise UnusableModel(f"config.json has {name} {_brief(value)}, which is not a positive whole number", _COPY)
    for name, wanted in _OF_TYPE.items():
        value = config.get(name)
        if value is not None and not isinstance(value, wanted):
            raise UnusableModel(f"config.json has {name} {_brief(value)}, which is not {json_kind(wanted())}", _COPY)
    names = config.get("architectures") or []
    if not all(isinstance(name, str) for name in names):
        raise UnusableModel("config.json has architectures that are not names", _COPY)
    return config


def find_architecture(config: Mapping[str, Any]) -> Architecture:
    """What is known of the kind that config.json names; UnusableModel where it is not one that classifies texts."""
    kind = config.get("model_type")
    if kind is None or kind == "":
        raise UnusableModel(
            "config.json has no model_type, so it does not say which kind of model this is",
            'Add model_type (for example "bert"), or copy config.json from the model again.',
        )
    if not isinstance(kind, str):
        raise UnusableModel(f"config.json has model_type {_brief(kind)}, which is not a name", _COPY)
    found = architectures().get(kind)
    if found is not None:
        return found
    if config.get("auto_map"):
        raise UnusableModel(
            f"comes with code of its own (auto_map in config.json; model_type {shown(kind)!r}), "
            "and no code of a model is run",
            "Use a model that transformers knows by itself.",
        )
    raise UnusableModel(
        f"is of kind {shown(kind)!r}, which transformers has no text classifier for",
        "Use a text model such as BERT, RoBERTa, DeBERTa, Llama, Qwen or T5; check model_type in config.json.",
    )


def check_quantisation(config: Mapping[str, Any]) -> bool:
    """Whether the weights are quantised; UnusableModel for a way that is not supported or not installed."""
    settings = config.get("quantization_config")
    if not settings:
        return False
    method = settings.get("quant_method")
    if method is None and (settings.get("load_in_4bit") or settings.get("load_in_8bit")):
        method = "bitsandbytes"
    if method != "bitsandbytes":
        raise UnusableModel(
            f"is quantised by {_brief(method)}, and only bitsandbytes can be fine-tuned here",
            "Use the model's unquantised version, or one in bitsandbytes' 4 or 8 bits.",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UnusableModel(
            "is quantised by bitsandbytes, which is not installed",
            "Install RankScope's extra `quantized` where the workers run, or use the model's unquantised version.",
        )
    return True


def context_length(config: Mapping[str, Any], architecture: Architecture) -> int | None:
    """Most tokens in one text: what its positions allow, else what it was made for; None where neither is said."""
    made_for = architecture.size("max_position_embeddings", config)
    positions = architecture.positions
    if positions is None or any(config.get(name) == value for name, value in positions.unless.items()):
        return made_for
    rows = architecture.size(positions.option, config)
    if rows is None:
        return made_for
    length = rows + positions.extra
    if positions.from_padding:
        pad = config.get("pad_token_id", 1)
        length -= (pad if type(pad) is int else 1) + 1
    return max(min(length, made_for or length), _FEWEST_TOKENS)


def _brief(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool) else json_kind(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
