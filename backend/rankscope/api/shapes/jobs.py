"""Background jobs as the API returns them: their states, what they wait for, and downloads from the hub."""

from rankscope.api.shapes.base import Shape
from rankscope.contract.downloads import DataDownloadPayload, DataDownloadResult, DownloadPayload, DownloadResult
from rankscope.contract.jobs import JobState, JobStatus
from rankscope.contract.tables import Job

STATE: dict[JobStatus, JobState] = {
    JobStatus.queued: "waiting",
    JobStatus.running: "running",
    JobStatus.done: "done",
    JobStatus.failed: "failed",
}


def why(
    job: Job, *, has_worker: bool, running: str | None = None, waiting: str | None = None, then: str = "."
) -> tuple[str | None, str | None]:
    """Returns why a job failed or what it waits for, and the next step. `then` ends "Start one with `rankscope worker`"."""
    if job.error is not None:
        return job.error["message"], job.error["next_step"]
    if job.status == JobStatus.done:
        return None, None
    if not has_worker:
        return "No worker is online.", f"Start one with `rankscope worker`{then}"
    return (waiting if job.status == JobStatus.queued else running), None


class DownloadShape(Shape):
    """A download from the hub. It is kept for a day after its end."""

    id: str
    hub_id: str
    revision: str
    """The branch, tag or commit that was requested."""
    status: JobState
    progress: float | None
    """Share of the bytes, from 0 to 1; null if unknown."""
    model_id: str | None
    """The model, once it is done."""
    commit: str | None
    message: str | None
    """Why it is waiting or has failed."""
    next_step: str | None
    created_at: float


class DownloadList(Shape):
    items: list[DownloadShape]


class DataDownloadShape(Shape):
    """A download of a data set from the hub, with its import. It is kept for a day after its end."""

    id: str
    hub_id: str
    revision: str
    """The branch, tag or commit that was requested."""
    subset: str | None
    """The one that was requested; once it is done, the one that was imported."""
    status: JobState
    progress: float | None
    """Share of the work, from 0 to 1; null if unknown."""
    dataset_id: str | None
    """The imported version, once it is done."""
    commit: str | None
    message: str | None
    """Why it is waiting or has failed."""
    next_step: str | None
    created_at: float


class DataDownloadList(Shape):
    items: list[DataDownloadShape]


def download_shape(job: Job, *, has_worker: bool) -> DownloadShape:
    asked = DownloadPayload.model_validate(job.payload)
    result = None if job.result is None else DownloadResult.model_validate(job.result)
    message, next_step = why(job, has_worker=has_worker)
    return DownloadShape(
        id=job.id,
        hub_id=asked.hub_id,
        revision=asked.revision,
        status=STATE[job.status],
        progress=job.progress,
        model_id=result.model_id if result else None,
        commit=result.revision if result else None,
        message=message,
        next_step=next_step,
        created_at=job.created_at,
    )


def data_download_shape(job: Job, *, has_worker: bool) -> DataDownloadShape:
    asked = DataDownloadPayload.model_validate(job.payload)
    result = None if job.result is None else DataDownloadResult.model_validate(job.result)
    message, next_step = why(job, has_worker=has_worker)
    return DataDownloadShape(
        id=job.id,
        hub_id=asked.hub_id,
        revision=asked.revision,
        subset=result.subset if result else asked.subset,
        status=STATE[job.status],
        progress=job.progress,
        dataset_id=result.dataset_id if result else None,
        commit=result.revision if result else None,
        message=message,
        next_step=next_step,
        created_at=job.created_at,
    )
