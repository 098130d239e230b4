"""Received files, waiting for import. An upload's folder is found by its `upload.json`, written when it is complete."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from pydantic import ValidationError

from rankscope.catalog.imported.folders import SOURCE, UPLOAD, Folders
from rankscope.contract.errors import NotFound
from rankscope.contract.imports import Upload

KEPT_S = 24 * 3600.0
"""A failed upload is deleted after this time, and one that was never completed after an hour without a write."""
_STALLED_S = 3600.0
_LOST_S = 3 * KEPT_S
"""One whose import ended without an error message, for example because memory ran out, is deleted after this time."""


def read_upload(folder: Path) -> Upload:
    """Raises NotFound if there is no complete upload."""
    try:
        return Upload.model_validate_json((folder / UPLOAD).read_bytes())
    except (OSError, ValidationError) as error:
        raise NotFound(f"There is no upload {folder.name!r}.", "Upload the file again.") from error


def write_upload(folder: Path, upload: Upload) -> None:
    """Raises FileNotFoundError if the upload has been removed."""
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(upload.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / UPLOAD)


def list_uploads(folders: Folders) -> list[Upload]:
    """Returns the complete uploads, the newest first."""
    found = []
    for upload_id in folders.upload_ids():
        try:
            found.append(read_upload(folders.upload(upload_id)))
        except NotFound:
            continue
    return sorted(found, key=lambda upload: -upload.created_at)


def remove_upload(folders: Folders, upload_id: str) -> None:
    shutil.rmtree(folders.upload(upload_id), ignore_errors=True)


def remove_old(folders: Folders, *, now: float | None = None) -> None:
    """Removes failed uploads after a day, and unfinished ones of a server that has ended."""
    now = time.time() if now is None else now
    for upload_id in folders.upload_ids():
        folder = folders.upload(upload_id)
        try:
            upload = read_upload(folder)
            is_old = now - upload.created_at > (KEPT_S if upload.error is not None else _LOST_S)
        except NotFound:
            source = folder / SOURCE
            touched = (source if source.exists() else folder).stat().st_mtime
            is_old = now - touched > _STALLED_S
        if is_old:
            remove_upload(folders, upload_id)
