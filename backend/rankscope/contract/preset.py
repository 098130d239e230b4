"""Preset: a complete configuration with good first values."""

from dataclasses import dataclass

from rankscope.contract.config import RunConfig
from rankscope.contract.downloads import DataDownloadPayload, DownloadPayload


@dataclass(frozen=True)
class Preset:
    key: str
    title: str
    description: str
    config: RunConfig
    group: str | None = None
    """The heading under which the form lists it; None: shown as a card."""
    hub_model: DownloadPayload | None = None
    """The model on the hub that it is meant for."""
    hub_data: DataDownloadPayload | None = None
    """The data set on the hub that it is meant for."""
