"""Downloads of models from the hub. A worker does them in the background; the server itself contacts no other host."""

from fastapi import APIRouter
from pydantic import Field

from rankscope.api.background_jobs import JobId, cancel_job
from rankscope.api.deps import DoorbellDep, EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import SMALL_JSON, needs
from rankscope.api.shapes.base import RequestBody
from rankscope.api.shapes.jobs import DownloadList, DownloadShape, download_shape
from rankscope.contract.downloads import DownloadPayload, HubId, Revision
from rankscope.contract.errors import NotFound
from rankscope.contract.jobs import DOWNLOAD_MODEL
from rankscope.store import jobs, workers
from rankscope.store.database.engine import reading, writing

router = APIRouter(prefix="/model-downloads", tags=["catalogue"])


class DownloadRequest(RequestBody):
    hub_id: HubId = Field(examples=["facebook/bart-base"])
    revision: Revision = "main"
    """A branch, tag or commit. It is resolved to a commit, which is stored with the model."""


@router.get("")
@needs("read")
def list_downloads(engine: EngineDep, settings: SettingsDep, now: NowDep) -> DownloadList:
    """Downloads that are waiting, running, or ended within the last day, newest first."""
    with reading(engine) as session:
        found = jobs.of_kind(session, DOWNLOAD_MODEL)
        has_worker = workers.is_any_online(session, now=now, lost_after_s=settings.lease_s)
    return DownloadList(items=[download_shape(job, has_worker=has_worker) for job in found])


@router.post("", status_code=202)
@needs("launch", SMALL_JSON)
def download_model(
    body: DownloadRequest, engine: EngineDep, settings: SettingsDep, doorbell: DoorbellDep, now: NowDep
) -> DownloadShape:
    """Requests a download. If the same model and revision is already waiting or running, returns that download."""
    payload = DownloadPayload(hub_id=body.hub_id, revision=body.revision).model_dump()
    with writing(engine) as session:
        job = jobs.submit_once(session, DOWNLOAD_MODEL, payload, now=now)
        has_worker = workers.is_any_online(session, now=now, lost_after_s=settings.lease_s)
    doorbell.ring_for_job()
    return download_shape(job, has_worker=has_worker)


@router.post("/{download_id}/cancel", status_code=204)
@needs("launch")
def cancel_download(download_id: JobId, engine: EngineDep) -> None:
    """Cancels a download, or removes one that has ended from the list.

    What was downloaded is kept for a week; a new request continues it.
    """
    cancel_job(
        engine, download_id, DOWNLOAD_MODEL, NotFound(f"There is no download {download_id!r}.", "Reload the page.")
    )
