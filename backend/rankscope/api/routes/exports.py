"""Exports of a run: a one-page report, and a bundle with everything."""

import time
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, StreamingResponse
from sqlmodel import Session

from rankscope.api.deps import CatalogDep, EngineDep, RunId, SettingsDep
from rankscope.api.guard.access import needs
from rankscope.api.shapes.history import RowValuesPage, Usage
from rankscope.api.shapes.runs import RunDetail
from rankscope.api.shapes.views import detail
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import NotFound
from rankscope.contract.evaluation.row_values import RowValuesAt, read_row_values
from rankscope.data_folder import is_plain_file
from rankscope.exports.adapter_files import layout_sizes, source_of
from rankscope.exports.archive import ZIP_RESPONSE, zip_of
from rankscope.exports.artifacts import find_artifact
from rankscope.exports.bundle import bundle
from rankscope.exports.report import report
from rankscope.exports.results import find_results
from rankscope.exports.row_values import find_row_values
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import reading
from rankscope.store.history import snapshots
from rankscope.store.history.points import mark

router = APIRouter(prefix="/runs/{run_id}", tags=["files"])


@router.get("/report.html", response_class=HTMLResponse)
@needs("read")
def get_report(run_id: RunId, engine: EngineDep, settings: SettingsDep) -> HTMLResponse:
    """The run on one page: result, ranks, curves, configuration. Works without scripts, server or network."""
    with reading(engine) as session:
        page = report(session, _detail(session, run_id, settings))
    # Sandboxed: whatever a run's name contains must not run with this origin's rights.
    return HTMLResponse(
        page,
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
            "Content-Disposition": f'inline; filename="{run_id}-report.html"',
        },
    )


@router.get("/usage")
@needs("read")
def get_usage(run_id: RunId, engine: EngineDep, settings: SettingsDep, catalog: CatalogDep) -> Usage:
    """A script that loads the run's result, to run next to the unpacked zip, and the size of each layout."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        session.expunge(run)
        modules = snapshots.modules_of(session, run_id)
    found = find_artifact(settings, run)
    if found is None:
        raise NotFound(f"Run {run.id} has no result yet; it is {run.status}.", "It is saved when training ends.")
    is_full = run.artifact == "model"
    base = source_of(run, catalog)
    return Usage(
        base_model=base,
        code=RunConfig.stored(run.config).task.usage(
            f"{run.id}-{run.artifact}",
            None if is_full else repr(base or "FOLDER OR HUB NAME OF THE BASE MODEL"),
            run.environment.get("labels", []),
        ),
        size_bytes={} if is_full else layout_sizes(found.folder, modules),
    )


@router.get("/row-values")
@needs("read")
def get_row_values(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    at: Annotated[RowValuesAt, Query(description="The last evaluation, or the best one of the final ranks.")] = "final",
    offset: Annotated[int, Query(ge=0, le=100_000_000, description="Rows to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=100_000, description="Maximum number of rows.")] = 10_000,
) -> RowValuesPage:
    """Numbers of each evaluation row, such as whether it is right, to compare two runs row by row."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
    file = find_row_values(settings, run, at)
    if file is None:
        raise NotFound(
            f"Run {run_id} has no values of its evaluation rows; it is {run.status}.",
            "Launch it again to get them."
            if run.status.is_terminal
            else "They are saved at the end of the evaluation.",
        )
    try:
        found = read_row_values(file)
    except ValueError as error:
        raise NotFound(f"The row values of run {run_id} can't be read: {error}.", "Launch it again.") from error
    rows = len(next(iter(found.values.values())))
    end = min(offset + limit, rows)
    return RowValuesPage(
        step=found.step,
        rows=rows,
        offset=offset,
        values={name: [mark(value) for value in column[offset:end]] for name, column in found.values.items()},
        next_offset=end if end < rows else None,
    )


@router.get("/bundle", response_class=StreamingResponse, responses=ZIP_RESPONSE)
@needs("read")
def download_bundle(run_id: RunId, engine: EngineDep, settings: SettingsDep) -> StreamingResponse:
    """All data of the run: configuration, events, metrics, ledger, ranks, logs, report, and the result if there is one."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        shown = _detail(session, run_id, settings)
        found = find_artifact(settings, run)
        results = find_results(settings, run)
    logs = {
        attempt.number: path
        for attempt in shown.attempts
        if is_plain_file(settings.runs_dir, path := settings.attempt_dir(run_id, attempt.number) / "log.txt")
    }
    return StreamingResponse(
        zip_of(bundle(engine, shown, logs, found.folder if found else None, results)),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{run_id}-bundle.zip"'},
    )


def _detail(session: Session, run_id: str, settings: Settings) -> RunDetail:
    return detail(session, runs.get_run(session, run_id), settings, now=time.time())
