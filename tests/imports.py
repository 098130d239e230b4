"""Imports data files without a server or a worker."""

import time
from pathlib import Path
from typing import Any

from rankscope.catalog.imported.folders import SOURCE, Folders, new_set_id, random_id
from rankscope.catalog.imported.uploads import write_upload
from rankscope.contract.imports import ImportOptions, SetProfile, Upload
from rankscope_worker.child.importing.import_file import import_upload


def put_upload(data_dir: Path, name: str, content: bytes, set_id: str | None = None, **options: Any) -> str:
    """Stores a file as an upload does. Returns the upload's id."""
    folders, upload_id = Folders(data_dir), random_id(8)
    folder = folders.upload(upload_id)
    folder.mkdir(parents=True)
    (folder / SOURCE).write_bytes(content)
    upload = Upload(
        id=upload_id,
        name=name,
        size_bytes=len(content),
        sha256="",
        created_at=time.time(),
        set_id=set_id or new_set_id(name),
        options=ImportOptions(**options),
    )
    write_upload(folder, upload)
    return upload_id


def import_bytes(data_dir: Path, name: str, content: bytes, set_id: str | None = None, **options: Any) -> str:
    """Imports a file. Returns the id of the data set with its version."""
    result = import_upload(Folders(data_dir), put_upload(data_dir, name, content, set_id, **options), lambda _: None)
    return f"imported:{result.set_id}@{result.version}"


def profile_of(data_dir: Path, dataset_id: str) -> SetProfile:
    set_id, version = dataset_id.removeprefix("imported:").split("@")
    return SetProfile.model_validate_json(
        (Folders(data_dir).version(set_id, int(version)) / "profile.json").read_bytes()
    )
