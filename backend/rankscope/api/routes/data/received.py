"""A received file: starts its import, and reports the progress."""

from sqlalchemy import Engine

from rankscope.api.shapes.datasets import UploadShape, UploadStatus
from rankscope.catalog.imported.folders import Folders
from rankscope.catalog.imported.uploads import write_upload
from rankscope.contract.errors import NotFound
from rankscope.contract.imports import ImportPayload, Upload
from rankscope.contract.jobs import IMPORT_DATA, JobStatus
from rankscope.contract.tables import Job
from rankscope.store import jobs
from rankscope.store.database.engine import writing
from rankscope.store.doorbell import Doorbell


def submit(received: Upload, folders: Folders, engine: Engine, doorbell: Doorbell, now: float) -> Upload:
    """Starts the import. The upload names its job before a worker can take it."""
    folder = folders.upload(received.id)
    payload = ImportPayload(upload_id=received.id).model_dump()
    with writing(engine) as session:
        job = jobs.submit(session, IMPORT_DATA, payload, now=now)
    submitted = received.model_copy(update={"job_id": job.id})
    try:
        write_upload(folder, submitted)
    except FileNotFoundError as error:
        raise NotFound(f"There is no upload {received.id!r}.", "Upload the file again.") from error
    doorbell.ring_for_job()
    return submitted


def upload_shape(received: Upload, job: Job | None, waits_for: str | None) -> UploadShape:
    status: UploadStatus = "waiting"
    message, next_step = waits_for, None
    error = received.error
    if job is not None and job.status == JobStatus.running:
        status, message, error = "importing", None, None
    elif job is not None and job.status == JobStatus.failed:
        error = job.error or error
    if error is not None:
        status, message, next_step = "failed", error["message"], error["next_step"]
    elif job is None and waits_for is not None:
        status, message, next_step = "failed", "Its import ended without a result.", "Try again."
    return UploadShape(
        id=received.id,
        name=received.name,
        size_bytes=received.size_bytes,
        created_at=received.created_at,
        set_id=received.set_id,
        is_new_set=received.is_new_set,
        options=received.options,
        status=status,
        progress=job.progress if job is not None and status == "importing" else None,
        message=message,
        next_step=next_step,
    )
