"""Job `download_model`: downloads a model from the hub into the models folder. Never imports torch."""

import errno
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from rankscope.catalog import Catalog
from rankscope.catalog.models.models import why_unusable
from rankscope.catalog.models.provenance import PROVENANCE, HubSource
from rankscope.contract.downloads import DOWNLOADS, DownloadPayload, DownloadResult, folder_name
from rankscope.contract.errors import BadInput
from rankscope.contract.stored import Payload
from rankscope.settings import Settings
from rankscope_worker.child.hub.client import OFFICIAL, HubClient, HubError, HubModel
from rankscope_worker.child.hub.files import chosen_files, download, total_bytes, unreachable
from rankscope_worker.child.loading.causes import name_of

_REPORT_EVERY_S = 0.5
_FORGOTTEN_AFTER_S = 7 * 24 * 3600.0


def run(settings: Settings, payload: Payload, report: Callable[[float], None]) -> Payload:
    """Returns the id of the model, which is in the models folder only when it is complete and can be used."""
    request = DownloadPayload.model_validate(payload)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # addresses of storage hosts contain signatures
    token = os.environ.get("RANKSCOPE_HF_TOKEN") or os.environ.get("HF_TOKEN") or None
    endpoint = settings.hub_endpoint or os.environ.get("HF_ENDPOINT") or OFFICIAL
    with HubClient(endpoint, token, settings.hub_storage_hosts) as hub:
        try:
            model = hub.model(request.hub_id, request.revision)
        except httpx.HTTPError as error:
            raise unreachable(hub, error) from error
        return _install(settings, hub, model, request.revision, report).model_dump()


def explain(error: Exception) -> tuple[str, str]:
    """Returns the problem and the next step."""
    if isinstance(error, HubError):
        return str(error), error.next_step
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk of the data folder is full.", "Free some space, then try again: it continues where it stopped."
    return (
        f"The download failed with an unexpected error: {name_of(error)}",
        "Try again. If it fails in the same way, report it with the end of the worker's log.",
    )


def _install(
    settings: Settings, hub: HubClient, model: HubModel, requested: str, report: Callable[[float], None]
) -> DownloadResult:
    files = chosen_files(model)
    size = total_bytes(files)
    waiting = settings.models_dir / DOWNLOADS
    waiting.mkdir(parents=True, exist_ok=True)
    with _alone(waiting, model):
        _forget_old(waiting)
        for name in _names(model):
            if _commit_of(settings, name) == model.commit:
                report(1.0)
                return DownloadResult(model_id=f"local:{name}", revision=model.commit, size_bytes=size)
        folder = waiting / f"{folder_name(model.hub_id)}-{model.commit}"
        folder.mkdir(exist_ok=True)
        os.utime(folder)
        _check_space(settings, folder, size)
        done = 0
        share = _Share(report, size)
        for file in files:
            before = done
            download(hub, model, file, folder, lambda have, before=before: share.tell(before + have))  # type: ignore[misc]
            done += file.size
        source = HubSource(model.hub_id, model.commit, requested, model.license)
        (folder / PROVENANCE).write_text(source.as_json(), encoding="utf-8")
        name = _publish(settings, folder, model)
    return DownloadResult(model_id=f"local:{name}", revision=model.commit, size_bytes=size)


class _Share:
    """Reports the share of the bytes that are there, at most twice a second."""

    def __init__(self, report: Callable[[float], None], size: int) -> None:
        self._report, self._size, self._next = report, max(1, size), 0.0

    def tell(self, have: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_EVERY_S
            self._report(min(1.0, have / self._size))


def _names(model: HubModel) -> tuple[str, str]:
    """Returns the name of the model's folder, and that of a further revision of it."""
    name = folder_name(model.hub_id)
    return name, f"{name}-{model.commit[:8]}"


def _commit_of(settings: Settings, name: str) -> str | None:
    """Returns the commit of a model that was downloaded before and can be used."""
    try:
        entry = Catalog(settings).model(f"local:{name}")
    except BadInput:
        return None
    return entry.hub.revision if entry.hub else None


def _publish(settings: Settings, folder: Path, model: HubModel) -> str:
    """Moves the folder to where models are listed. Raises HubError, and deletes it, if a run can't use it."""
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


def _check_space(settings: Settings, folder: Path, size: int) -> None:
    present = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    free, needed = shutil.disk_usage(folder).free, size - present
    if needed > free - settings.low_disk:
        raise HubError(
            f"The model needs {needed / 1e9:,.1f} GB, and the disk of the data folder has {free / 1e9:,.1f} GB free, of which "
            f"{settings.low_disk / 1e9:,.1f} GB are kept free.",
            "Free some space, then try again.",
        )


@contextmanager
def _alone(waiting: Path, model: HubModel) -> Iterator[None]:
    """Holds a lock, so that two workers never write the same files."""
    with open(waiting / f"{folder_name(model.hub_id)}.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HubError(
                f"{model.hub_id} is being downloaded by another process.", "Wait until that download has ended."
            ) from error
        yield


def _forget_old(waiting: Path) -> None:
    """Deletes downloads that were not continued for a week."""
    for path in waiting.iterdir():
        if path.is_dir() and path.stat().st_mtime < time.time() - _FORGOTTEN_AFTER_S:
            shutil.rmtree(path, ignore_errors=True)
