"""All methods, which share one protocol: `create_method(key, options)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ..schedule.config import DynamicRankConfig
from .adalora import AdaLora, AdaLoraOptions
from .control import Control, ControlOptions
from .dynamic_rank import DynamicRank
from .eva import Eva, EvaOptions
from .full import Full, FullOptions
from .gradient import Gradient, GradientOptions
from .lora import Lora, LoraOptions
from .lora_shrink import LoraShrink, LoraShrinkOptions
from .protocol import ParameterCount, RankMethod, RunContext, SteerAction, Stopped
from .sora import Sora, SoraOptions
from .spectrum import Spectrum, SpectrumOptions

METHODS: Mapping[str, tuple[Callable[[Any], RankMethod], type[Any]]] = {
    "dynamic_rank": (DynamicRank, DynamicRankConfig),
    "lora": (Lora, LoraOptions),
    "adalora": (AdaLora, AdaLoraOptions),
    "eva": (Eva, EvaOptions),
    "lora_shrink": (LoraShrink, LoraShrinkOptions),
    "sora": (Sora, SoraOptions),
    "gradient": (Gradient, GradientOptions),
    "spectrum": (Spectrum, SpectrumOptions),
    "control": (Control, ControlOptions),
    "full": (Full, FullOptions),
}
"""Each method and the class of its options, by key."""


def option_names(name: str) -> list[str]:
    """The option names of the method with the key `name`."""
    return [field.name for field in fields(METHODS[name][1])]


def create_method(name: str, options: Mapping[str, Any] | None = None) -> RankMethod:
    """Create the method with the key `name` (see `METHODS`).

    Raises ValueError for an unknown method or option (the message lists the known ones) and for an invalid value.
    """
    if name not in METHODS:
        raise ValueError(f"Unknown method {name!r}; choose one of {', '.join(METHODS)}.")
    method, options_class = METHODS[name]
    known = option_names(name)
    for option in options or {}:
        if option not in known:
            raise ValueError(f"Unknown option {option!r} of {name}; known options are {', '.join(known) or 'none'}.")
    try:
        made = options_class(**(options or {}))
    except TypeError as error:
        # A field without a default is missing.
        raise ValueError(f"Invalid options of {name}: {str(error).partition(') ')[2] or error}.") from error
    return method(made)


__all__ = [
    "METHODS",
    "ParameterCount",
    "RankMethod",
    "RunContext",
    "SteerAction",
    "Stopped",
    "create_method",
    "option_names",
]
