"""Checks the options of config.json that are lists and objects: kinds of layers, and rotary position embeddings."""

import math
from collections.abc import Mapping

from rankscope.catalog.models.files import UnusableModel, json_kind, shown

_COPY = "Copy config.json from the model again."
LAYER_TYPES = frozenset(
    {
        *("full_attention", "sliding_attention", "chunked_attention", "window_attention", "indexed_attention"),
        *("compressed_sparse_attention", "heavily_compressed_attention", "minimax_m3_sparse", "conv", "moe", "hybrid"),
        *("hybrid_sliding", "reference_sliding_attention", "linear_attention", "sparse", "dense"),
    }
)
"""The names that transformers knows."""
OLDER_LAYER_TYPES = frozenset({"mamba", "attention", "deepseek_sparse_attention", "qwen_sparse_attention"})
"""Names that transformers replaces."""
_NUMBERS = {
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "longrope": (),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "default": (),
    "proportional": (),
    "axial": (),
    # Names of earlier versions.
    "su": (),
    "mrope": (),
}
"""Kind of rotary embedding -> numbers without which it can't be computed."""
_POSITIVE = ("rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_OTHER_NUMBERS = ("partial_rotary_factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim")


def check_layer_types(config: Mapping[str, object]) -> None:
    """Raises UnusableModel for unknown kinds in `layer_types` or `mlp_layer_types`, or a wrong number of `layer_types`."""
    layers = config.get("num_hidden_layers")
    for option in ("layer_types", "mlp_layer_types"):
        found = config.get(option)
        if not isinstance(found, list):
            continue
        wrong = [kind for kind in found if not (isinstance(kind, str) and kind in LAYER_TYPES | OLDER_LAYER_TYPES)]
        if wrong:
            what = repr(shown(wrong[0])) if isinstance(wrong[0], str) else json_kind(wrong[0])
            raise UnusableModel(f"config.json has {what} in {option}, which is not a kind of layer", _COPY)
        if option == "layer_types" and type(layers) is int and layers != len(found):
            raise UnusableModel(
                f"config.json has {len(found)} entries in {option}, but num_hidden_layers {layers:,}", _COPY
            )


def check_rotary(config: Mapping[str, object]) -> None:
    """Raises UnusableModel for settings with which rotary position embeddings can't be computed."""
    for option in ("rope_parameters", "rope_scaling"):
        found = config.get(option)
        if isinstance(found, dict):
            for name, value in found.items():
                if isinstance(value, dict):  # settings by kind of layer
                    _check_one(f"{option}.{shown(name)}", value)
            _check_one(option, found)
    _check_numbers("", config, ("rope_theta", "partial_rotary_factor"))


def _check_one(where: str, found: Mapping[str, object]) -> None:
    kind = found.get("rope_type", found.get("type", "default"))
    if not isinstance(kind, str) or kind not in _NUMBERS:
        what = repr(kind)[:40] if isinstance(kind, str) else json_kind(kind)
        raise UnusableModel(f"config.json has {what} as rope_type in {where}, which is unknown", _COPY)
    for name in _NUMBERS[kind]:
        if found.get(name) is None:
            raise UnusableModel(f"config.json has no {name} in {where}, which rope_type {kind!r} needs", _COPY)
    for name in ("short_factor", "long_factor") if kind in ("longrope", "su") else ():
        value = found.get(name)
        if not isinstance(value, list) or not all(_is_number(one) for one in value):
            raise UnusableModel(f"config.json has no list of numbers as {name} in {where}", _COPY)
    if found.get("rope_theta", 1) is None:
        raise UnusableModel(f"config.json has null as rope_theta in {where}, which is not a number", _COPY)
    _check_numbers(f" in {where}", found, (*_POSITIVE, *_OTHER_NUMBERS))


def _check_numbers(where: str, found: Mapping[str, object], names: tuple[str, ...]) -> None:
    for name in names:
        value = found.get(name)
        if value is None:
            continue
        if not _is_number(value):
            what = repr(value)[:40] if isinstance(value, str | float | bool) else json_kind(value)
            raise UnusableModel(f"config.json has {what} as {name}{where}, which is not a number", _COPY)
        if name in _POSITIVE and isinstance(value, int | float) and value <= 0:
            raise UnusableModel(f"config.json has {value} as {name}{where}, which is not above 0", _COPY)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
