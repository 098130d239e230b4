"""What is known about each kind of model that can classify texts: its layers, head, embedding and position limit.

scripts/model_architectures.py generates architectures.json from transformers, so the server doesn't need transformers.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Required, TypedDict

# Options that default to the value of another one if config.json does not set them.
_SAME_AS = {
    "pooler_hidden_size": "hidden_size",
    "word_embed_proj_dim": "hidden_size",
    "num_decoder_layers": "num_layers",
}


@dataclass(frozen=True)
class Positions:
    """A text may have `option + extra` tokens, minus `pad_token_id + 1` if positions are counted from the padding id."""

    option: str
    extra: int
    from_padding: bool
    unless: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Architecture:
    """Names are relative to the body, without the `prefix` that the classifier adds; every number is written as `*`."""

    kind: str
    class_name: str
    is_known: bool
    """Whether more than its class is known. If not, the following fields are empty."""
    tokenizer: str | None
    types: Mapping[str, str]
    """Option -> JSON types that transformers accepts, such as `float|int`; only those that are never a list or an object."""
    prefix: str
    linear: frozenset[str]
    """Linear layers inside numbered blocks."""
    conv1d: bool
    """Whether these are GPT-2's Conv1D layers, whose weights have shape (in, out)."""
    outside: tuple[str, ...]
    """Linear layers of the body outside numbered blocks, such as a pooler: adapted only if target_modules names them."""
    other: frozenset[str]
    """All other parameters of the body."""
    tied: frozenset[str]
    """Other names of parameters that are counted under another name."""
    heads: tuple[str, ...]
    """Names of the modules that make up the head."""
    head: tuple[tuple[int | str, ...], ...]
    """Shapes of the head's parameters, as numbers and names of options."""
    blocks: Mapping[str, str]
    """Path of a stack of blocks -> the option with the number of blocks."""
    embedding: str | None
    width: str | None
    """The option that is the length of the embedding's vectors."""
    positions: Positions | None
    renames: tuple[tuple[str, str], ...]
    splits: tuple[tuple[str, tuple[str, ...]], ...]
    defaults: Mapping[str, int]
    aliases: Mapping[str, list[str]]
    """Option -> its other names in config.json."""
    shapes: Mapping[str, tuple[str, ...]]
    """Parameter of the body -> its dimensions: a product of options such as `num_heads*d_kv`, or `?` if none sets it."""
    divisors: tuple[str, ...]
    """Options with a number of heads that must divide the width."""

    @cached_property
    def _rename_patterns(self) -> list[tuple[re.Pattern[str], str]]:
        return [(re.compile(source), target) for source, target in self.renames]

    @cached_property
    def shares_keys(self) -> bool:
        """Whether several heads share keys and values."""
        return any("num_key_value_heads" in term for terms in self.shapes.values() for term in terms)

    def has(self, option: str) -> bool:
        """Whether this kind has the option, under this name."""
        return option in self.types

    def inner(self, name: str) -> str:
        """Converts a tensor's name in the files to its name in the body."""
        for pattern, target in self._rename_patterns:
            name = pattern.sub(target, name)
        return name.removeprefix(f"{self.prefix}.") if self.prefix else name

    def outer(self, name: str) -> str:
        """Converts a name in the body to its name in the classifier."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def size(self, option: str, config: Mapping[str, object]) -> int | None:
        """Returns a size from config.json, or its default; None if it is not a non-negative integer."""
        names = [option, *self.aliases.get(option, ())]
        value = next((config[name] for name in names if config.get(name) is not None), None)
        if value is None and option in _SAME_AS:
            return self.size(_SAME_AS[option], config)
        if value is None:
            value = self.defaults.get(option)
        return value if type(value) is int and value >= 0 else None


class _PositionsEntry(TypedDict):
    option: str
    extra: int
    from_padding: bool
    unless: dict[str, object]


# Functional, because `class` is a keyword.
_Entry = TypedDict(
    "_Entry",
    {
        "class": Required[str],
        "unknown": bool,
        "tokenizer": str | None,
        "types": dict[str, list[str]],
        "prefix": str,
        "linear": list[str],
        "conv1d": bool,
        "outside": list[str],
        "other": list[str],
        "tied": list[str],
        "heads": list[str],
        "head": list[list[int | str]],
        "blocks": dict[str, str],
        "embedding": str | None,
        "width": str | None,
        "positions": _PositionsEntry,
        "renames": list[tuple[str, str]],
        "splits": list[tuple[str, list[str]]],
        "defaults": dict[str, int],
        "aliases": dict[str, list[str]],
        "shapes": dict[str, list[str]],
        "divisors": list[str],
    },
    total=False,
)
"""An entry of architectures.json: the fields of `Architecture` that are not empty."""


def starred(name: str) -> str:
    """Returns the name with every number replaced by `*`."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


@cache
def architectures() -> Mapping[str, Architecture]:
    """Returns what is known about each kind of model, by config.json's model_type."""
    text = files("rankscope.catalog.models").joinpath("architectures.json").read_text(encoding="utf-8")
    entries: dict[str, _Entry] = json.loads(text)
    return {kind: _architecture(kind, entry) for kind, entry in entries.items()}


def kinds_for(task: str) -> frozenset[str] | None:
    """Returns the kinds of models that have the head of a task; None if all may have it."""
    entry = _kinds_by_task().get(task)
    return None if entry is None else frozenset(entry["kinds"])


def loses_decoder(kind: str, task: str) -> bool:
    """Whether the head of a task is on the encoder alone, so that the decoder in the files isn't loaded."""
    entry = _kinds_by_task().get(task)
    return entry is not None and kind in entry["without_decoder"]


class _TaskKinds(TypedDict):
    kinds: list[str]
    without_decoder: list[str]


@cache
def _kinds_by_task() -> Mapping[str, _TaskKinds]:
    text = files("rankscope.catalog.models").joinpath("task_models.json").read_text(encoding="utf-8")
    found: dict[str, _TaskKinds] = json.loads(text)
    return found


def _architecture(kind: str, entry: _Entry) -> Architecture:
    positions = entry.get("positions")
    return Architecture(
        kind=kind,
        class_name=entry["class"],
        is_known="unknown" not in entry,
        tokenizer=entry.get("tokenizer"),
        types={option: allowed for allowed, options in entry.get("types", {}).items() for option in options},
        prefix=entry.get("prefix", ""),
        linear=frozenset(entry.get("linear", ())),
        conv1d=entry.get("conv1d", False),
        outside=tuple(entry.get("outside", ())),
        other=frozenset(entry.get("other", ())),
        tied=frozenset(entry.get("tied", ())),
        heads=tuple(entry.get("heads", ())),
        head=tuple(tuple(shape) for shape in entry.get("head", ())),
        blocks=entry.get("blocks", {}),
        embedding=entry.get("embedding"),
        width=entry.get("width"),
        positions=Positions(**positions) if positions else None,
        renames=tuple((source, target) for source, target in entry.get("renames", ())),
        splits=tuple((source, tuple(targets)) for source, targets in entry.get("splits", ())),
        defaults=entry.get("defaults", {}),
        aliases=entry.get("aliases", {}),
        shapes={name: tuple(terms.split(" ")) for terms, names in entry.get("shapes", {}).items() for name in names},
        divisors=tuple(entry.get("divisors", ())),
    )
