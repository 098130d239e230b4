"""A tiny model with components, and what replaces its optimizer steps."""

from typing import Any

import torch

from dynamic_rank import DynamicRankConfig, wrap
from dynamic_rank.adapter.components import components_of
from tests.dynamic_rank.tiny_models import build, random_like


def wrapped(kind: str = "bert", seed: int = 0, **options: Any) -> tuple[Any, DynamicRankConfig]:
    model, task = build(kind, seed)
    config = DynamicRankConfig(**({"target_rank": 2, "prune_interval": 3} | options))
    return wrap(model, config, task), config


def shake(model: Any, step: int, tied: bool = False) -> None:
    """Replaces an optimizer step: changes every factor, including pruned scales. Tied: equally in all modules of a shape."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for layer in components_of(model).layers:
            if tied:
                generator.manual_seed(step)
            for parameter, _ in layer.resized():
                parameter.add_(random_like(parameter, generator) * 0.1)
