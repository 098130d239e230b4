"""Job `download_model`: downloads a model from the hub into the models folder. Never imports torch."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from rankscope.catalog import Catalog
from rankscope.catalog.models.models import why_unusable
from rankscope.catalog.models.provenance import PROVENANCE, HubSource
from rankscope.contract.downloads import DOWNLOADS, DownloadPayload, DownloadResult, folder_name
from rankscope.contract.errors import BadInput
from rankscope.contract.stored import Payload
from rankscope.settings import Settings
from rankscope_worker.child.hub.access import explain, open_hub
from rankscope_worker.child.hub.client import HubClient, HubError, HubRepository
from rankscope_worker.child.hub.files import download, total_bytes
from rankscope_worker.child.hub.model_files import chosen_files
from rankscope_worker.child.hub.unfinished import Share, alone, check_space

__all__ = ["explain", "run"]


def run(settings: Settings, payload: Payload, report: Callable[[float], None]) -> Payload:
    """Returns the id of the model, which appears in the models folder only once it is complete and usable."""
    request = DownloadPayload.model_validate(payload)
    with open_hub(settings) as hub:
        model = hub.repository("model", request.hub_id, request.revision)
        return _install(settings, hub, model, request.revision, report).model_dump()


def _install(
    settings: Settings, hub: HubClient, model: HubRepository, requested: str, report: Callable[[float], None]
) -> DownloadResult:
    files = chosen_files(model)
    size = total_bytes(files)
    for name in _names(model):
        if _commit_of(settings, name) == model.commit:
            report(1.0)
            return DownloadResult(model_id=f"local:{name}", revision=model.commit, size_bytes=size)
    with alone(settings.models_dir / DOWNLOADS, model) as folder:
        check_space(folder, size, settings.low_disk)
        done = 0
        share = Share(report, size)
        for file in files:
            before = done
            download(hub, model, file, folder / file.name, lambda have, before=before: share.tell(before + have))  # type: ignore[misc]
            done += file.size
        source = HubSource(model.hub_id, model.commit, requested, model.license)
        (folder / PROVENANCE).write_text(source.as_json(), encoding="utf-8")
        name = _publish(settings, folder, model)
    return DownloadResult(model_id=f"local:{name}", revision=model.commit, size_bytes=size)


def _names(model: HubRepository) -> tuple[str, str]:
    """Returns the name of the model's folder, and the name for another revision of it."""
    name = folder_name(model.hub_id)
    return name, f"{name}-{model.commit[:8]}"


def _commit_of(settings: Settings, name: str) -> str | None:
    """Returns the commit of a model that was downloaded before and can be used."""
    try:
        entry = Catalog(settings).model(f"local:{name}")
    except BadInput:
        return None
    return entry.hub.revision if entry.hub else None


def _publish(settings: Settings, folder: Path, model: HubRepository) -> str:
    """Moves the folder into the models folder. If a run can't use it, deletes it and raises HubError."""
    for name in _names(model):
        target = settings.models_dir / name
        if os.path.lexists(target):
            continue
        problem = why_unusable(folder, name)
        if problem is not None:
            shutil.rmtree(folder, ignore_errors=True)
            raise HubError(f"{model.hub_id} can't be used. {problem[0]} It was deleted.", problem[1])
        os.rename(folder, target)
        return name
    raise HubError(
        f"The models folder already has {' and '.join(_names(model))}.",
        "Delete one of them on the page Models, then try again.",
    )
