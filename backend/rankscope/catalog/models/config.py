"""Reads a model's config.json and checks the type of every value that is used."""

import importlib.util
import math
from collections.abc import Mapping

from rankscope.catalog.models.architectures import Architecture, architectures
from rankscope.catalog.models.attention_options import check_layer_types, check_rotary
from rankscope.catalog.models.expected_shapes import check_divisors
from rankscope.catalog.models.files import MIB, ModelFiles, UnusableModel, json_kind, shown

_MAX_BYTES = 16 * MIB
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
    "encoder_attention_heads",
    "decoder_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "d_kv",
    "d_ff",
    "n_inner",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "relative_attention_num_buckets",
    "relative_attention_max_distance",
)
NEVER_NULL = (
    "encoder_attention_heads",
    "decoder_attention_heads",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "encoder_layerdrop",
    "decoder_layerdrop",
    "init_std",
    "activation_function",
)
"""Optional in transformers' classes, but the model can't be built or run without them."""
_JSON_TYPES: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str", type(None): "null"}
_IN_WORDS = {
    "bool": "true or false",
    "int": "an integer",
    "float": "a number with a decimal point",
    "str": "a string",
    "null": "null",
}
_SIZES = ("_size", "_dim", "_heads", "_layers", "_embeddings")
_NOT_NEGATIVE = ("_eps", "_epsilon", "initializer_range", "initializer_factor", "init_std")
_ACTIVATION_OPTIONS = frozenset(
    {"hidden_act", "hidden_activation", "activation_function", "classifier_activation", "dense_act_fn"}
)
ACTIVATIONS = frozenset(
    {
        *("gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh", "quick_gelu"),
        *(
            "gelu_pytorch_tanh",
            "hardswish",
            "laplace",
            "leaky_relu",
            "linear",
            "mish",
            "prelu",
            "relu",
            "relu2",
            "relu6",
        ),
        *("sigmoid", "silu", "sqrtsoftplus", "swish", "tanh", "xielu"),
    }
)
"""The names that transformers knows."""
_OF_TYPE = {
    "id2label": dict,
    "label2id": dict,
    "quantization_config": dict,
    "auto_map": dict,
    "architectures": list,
    "rope_parameters": dict,
    "rope_scaling": dict,
    "layer_types": list,
    "mlp_layer_types": list,
}
_TOKEN_IDS = ("eos_token_id", "forced_eos_token_id")
_MOST = 1 << 31
_FEWEST_TOKENS = 4
"""The minimum of `config.training.max_length`."""
_COPY = "Copy config.json from the model again."


def read_config(files: ModelFiles) -> dict[str, object]:
    """Returns config.json. Raises UnusableModel if it is damaged or a value that is used has the wrong type."""
    files.require("config.json", "has no config.json", "Copy config.json from the model into the folder.")
    config = files.read_json("config.json", _MAX_BYTES)
    for name in _NUMBERS:
        value = config.get(name)
        if value is not None and not (type(value) is int and 0 < value < _MOST):
            raise UnusableModel(f"config.json has {name} {_brief(value)}, which is not a positive integer", _COPY)
    for name, wanted in _OF_TYPE.items():
        value = config.get(name)
        if value is not None and not isinstance(value, wanted):
            raise UnusableModel(f"config.json has {name} {_brief(value)}, which is not {json_kind(wanted())}", _COPY)
    for name in _TOKEN_IDS:
        value = config.get(name)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(one) is int for one in ids):
            raise UnusableModel(f"config.json has {name} {_brief(value)}, which is not a token id", _COPY)
    class_names(config)
    return config


def class_names(config: Mapping[str, object]) -> list[str]:
    """Returns the classes that config.json names. Raises UnusableModel if they are not names."""
    names = config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnusableModel("config.json has architectures that are not names", _COPY)
    return names


def find_architecture(config: Mapping[str, object]) -> Architecture:
    """Returns what is known about the model_type of config.json. Raises UnusableModel if it can't classify texts."""
    kind = config.get("model_type")
    if kind is None or kind == "":
        raise UnusableModel(
            "config.json has no model_type, so the kind of model is unknown",
            'Add model_type (for example "bert"), or copy config.json from the model again.',
        )
    if not isinstance(kind, str):
        raise UnusableModel(f"config.json has model_type {_brief(kind)}, which is not a name", _COPY)
    found = architectures().get(kind)
    if found is not None:
        return found
    if config.get("auto_map"):
        raise UnusableModel(
            f"needs its own code (auto_map in config.json; model_type {shown(kind)!r}), "
            "and RankScope never runs a model's code",
            "Use a model that is built into transformers.",
        )
    raise UnusableModel(
        f"has model_type {shown(kind)!r}, for which transformers has no text classifier",
        "Use a text model such as BERT, RoBERTa, DeBERTa, Llama, Qwen or T5; check model_type in config.json.",
    )


def check_options(config: Mapping[str, object], architecture: Architecture) -> None:
    """Raises UnusableModel for an option with a value that transformers, or the model that it builds, rejects."""
    for name, allowed in architecture.types.items():
        if name in config:
            problem = _why_not(name, config[name], allowed)
            if problem is not None:
                raise UnusableModel(f"config.json has {name} {_brief(config[name])}, which is {problem}", _COPY)
    for option, names in architecture.aliases.items():
        for name in names:
            is_checked = name in config and option in architecture.types
            problem = _why_not(name, config[name], architecture.types[option]) if is_checked else None
            if problem is not None:
                raise UnusableModel(f"config.json has {name} {_brief(config[name])}, which is {problem}", _COPY)
    for name in NEVER_NULL:
        if name in architecture.types and config.get(name, "") is None:
            raise UnusableModel(f"config.json has {name} null, which must be set", _COPY)
    if "feed_forward_proj" in architecture.types and "dense_act_fn" in config:
        problem = _why_not("dense_act_fn", config["dense_act_fn"], "str")
        if problem is not None:
            raise UnusableModel(
                f"config.json has dense_act_fn {_brief(config['dense_act_fn'])}, which is {problem}", _COPY
            )
    check_layer_types(config)
    check_rotary(config)
    check_divisors(config, architecture)
    start, rows = config.get("decoder_start_token_id"), architecture.size("vocab_size", config)
    if start is not None and type(start) is not int:
        raise UnusableModel(
            f"config.json has decoder_start_token_id {_brief(start)}, which is not an integer or null", _COPY
        )
    if type(start) is int and rows is not None and not 0 <= start < rows:
        raise UnusableModel(
            f"config.json has decoder_start_token_id {start}, which is not one of the {rows:,} tokens (vocab_size)",
            _COPY,
        )


def _why_not(name: str, value: object, allowed: str) -> str | None:
    """Returns what is wrong with an option that may have these JSON types; None if nothing is."""
    if value is None and name.endswith("dropout"):  # omitted when the model is created
        return None
    kinds = allowed.split("|")
    if _JSON_TYPES.get(type(value)) not in kinds:
        is_number = {"int", "float"} <= set(kinds)
        words = ["a number"] if is_number else []
        words += [_IN_WORDS[kind] for kind in kinds if not (is_number and kind in ("int", "float"))]
        return f"not {' or '.join(words)}"
    if isinstance(value, str) and name in _ACTIVATION_OPTIONS and value not in ACTIVATIONS:
        return "not the name of an activation that transformers knows"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value):
        return "not a finite number"
    if "drop" in name and not 0 <= value <= 1:
        return "not between 0 and 1"
    if value < 0 and name.endswith((*_SIZES, *_NOT_NEGATIVE)):
        return "negative"
    if name == "initializer_range" and value > 1:
        return "above 1"
    return None


def check_quantisation(config: Mapping[str, object]) -> bool:
    """Whether the weights are quantised. Raises UnusableModel if the method is not supported or not installed."""
    settings = config.get("quantization_config")
    if not settings or not isinstance(settings, Mapping):
        return False
    method = settings.get("quant_method")
    if method is None and (settings.get("load_in_4bit") or settings.get("load_in_8bit")):
        method = "bitsandbytes"
    if method != "bitsandbytes":
        raise UnusableModel(
            f"is quantised with {_brief(method)}, and only bitsandbytes is supported",
            "Use the model's unquantised version, or quantise it with bitsandbytes to 4 or 8 bits.",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UnusableModel(
            "is quantised with bitsandbytes, which is not installed",
            "Install RankScope's extra `quantized` where the workers run, or use the model's unquantised version.",
        )
    return True


def context_length(config: Mapping[str, object], architecture: Architecture) -> int | None:
    """Returns the largest number of tokens in one text: the limit of its positions, or max_position_embeddings, or None."""
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
