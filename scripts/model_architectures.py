"""Writes backend/rankscope/catalog/models/architectures.json: what the server knows about each kind of model without torch.

Every kind that AutoModelForSequenceClassification supports is built on torch's meta device, without memory, to find the
layers to adapt, the parts of the head, and the embedding. Run it after an update of transformers:
`python -m scripts.model_architectures`. A test compares the file with the output of this script.
"""

import copy
import dataclasses
import json
import sys
import types
import typing
import warnings
from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.conversion_mapping import get_checkpoint_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from dynamic_rank.adapter.heads import head_names
from dynamic_rank.adapter.targets import is_linear, target_names
from rankscope_worker.child.loading.model import OF_A_TASK
from scripts.parameter_shapes import OPTION, divisors, inner, pattern, shapes
from scripts.small_models import COUNTS, LABELS, POSITIONS, SIZES, build, shrunk

TARGET = Path(__file__).parent.parent / "backend/rankscope/catalog/models/architectures.json"
# Options that change the names of layers. The names of all variants are included.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "deepseek_v2": [{"q_lora_rank": None}],
    "deepseek_v3": [{"q_lora_rank": None}],
    "esm": [{"position_embedding_type": "rotary"}],
    "mt5": [{"is_gated_act": False, "dense_act_fn": "relu"}],
    "qwen2_moe": [{"mlp_only_layers": [0]}],
    "qwen3_moe": [{"mlp_only_layers": [0]}],
    "t5": [{"is_gated_act": True, "dense_act_fn": "gelu_new"}],
    "umt5": [{"is_gated_act": False, "dense_act_fn": "relu"}],
}
JSON_TYPES: dict[Any, str] = {bool: "bool", int: "int", float: "float", str: "str", types.NoneType: "null"}
# An option whose value means that positions have no limit.
UNLIMITED = {"position_biased_input": False, "position_embedding_type": "rotary"}


def describe(kind: str) -> dict[str, Any]:
    """Returns the entry of one kind; only its class if it can't be built."""
    entry: dict[str, Any] = {"class": MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES[kind]}
    tokenizer = TOKENIZER_MAPPING_NAMES.get(kind)
    if tokenizer:
        entry["tokenizer"] = tokenizer
    entry["types"] = option_types(kind)
    try:
        config = shrunk(kind)
        model = build(config)
    except Exception as error:
        entry["unknown"] = f"{type(error).__name__}: {str(error)[:60]}"
        return entry
    entry |= names(model, config, kind)
    for variant in VARIANTS.get(kind, []):
        other = copy.deepcopy(config)
        for name, value in variant.items():
            setattr(other, name, value)
        more = names(build(other), other, kind)
        for field in ("linear", "other"):
            entry[field] = sorted({*entry[field], *more[field]})
    found: dict[str, list[str]] = {}
    for changes in [{}, *VARIANTS.get(kind, [])]:
        for terms, parameters in shapes(kind, changes, entry["prefix"], entry["heads"]).items():
            found[terms] = sorted({*found.get(terms, ()), *parameters})
    entry |= {"shapes": dict(sorted(found.items()))} if found else {}
    entry |= {"divisors": refusing} if (refusing := divisors(kind)) else {}
    add_sizes(entry, kind, config)
    return entry


def add_sizes(entry: dict[str, Any], kind: str, config: PreTrainedConfig) -> None:
    """Adds default and other names of every option that a shape or divisor names.

    A default that transformers computes from other options, such as Llama's head_dim, is left out.
    """
    used = {option for terms in entry.get("shapes", {}) for option in OPTION.findall(terms)} | {
        *entry.get("divisors", ())
    }
    defaults = AutoConfig.for_model(kind).to_dict()
    computed = {field.name for field in dataclasses.fields(CONFIG_MAPPING[kind]) if field.default is None}
    entry["defaults"] |= {name: defaults[name] for name in used - computed if type(defaults.get(name)) is int}
    entry["defaults"] = {name: entry["defaults"][name] for name in sorted(entry["defaults"].keys() - (computed & used))}
    aliases = entry.setdefault("aliases", {})
    for alias, option in sorted(type(config).attribute_map.items()):
        if option in used and alias not in aliases.setdefault(option, []):
            aliases[option].append(alias)
    entry["aliases"] = {option: aliases[option] for option in sorted(aliases) if aliases[option]}
    if not entry["aliases"]:
        del entry["aliases"]


def names(model: PreTrainedModel, config: PreTrainedConfig, kind: str) -> dict[str, Any]:
    heads = head_names(model, "SEQ_CLS")
    prefix = str(model.base_model_prefix) if hasattr(model, model.base_model_prefix) else ""
    try:
        linear = target_names(model, None, heads)
    except ValueError:  # no linear layer in a block: SqueezeBERT's are convolutions
        linear = []
    modules = dict(model.named_modules())
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    body = {name: shape for name, shape in shapes.items() if name.split(".")[0] not in heads}
    every = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    inside = sorted({pattern(inner(name, prefix)) for name in linear})
    weights = {f"{name}.weight" for name in linear}
    outside = [
        name
        for name, module in modules.items()
        if is_linear(module) and name.split(".")[0] not in heads and not any(part.isdigit() for part in name.split("."))
    ]
    entry: dict[str, Any] = {
        "prefix": prefix,
        "heads": heads,
        "linear": inside,
        "other": sorted({pattern(inner(name, prefix)) for name in body if name not in weights}),
        "head": [[size_name(size, config) for size in shapes[name]] for name in shapes if name.split(".")[0] in heads],
        "blocks": blocks(linear, prefix, config),
        "embedding": embedding(body, prefix, config),
    }
    width = size_name(next((s[1] for n, s in body.items() if inner(n, prefix) == entry["embedding"]), 0), config)
    if isinstance(width, str):
        entry["width"] = width
    tied = sorted({pattern(inner(name, prefix)) for name in every - set(shapes)})
    aliases: dict[str, list[str]] = {}
    for alias, option in type(config).attribute_map.items():
        aliases.setdefault(option, []).append(alias)
    optional = {
        "conv1d": any(isinstance(modules[name], Conv1D) for name in linear),
        "tied": tied,
        "outside": sorted(inner(name, prefix) for name in outside),
        "renames": renames(kind),
        "splits": splits(kind),
        "positions": positions(model, heads, config),
    }
    entry |= {name: value for name, value in optional.items() if value}
    wanted = {size for shape in entry["head"] for size in shape if isinstance(size, str)}
    wanted |= set(entry["blocks"].values()) | {"vocab_size", "max_position_embeddings", "n_positions"}
    wanted |= {entry["width"]} if "width" in entry else set()
    entry |= {"aliases": used} if (used := {name: aliases[name] for name in sorted(wanted & set(aliases))}) else {}
    defaults = AutoConfig.for_model(kind).to_dict()
    entry["defaults"] = {
        name: defaults[name] for name in sorted(wanted - {"num_labels"}) if isinstance(defaults.get(name), int)
    }
    return entry


def option_types(kind: str) -> dict[str, list[str]]:
    """JSON types that transformers accepts, such as `float|int` -> options of config.json that have them.

    Those that may be a list or an object are left out.
    """
    found: dict[str, list[str]] = {}
    for field in dataclasses.fields(CONFIG_MAPPING[kind]):
        allowed = field.type
        kinds = typing.get_args(allowed) if isinstance(allowed, types.UnionType) else (allowed,)
        if field.name not in OF_A_TASK and all(one in JSON_TYPES for one in kinds):
            found.setdefault("|".join(sorted(JSON_TYPES[one] for one in kinds)), []).append(field.name)
    return {names: sorted(options) for names, options in sorted(found.items())}


def size_name(size: int, config: PreTrainedConfig) -> int | str:
    if size == LABELS:
        return "num_labels"
    present = config.to_dict()
    return next((name for name, value in SIZES.items() if value == size and present.get(name) == size), size)


def blocks(linear: list[str], prefix: str, config: PreTrainedConfig) -> dict[str, str]:
    """Returns the path of each stack of blocks with the option for its number of blocks, if there is one."""
    seen: dict[str, set[int]] = {}
    for name in linear:
        parts = inner(name, prefix).split(".")
        at = next(index for index, part in enumerate(parts) if part.isdigit())
        seen.setdefault(".".join(parts[:at]), set()).add(int(parts[at]))
    present = config.to_dict()
    found = {}
    for path, numbers in sorted(seen.items()):
        options = [name for name, value in COUNTS.items() if present.get(name) == value == len(numbers)]
        if options and numbers == set(range(len(numbers))):
            found[path] = options[0]
    return found


def embedding(body: dict[str, tuple[int, ...]], prefix: str, config: PreTrainedConfig) -> str | None:
    vocabulary = config.to_dict().get("vocab_size")
    return next(
        (inner(name, prefix) for name, shape in body.items() if len(shape) == 2 and shape[0] == vocabulary), None
    )


def positions(model: nn.Module, heads: list[str], config: PreTrainedConfig) -> dict[str, Any] | None:
    """Returns the option that limits a text's length.

    A text may have `option + extra` tokens, minus `pad_token_id + 1` if positions are counted from the padding id.
    """
    present = config.to_dict()
    option = next((name for name in POSITIONS if present.get(name) == POSITIONS[name]), None)
    if option is None:
        return None
    unless = {name: value for name, value in UNLIMITED.items() if name in present}
    for name, module in model.named_modules():
        rows = getattr(module, "num_embeddings", 0)
        if name.split(".")[0] in heads or not 0 <= rows - POSITIONS[option] <= 4:
            continue
        if module.padding_idx is not None:
            return {"option": option, "extra": rows - POSITIONS[option], "from_padding": True, "unless": unless}
        # Without padding index, the first position may not be row 0, so extra rows don't count.
        return {"option": option, "extra": 0, "from_padding": False, "unless": unless}
    for name, buffer in model.named_buffers():
        if "pos" in name and buffer.dim() == 2 and buffer.shape[0] == POSITIONS[option]:
            return {"option": option, "extra": 0, "from_padding": False, "unless": unless}
    return None


def renames(kind: str) -> list[list[str]]:
    found = []
    for one in get_checkpoint_conversion_mapping(kind) or []:
        if type(one) is WeightRenaming:
            for source, target in zip(one.source_patterns, one.target_patterns, strict=False):
                found.append([source, target])
    return found


def splits(kind: str) -> list[list[Any]]:
    """Returns [name suffix in the file, name suffixes of its parts] for layers that are stored as one tensor."""
    found = []
    for one in get_checkpoint_conversion_mapping(kind) or []:
        if isinstance(one, WeightConverter) and len(one.source_patterns) == 1 and len(one.target_patterns) > 1:
            found.append([one.source_patterns[0], list(one.target_patterns)])
    return found


def everything() -> dict[str, Any]:
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    return {kind: describe(kind) for kind in sorted(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)}


def as_text(entries: dict[str, Any]) -> str:
    """Returns JSON with one line per kind, so that a diff shows the kinds that changed."""
    lines = [f"{json.dumps(kind)}: {json.dumps(entry, sort_keys=True)}" for kind, entry in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(as_text(everything()), encoding="utf-8")
    print(f"Wrote {TARGET} for transformers {sys.modules['transformers'].__version__}.")
