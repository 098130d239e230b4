"""A run to take away: a report of one page, and a bundle with everything."""

import time

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlmodel import Session

from rankscope.api.archive import ZIP_RESPONSE, zip_of
from rankscope.api.run_shapes import RunDetail
from rankscope.api.views import detail
from rankscope.artifacts import find_artifact
from rankscope.deps import EngineDep, RunId, SettingsDep
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.engine import reading
from rankscope.takeaway.bundle import bundle
from rankscope.takeaway.report import report

router = APIRouter(prefix="/runs/{run_id}", tags=["files"])


@router.get("/report.html", response_class=HTMLResponse)
def get_report(run_id: RunId, engine: EngineDep, settings: SettingsDep) -> HTMLResponse:
    """The run on one page: result, ranks, curves, configuration. Needs no script, no server and no network."""
    with reading(engine) as session:
        page = report(session, _detail(session, run_id, settings))
    # It stands alone and must not act in this origin's name, whatever a run is called.
    return HTMLResponse(
        page,
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
            "Content-Disposition": f'inline; filename="{run_id}-report.html"',
        },
    )


@router.get("/bundle", response_class=StreamingResponse, responses=ZIP_RESPONSE)
def download_bundle(run_id: RunId, engine: EngineDep, settings: SettingsDep) -> StreamingResponse:
    """Everything of the run: configuration, events, metrics, ledger, ranks, logs, report, and the result if there is one."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        shown = _detail(session, run_id, settings)
        found = find_artifact(settings, run)
    logs = {
        attempt.number: path
        for attempt in shown.attempts
        if (path := settings.attempt_dir(run_id, attempt.number) / "log.txt").is_file()
    }
    return StreamingResponse(
        zip_of(bundle(engine, shown, logs, found.folder if found else None)),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{run_id}-bundle.zip"'},
    )


def _detail(session: Session, run_id: str, settings: Settings) -> RunDetail:
    return detail(session, runs.get_run(session, run_id), settings, now=time.time())
