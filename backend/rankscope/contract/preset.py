"""Preset: a complete configuration with good first values."""

from dataclasses import dataclass

from rankscope.contract.config import RunConfig


@dataclass(frozen=True)
class Preset:
    key: str
    title: str
    description: str
    config: RunConfig
    group: str | None = None
    """The heading under which the form lists it; None: shown as a card."""
