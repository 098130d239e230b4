"""The modules of a model that are adapted, and their labels on a heatmap."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from transformers.pytorch_utils import Conv1D

from ..schedule.module_names import ModuleNames
from ..warning import RankWarning
from .left_out import listed, other_weights, unadaptable

_GENERIC = ("dense", "linear", "fc", "proj")
_ATTENTION_ORDER = ("q", "query", "q_proj", "k", "key", "k_proj", "v", "value", "v_proj")


@dataclass(frozen=True)
class AdaptedModule:
    """One adapted linear: its dotted name in the base model, its position on a heatmap, and its size."""

    name: str
    layer: int | None
    kind: str
    stack: str
    out_features: int
    in_features: int


def is_linear(module: nn.Module) -> bool:
    """Whether PEFT can adapt the module as a linear: nn.Linear, its quantised kinds, and GPT-2's Conv1D."""
    if isinstance(module, nn.Linear | Conv1D):
        return True
    # The classes of AWQ, GPTQ, HQQ and others do not derive from nn.Linear, but have its two sizes.
    sizes = (getattr(module, "in_features", None), getattr(module, "out_features", None))
    return "Linear" in type(module).__name__ and all(isinstance(size, int) for size in sizes)


def target_names(model: nn.Module, wanted: Iterable[str] | str | None, heads: Sequence[str] = ()) -> list[str]:
    """Full dotted names of the modules to adapt, in forward-pass order.

    wanted  full names or dotted suffixes, as in PEFT; a full name may have the prefix of a model with another head. None
            selects every linear in a numbered block (a part of its name is an integer) that PEFT can adapt, and issues a
            RankWarning about other weights in these blocks
    heads   modules that are trained fully, whose linears are not adapted

    Raises ValueError if a name matches no linear (the message lists the linears), or one that can't be adapted.
    """
    linears = [name for name, module in model.named_modules() if name and is_linear(module)]
    linears = [name for name in linears if not _is_under(name, heads)]
    if wanted is None:
        inside = [name for name in linears if _block(name) is not None]
        refused = unadaptable(model, inside)
        inside = [name for name in inside if name not in refused]
        _report_left_out(refused, other_weights(model, heads, is_linear))
        if not inside:
            raise ValueError(
                "target_modules is not set and the model has no linear module in a numbered block; set target_modules to "
                f"one or more of: {_listed(linears)}."
            )
        return forward_order(inside)
    asked = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    if not all(any(_matches(linear, name) for linear in linears) for name in asked):
        here = ModuleNames(linears)
        asked = tuple(here.find(name) or name for name in asked)
    for name in asked:
        if not any(_matches(linear, name) for linear in linears):
            kind = next((type(m).__name__ for other, m in model.named_modules() if _matches(other, name)), None)
            raise ValueError(
                f"target_modules names {name!r}, which matches no linear module of this model"
                f"{f' but a {kind}' if kind else ''}; it has {_listed(_suffixes(linears))}."
            )
    chosen = [linear for linear in linears if any(_matches(linear, name) for name in asked)]
    for name, reason in unadaptable(model, chosen).items():
        raise ValueError(f"target_modules names {name!r}, which can't be adapted: {reason}. Remove it.")
    return forward_order(chosen)


def forward_order(names: Sequence[str]) -> list[str]:
    """`names` in definition order, with siblings as query, key, value: BART and OPT define the key first."""
    ordered = list(names)
    places: dict[str, list[int]] = {}
    for place, name in enumerate(ordered):
        parent, _, last = name.rpartition(".")
        if last in _ATTENTION_ORDER:
            places.setdefault(parent, []).append(place)
    for siblings in places.values():
        inside = sorted((ordered[p] for p in siblings), key=lambda n: _ATTENTION_ORDER.index(n.rpartition(".")[2]))
        for place, name in zip(siblings, inside, strict=True):
            ordered[place] = name
    return ordered


def describe(names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> list[AdaptedModule]:
    """Layer, kind and stack of each module; `sizes` are (out_features, in_features).

    The kind is the shortest suffix of the name that is unique in its block, without generic last parts such as `dense`:
    `query`, `attention.output`, `intermediate`, `output`, `q_proj`, `encoder_attn.q_proj`.
    """
    stacks = [next((part for part in name.split(".") if part in ("encoder", "decoder")), "") for name in names]
    layers = [_block(name) for name in names]
    parts = [_without_generic_end(name) for name in names]
    lengths = [1] * len(names)
    # First the parts after the block number; those before it only if two towers have a block of the same number.
    for limits in ([behind for _, behind in parts], [len(part) for part, _ in parts]):
        while True:
            kinds = [".".join(reversed(part[:length])) for (part, _), length in zip(parts, lengths, strict=True)]
            count = Counter(zip(stacks, layers, kinds, strict=True))
            # All modules of a stack with an ambiguous kind get a longer one, so that blocks stay comparable.
            clashing = {(stack, kind) for (stack, _, kind), times in count.items() if times > 1}
            grown = [
                length + ((stack, kind) in clashing and length < limit)
                for stack, kind, length, limit in zip(stacks, kinds, lengths, limits, strict=True)
            ]
            if grown == lengths:
                break
            lengths = grown
    return [
        AdaptedModule(name, layer, kind, stack, out_features, in_features)
        for name, layer, kind, stack, (out_features, in_features) in zip(
            names, layers, kinds, stacks, sizes, strict=True
        )
    ]


def _report_left_out(refused: Mapping[str, str], others: Sequence[str]) -> None:
    parts = [f"{listed([n for n in refused if refused[n] == why])} ({why})" for why in dict.fromkeys(refused.values())]
    if others:
        parts.append(f"{listed(others)} (weights that are not linear layers, such as fused experts and routers)")
    if parts:
        warnings.warn(
            f"[modules_left_out] These modules are not adapted and stay frozen: {'; '.join(parts)}. "
            "To choose the modules yourself and avoid this warning, set target_modules.",
            RankWarning,
            stacklevel=4,
        )


def _block(name: str) -> int | None:
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def _without_generic_end(name: str) -> tuple[list[str], int]:
    """The parts of the name, last first, without a generic last part; and how many follow the block number."""
    parts = name.split(".")
    if len(parts) > 1 and parts[-1] in _GENERIC and not parts[-2].isdigit():
        parts.pop()
    reversed_parts = parts[::-1]
    behind = next((place for place, part in enumerate(parts) if part.isdigit()), -1)
    return reversed_parts, len(parts) - behind - 1


def _matches(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f".{wanted}")


def _is_under(name: str, heads: Sequence[str]) -> bool:
    return any(re.match(rf"(^|.*\.){re.escape(head)}($|\..*)", name) for head in heads)


def _suffixes(names: Sequence[str]) -> list[str]:
    """The distinct last parts of the names, or the last two parts if the last one is generic."""
    ends = (name.split(".")[-2:] if name.split(".")[-1] in _GENERIC else name.split(".")[-1:] for name in names)
    return list(dict.fromkeys(".".join(end) for end in ends))


def _listed(names: Sequence[str], most: int = 40) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "no linear module at all") + rest
