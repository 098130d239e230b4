"""Downloads of data sets from the hub. A worker does them in the background; the server itself contacts no other host."""

from fastapi import APIRouter
from pydantic import Field

from rankscope.api.background_jobs import JobId, cancel_job
from rankscope.api.deps import DoorbellDep, EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import SMALL_JSON, needs
from rankscope.api.shapes.base import RequestBody
from rankscope.api.shapes.jobs import DataDownloadList, DataDownloadShape, data_download_shape
from rankscope.contract.downloads import DataDownloadPayload, HubId, Revision, Subset
from rankscope.contract.errors import NotFound
from rankscope.contract.jobs import DOWNLOAD_DATA
from rankscope.store import jobs, workers
from rankscope.store.database.engine import reading, writing

router = APIRouter(prefix="/data-downloads", tags=["datasets"])


class DataDownloadRequest(RequestBody):
    hub_id: HubId = Field(examples=["nyu-mll/glue"])
    revision: Revision = "main"
    """A branch, tag or commit. It is resolved to a commit, which is stored with the version."""
    subset: Subset | None = Field(default=None, examples=["cola"])
    """Null: the only or the default one. If one must be chosen, the download fails and lists them."""


@router.get("")
@needs("read")
def list_data_downloads(engine: EngineDep, settings: SettingsDep, now: NowDep) -> DataDownloadList:
    """Downloads of data sets that are waiting, running, or ended within the last day, newest first."""
    with reading(engine) as session:
        found = jobs.of_kind(session, DOWNLOAD_DATA)
        has_worker = workers.is_any_online(session, now=now, lost_after_s=settings.lease_s)
    return DataDownloadList(items=[data_download_shape(job, has_worker=has_worker) for job in found])


@router.post("", status_code=202)
@needs("launch", SMALL_JSON)
def download_dataset(
    body: DataDownloadRequest, engine: EngineDep, settings: SettingsDep, doorbell: DoorbellDep, now: NowDep
) -> DataDownloadShape:
    """Requests a download and its import. If the same one is already waiting or running, returns that one."""
    payload = DataDownloadPayload(hub_id=body.hub_id, revision=body.revision, subset=body.subset).model_dump()
    with writing(engine) as session:
        job = jobs.submit_once(session, DOWNLOAD_DATA, payload, now=now)
        has_worker = workers.is_any_online(session, now=now, lost_after_s=settings.lease_s)
    doorbell.ring_for_job()
    return data_download_shape(job, has_worker=has_worker)


@router.post("/{download_id}/cancel", status_code=204)
@needs("launch")
def cancel_data_download(download_id: JobId, engine: EngineDep) -> None:
    """Cancels a download, or removes one that has ended from the list.

    What was downloaded is kept for a week; a new request continues it.
    """
    cancel_job(
        engine, download_id, DOWNLOAD_DATA, NotFound(f"There is no download {download_id!r}.", "Reload the page.")
    )
