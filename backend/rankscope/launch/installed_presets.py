"""Presets with the models and data sets of this installation, and what has to be downloaded for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rankscope.catalog import Catalog, ModelEntry
from rankscope.contract.downloads import DataDownloadPayload, DownloadPayload
from rankscope.contract.errors import BadInput, UnknownName
from rankscope.contract.preset import Preset


@dataclass(frozen=True)
class InstalledPreset:
    preset: Preset
    """Its model and data set have the ids of this installation, if they are installed."""
    missing_model: DownloadPayload | None = None
    missing_data: DataDownloadPayload | None = None


def installed_presets(presets: Sequence[Preset], catalog: Catalog) -> list[InstalledPreset]:
    """Looks up what each preset is meant for: first under the name in its configuration, then as a download."""
    models = catalog.models() if any(preset.hub_model for preset in presets) else []
    return [_installed(preset, catalog, models) for preset in presets]


def _installed(preset: Preset, catalog: Catalog, models: Sequence[ModelEntry]) -> InstalledPreset:
    config, missing_model, missing_data = preset.config, None, None
    if (wanted := preset.hub_model) is not None and all(model.id != config.model.id for model in models):
        found = [
            model.id
            for model in models
            if model.problem is None and model.hub is not None and is_named(model.hub.hub_id, wanted.hub_id)
        ]
        missing_model = None if found else wanted
        if found:
            config = config.model_copy(update={"model": config.model.model_copy(update={"id": found[0]})})
    if (data := preset.hub_data) is not None and not _has_data(catalog, config.data.id):
        dataset = catalog.imported.downloaded(lambda hub_id: is_named(hub_id, data.hub_id), data.subset)
        missing_data = None if dataset else data
        if dataset:
            config = config.model_copy(update={"data": config.data.model_copy(update={"id": dataset})})
    return InstalledPreset(replace(preset, config=config), missing_model, missing_data)


def is_named(hub_id: str, wanted: str) -> bool:
    """Whether it is this name on the hub, or the earlier form of this name, without the owner."""
    return hub_id in (wanted, wanted.rpartition("/")[2])


def _has_data(catalog: Catalog, dataset_id: str) -> bool:
    """Whether a file with this name exists; the plan reports whether it can be used."""
    try:
        catalog.dataset(dataset_id, timeout_s=0)
    except UnknownName:
        return False
    except BadInput:
        return True
    return True
