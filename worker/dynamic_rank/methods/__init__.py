"""All methods behind one protocol: `create_method(key, options)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ..config import DynamicRankConfig
from .dynamic_rank import DynamicRank
from .full import Full
from .lora import Lora, LoraOptions
from .protocol import ParameterCount, RankMethod


def _dynamic_rank(options: Mapping[str, Any]) -> RankMethod:
    return DynamicRank(DynamicRankConfig.from_dict(options))


def _lora(options: Mapping[str, Any]) -> RankMethod:
    _refuse_unknown("lora", options, [field.name for field in fields(LoraOptions)])
    return Lora(LoraOptions(**options))


def _full(options: Mapping[str, Any]) -> RankMethod:
    _refuse_unknown("full", options, [])
    return Full()


METHODS: Mapping[str, Callable[[Mapping[str, Any]], RankMethod]] = {
    "dynamic_rank": _dynamic_rank,
    "lora": _lora,
    "full": _full,
}


def create_method(name: str, options: Mapping[str, Any] | None = None) -> RankMethod:
    """The method called `name`, with `options`. ValueError, naming what is known, for an unknown name or option."""
    if name not in METHODS:
        raise ValueError(f"{name!r} is no method; choose one of {', '.join(METHODS)}.")
    return METHODS[name](options or {})


def _refuse_unknown(method: str, options: Mapping[str, Any], known: list[str]) -> None:
    for name in options:
        if name not in known:
            raise ValueError(f"{name!r} is no option of {method}; known are {', '.join(known) or 'none'}.")


__all__ = ["METHODS", "DynamicRank", "Full", "Lora", "LoraOptions", "ParameterCount", "RankMethod", "create_method"]
