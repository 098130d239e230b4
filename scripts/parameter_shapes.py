"""Shapes of a model's parameters in terms of the options of its config.json."""

import contextlib
import re
from typing import Any

from transformers import PreTrainedModel

from scripts.small_models import HEADS, POSITIONS, SIZES, build, shrunk

# Sizes for a second build. Two values of each option tell it from others that happen to be equal in one build: a size of 96
# may be hidden_size, or num_attention_heads * head_dim.
WIDTHS = (
    "intermediate_size",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "d_ff",
    "ffn_dim",
    "hidden_dim",
    "n_inner",
    "type_vocab_size",
)
HEAD_DIMS = ("head_dim", "d_kv", "kv_channels", "attention_head_dim", "attention_head_size")
PROBE = {
    "head_dim": 28,
    "d_kv": 28,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "num_heads": 3,
    "decoder_attention_heads": 2,
    "relative_attention_num_buckets": 34,
}
OPTION = re.compile(r"[a-z_]\w*")


def shapes(kind: str, changes: dict[str, Any], prefix: str, heads: list[str]) -> dict[str, list[str]]:
    """Returns the shapes of the body's parameters in terms of options, and the parameters that have them.

    A shape is written as `num_attention_heads*head_dim hidden_size`. A dimension that no option sets is `?`.
    """
    builds = []
    for number, probe in enumerate(({}, PROBE)):
        config = shrunk(kind)
        present = config.to_dict()
        spread = {name: 101 + 4 * place + 60 * number for place, name in enumerate(WIDTHS)}
        for name, value in {**spread, **probe}.items():
            if name in present and (type(present[name]) is int or name in ("head_dim", "n_inner")):
                with contextlib.suppress(AttributeError, ValueError, TypeError):
                    setattr(config, name, value)
        for name, value in changes.items():
            setattr(config, name, value)
        try:
            model = build(config)
        except Exception:
            return {}
        options = config.to_dict()
        if options.get("head_dim") is None and options.get("num_attention_heads") and options.get("hidden_size"):
            options["head_dim"] = options["hidden_size"] // options["num_attention_heads"]
        builds.append((options, by_pattern(model, prefix, heads)))
    found: dict[str, list[str]] = {}
    for name, shape in builds[0][1].items():
        if shape is None or any(len(other.get(name) or ()) != len(shape) for _, other in builds):
            continue
        terms = [term([(options, (sizes[name] or ())[at]) for options, sizes in builds]) for at in range(len(shape))]
        if any(one != "?" for one in terms):
            found.setdefault(" ".join(terms), []).append(name)
    return found


def by_pattern(model: PreTrainedModel, prefix: str, heads: list[str]) -> dict[str, tuple[int, ...] | None]:
    """Returns the shape of the parameters by pattern; None where blocks differ."""
    found: dict[str, tuple[int, ...] | None] = {}
    for name, parameter in model.named_parameters():
        if name.split(".")[0] not in heads:
            key, shape = pattern(inner(name, prefix)), tuple(parameter.shape)
            found[key] = shape if found.get(key, shape) == shape else None
    return found


def term(cases: list[tuple[dict[str, Any], int]]) -> str:
    """Returns the option, or product of two, that has the size in every case, as `num_heads*d_kv` or `3*n_embd`; or `?`."""
    known = [name for name, value in cases[0][0].items() if type(value) is int and value > 1 and may_be_a_size(name)]
    known = [name for name in known if all(type(values.get(name)) is int for values, _ in cases)]
    plain = [name for name in known if all(values[name] == size for values, size in cases)]
    if plain:
        return min(plain, key=lambda name: (name not in SIZES, name))
    for count in (name for name in known if name.endswith("heads") or name == "n_head"):
        for each in HEAD_DIMS:
            if all(type(values.get(each)) is int and values[count] * values[each] == size for values, size in cases):
                return f"{count}*{each}"
    for factor in (2, 3, 4):
        for name in known:
            if all(factor * values[name] == size for values, size in cases):
                return f"{factor}*{name}"
    for extra in (1, 2, 4):
        for name in POSITIONS:
            if all(type(values.get(name)) is int and values[name] + extra == size for values, size in cases):
                return f"{name}+{extra}"
    return "?"


def may_be_a_size(name: str) -> bool:
    return name.endswith(
        ("_size", "_dim", "_heads", "_embd", "d_model", "d_ff", "_inner", "dim", "_buckets", "n_head")
    ) or (name in POSITIONS or name in SIZES)


def divisors(kind: str) -> list[str]:
    """Returns the options with a number of heads that this kind refuses unless it divides the width."""
    found = []
    for name in HEADS:
        config = shrunk(kind)
        if type(config.to_dict().get(name)) is not int or name == "num_key_value_heads":
            continue
        try:
            values = config.to_dict() | {name: 7}
            build(type(config)(**values))
        except Exception as error:
            if re.search("divi|multiple", str(error)):
                found.append(name)
    return found


def inner(name: str, prefix: str) -> str:
    return name.removeprefix(f"{prefix}.") if prefix else name


def pattern(name: str) -> str:
    """Returns the name with every number replaced by `*`."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))
