"""Receives data files, and starts a background job that imports them."""

import asyncio
import hashlib
import os
import shutil
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.requests import ClientDisconnect

from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import SMALL_JSON, needs, upload
from rankscope.api.routes.data.received import submit, upload_shape
from rankscope.api.shapes.base import RequestBody
from rankscope.api.shapes.datasets import UploadList, UploadShape
from rankscope.catalog.imported.folders import SOURCE, Folders, full_id, new_set_id, parse_id, random_id
from rankscope.catalog.imported.uploads import list_uploads, read_upload, remove_old, remove_upload
from rankscope.contract.errors import BadInput, FieldProblem, InUse, NotFound, ServiceDown, TooLarge, UnknownName
from rankscope.contract.imports import (
    MAX_NAME,
    MAX_UPLOAD_BYTES,
    UPLOAD_ID,
    Encoding,
    ImportOptions,
    SourceFormat,
    Upload,
)
from rankscope.contract.jobs import IMPORT_DATA, JobStatus
from rankscope.store import jobs, workers
from rankscope.store.database.engine import reading

router = APIRouter(prefix="/datasets", tags=["datasets"])

UploadId = Annotated[str, Path(pattern=UPLOAD_ID, examples=["k7wq2m9x"])]
_BLOCK = 1 << 20
_MARGIN_BYTES = 256 << 20


class ReadOptions(RequestBody):
    """How the source is read. What is null is detected."""

    format: SourceFormat | None = None
    encoding: Encoding | None = None
    separator: str | None = None


@router.post(
    "/uploads",
    status_code=202,
    openapi_extra={
        "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
@needs("launch", upload(MAX_UPLOAD_BYTES, "application/octet-stream"))
async def upload_file(
    request: Request,
    catalog: CatalogDep,
    engine: EngineDep,
    settings: SettingsDep,
    doorbell: DoorbellDep,
    now: NowDep,
    name: Annotated[str, Query(min_length=1, max_length=1000, description="Name of the file.", examples=["a.csv"])],
    dataset_id: Annotated[
        str | None, Query(max_length=200, description="Imported data set that gets a new version. Omitted: a new one.")
    ] = None,
) -> UploadShape:
    """Receives a file of up to 2 GB as the request's body, and starts its import.

    CSV, TSV, JSON lines, a JSON list, or Parquet, each also compressed by gzip.
    """
    shown = _shown_name(name)
    set_id = new_set_id(shown) if dataset_id is None else _known_set(catalog.imported.folders, dataset_id)
    folders = catalog.imported.folders
    _check_space(request, settings.data_dir)
    await asyncio.to_thread(remove_old, folders)
    upload_id = random_id(8)
    folder = folders.upload(upload_id)
    try:
        await asyncio.to_thread(os.makedirs, folder)
        size, digest = await _receive(request, folder)
        if not size:
            raise BadInput([FieldProblem("body", None, "is empty", "Send the file as the request's body.")])
        received = Upload(
            id=upload_id,
            name=shown,
            size_bytes=size,
            sha256=digest,
            created_at=now,
            set_id=set_id,
            is_new_set=dataset_id is None,
        )
        received = await asyncio.to_thread(submit, received, folders, engine, doorbell, now)
    except BaseException as error:
        # Also if the client disconnects or the server stops: a failed upload leaves no files behind.
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise ServiceDown(
                f"The file can't be stored: {(error.strerror or str(error)).lower()}.", "Free space in the data folder."
            ) from error
        if isinstance(error, ClientDisconnect):
            raise BadInput([FieldProblem("body", None, "ended too early", "Upload the file again.")]) from error
        raise
    return upload_shape(received, None, None)


@router.get("/uploads")
@needs("read")
def list_imports(catalog: CatalogDep, engine: EngineDep, settings: SettingsDep, now: NowDep) -> UploadList:
    """Files that are being imported, and those whose import failed within the last day."""
    uploads = list_uploads(catalog.imported.folders)
    with reading(engine) as session:
        found = [(each, jobs.get_job(session, each.job_id or "", IMPORT_DATA)) for each in uploads]
        is_online = workers.is_any_online(session, now=now, lost_after_s=settings.lease_s)
        waits_for = "Waiting for a worker." if is_online else "No worker is online."
        return UploadList(items=[upload_shape(each, job, waits_for) for each, job in found])


@router.post("/uploads/{upload_id}/import", status_code=202)
@needs("launch", SMALL_JSON)
def import_again(
    upload_id: UploadId,
    body: ReadOptions,
    catalog: CatalogDep,
    engine: EngineDep,
    doorbell: DoorbellDep,
    now: NowDep,
) -> UploadShape:
    """Repeats a failed import with other options."""
    folders = catalog.imported.folders
    known = read_upload(folders.upload(upload_id))
    with reading(engine) as session:
        job = jobs.get_job(session, known.job_id or "", IMPORT_DATA)
    if job is not None and job.status in (JobStatus.queued, JobStatus.running):
        raise InUse(f"Upload {upload_id} is being imported.", "Wait until its import has ended, or cancel it.")
    again = known.model_copy(update={"options": _options(body), "error": None})
    return upload_shape(submit(again, folders, engine, doorbell, now), None, None)


@router.delete("/uploads/{upload_id}", status_code=204)
@needs("admin")
def cancel_upload(upload_id: UploadId, catalog: CatalogDep) -> None:
    """Removes an upload. An import that is running ends without a result."""
    folders = catalog.imported.folders
    read_upload(folders.upload(upload_id))
    remove_upload(folders, upload_id)


@router.post("/{dataset_id}/import", status_code=202)
@needs("launch", SMALL_JSON)
def import_new_version(
    dataset_id: Annotated[str, Path(min_length=1, max_length=200, examples=["imported:reviews-k7wq"])],
    body: ReadOptions,
    catalog: CatalogDep,
    engine: EngineDep,
    doorbell: DoorbellDep,
    now: NowDep,
) -> UploadShape:
    """Imports the file of a version again with other options, as a new version."""
    folders = catalog.imported.folders
    try:
        set_id, version = catalog.imported.resolve(dataset_id, "dataset_id")
    except UnknownName as error:
        raise NotFound(f"There is no imported data set {dataset_id!r}.", error.next_step) from error
    entry = catalog.dataset(full_id(set_id, version), "dataset_id")
    profile = catalog.imported.profile(set_id, version)
    if not (entry.path.parent / SOURCE).is_file():
        origin = profile.origin
        raise NotFound(
            f"The files of {entry.id} are not kept"
            + (f": they are on the hub, as {origin.hub_id} at {origin.commit[:12]}." if origin else "."),
            "Download them, then upload them with other options." if origin else "Import their folder again.",
        )
    upload_id = random_id(8)
    folder = folders.upload(upload_id)
    folder.mkdir(parents=True)
    try:
        _link_or_copy(entry.path.parent / SOURCE, folder / SOURCE)
        again = Upload(
            id=upload_id,
            name=profile.name,
            size_bytes=profile.source_bytes,
            sha256=profile.source_sha256,
            created_at=now,
            set_id=set_id,
            is_new_set=False,
            options=_options(body),
        )
        again = submit(again, folders, engine, doorbell, now)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return upload_shape(again, None, None)


async def _receive(request: Request, folder: FilePath) -> tuple[int, str]:
    """Writes the body to disk in blocks. Returns its size and SHA-256."""
    digest, size, pending = hashlib.sha256(), 0, bytearray()

    def write(block: bytes) -> None:
        digest.update(block)
        file.write(block)

    with (folder / SOURCE).open("xb") as file:
        async for chunk in request.stream():
            pending += chunk
            if len(pending) >= _BLOCK:
                size += len(pending)
                await asyncio.to_thread(write, bytes(pending))
                pending.clear()
        size += len(pending)
        await asyncio.to_thread(write, bytes(pending))
        await asyncio.to_thread(_sync, file.fileno())
    return size, digest.hexdigest()


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)


def _options(body: ReadOptions) -> ImportOptions:
    separator = body.separator
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise BadInput(
            [FieldProblem("separator", separator, f"is {separator!r}", "Use one character other than a quote.")]
        )
    return ImportOptions(format=body.format, encoding=body.encoding, separator=separator)


def _shown_name(name: str) -> str:
    """Returns the last part of a file's name in printable characters, for display only: it is never used as a path."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown = "".join(letter for letter in last if letter.isprintable()).strip()
    return shown[:MAX_NAME] or "data"


def _known_set(folders: Folders, dataset_id: str) -> str:
    parsed = parse_id(dataset_id)
    if parsed is None or not folders.versions(parsed[0]):
        raise UnknownName(
            [
                FieldProblem(
                    "dataset_id",
                    dataset_id,
                    f"is {dataset_id!r}, which is not an imported data set",
                    "Omit it for a new data set.",
                )
            ]
        )
    return parsed[0]


def _check_space(request: Request, data_dir: FilePath) -> None:
    """Refuses a file that does not fit on the disk before it is sent."""
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else 0
    free = shutil.disk_usage(data_dir).free
    if size + _MARGIN_BYTES > free:
        raise TooLarge(
            f"The file has {size / 1e6:,.0f} MB, and the disk of the data folder has {free / 1e6:,.0f} MB free.",
            "Free some space, then try again.",
        )


def _link_or_copy(source: FilePath, target: FilePath) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
