"""Imports of folders: files in a folder of datasets/ that together are one data set."""

import shutil

from fastapi import APIRouter
from pydantic import Field

from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import SMALL_JSON, needs
from rankscope.api.routes.data.received import submit, upload_shape
from rankscope.api.shapes.base import RequestBody
from rankscope.api.shapes.datasets import DataFolderList, DataFolderShape, UploadShape
from rankscope.catalog.imported.data_folders import MAX_FILES, MAX_FOLDER_BYTES, data_folders, read_folder
from rankscope.catalog.imported.folders import new_set_id, random_id
from rankscope.contract.errors import BadInput, FieldProblem, NotFound, ServiceDown, TooLarge
from rankscope.contract.imports import MAX_NAME, Upload

router = APIRouter(prefix="/data-folders", tags=["datasets"])
_ON_DISK = 2
"""Space that an import needs, as a multiple of the files' size."""


class FolderImportRequest(RequestBody):
    folder: str = Field(min_length=1, max_length=255, examples=["reviews"])
    """A folder in `datasets/`, as listed."""


@router.get("")
@needs("read")
def list_data_folders(settings: SettingsDep) -> DataFolderList:
    """Folders in `datasets/` whose files can be imported as one data set."""
    found = data_folders(settings.datasets_dir)
    return DataFolderList(
        items=[DataFolderShape(folder=each.name, files=len(each.files), size_bytes=each.size_bytes) for each in found]
    )


@router.post("", status_code=202)
@needs("launch", SMALL_JSON)
def import_data_folder(
    body: FolderImportRequest,
    settings: SettingsDep,
    catalog: CatalogDep,
    engine: EngineDep,
    doorbell: DoorbellDep,
    now: NowDep,
) -> UploadShape:
    """Imports all data files of a folder, of the same format, as one new data set."""
    found = read_folder(settings.datasets_dir, body.folder)
    if found is None:
        raise NotFound(
            f"There is no folder {body.folder!r} with data files in datasets/.",
            "Put CSV, TSV, JSON or Parquet files into a folder there; links are not followed.",
        )
    if len(found.files) > MAX_FILES or found.size_bytes > MAX_FOLDER_BYTES:
        problem = (
            f"has {len(found.files):,} files with {found.size_bytes / 1e9:,.1f} GB; at most {MAX_FILES:,} files and "
            f"{MAX_FOLDER_BYTES / 1e9:.0f} GB can be imported"
        )
        raise BadInput([FieldProblem("folder", body.folder, problem, "Use fewer files.")])
    free = shutil.disk_usage(settings.data_dir).free
    if _ON_DISK * found.size_bytes > free:
        raise TooLarge(
            f"The import takes up to {_ON_DISK * found.size_bytes / 1e9:,.1f} GB, and the disk of the data folder has "
            f"{free / 1e9:,.1f} GB free.",
            "Free some space, then try again.",
        )
    folders = catalog.imported.folders
    upload_id = random_id(8)
    home = folders.upload(upload_id)
    shown = "".join(letter for letter in body.folder if letter.isprintable())[:MAX_NAME] or "data"
    try:
        home.mkdir(parents=True)
        received = Upload(
            id=upload_id,
            name=shown,
            size_bytes=found.size_bytes,
            sha256="",
            created_at=now,
            set_id=new_set_id(shown),
            folder=body.folder,
        )
        received = submit(received, folders, engine, doorbell, now)
    except BaseException as error:
        shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, OSError):
            raise ServiceDown(
                f"The import can't be prepared: {(error.strerror or str(error)).lower()}.",
                "Free space in the data folder.",
            ) from error
        raise
    return upload_shape(received, None, None)
