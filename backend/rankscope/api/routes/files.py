"""Files of a run: log, checkpoints, predictions of its last evaluation, and the result to download."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import FileResponse, StreamingResponse

from rankscope.api.compression import accepts_gzip
from rankscope.api.deps import CatalogDep, EngineDep, FeedsDep, RunId, SettingsDep
from rankscope.api.guard.access import needs
from rankscope.api.log_search import search
from rankscope.api.logs import read_part
from rankscope.api.routes.events import EventStream
from rankscope.api.shapes.base import PresetList
from rankscope.api.shapes.history import CheckpointList, CheckpointShape, LogLine, LogMatches, LogPart, RunResults
from rankscope.api.shapes.views import kept_checkpoints, preset_list
from rankscope.api.streaming.log_stream import followed
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import NotFound
from rankscope.contract.methods import METHODS
from rankscope.contract.tables import Checkpoint, Run
from rankscope.data_folder import is_plain_file
from rankscope.exports.adapter_files import adapter_members
from rankscope.exports.archive import ZIP_RESPONSE, members_of, zip_of
from rankscope.exports.artifacts import find_artifact
from rankscope.exports.results import Order, find_results, read_results
from rankscope.exports.uniform_adapter import Layout
from rankscope.launch.controls import controls
from rankscope.launch.installed_presets import InstalledPreset
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import reading
from rankscope.store.history import snapshots

router = APIRouter(prefix="/runs/{run_id}", tags=["files"])

Attempt = Annotated[int | None, Query(ge=1, le=100_000, description="Default: the newest attempt that has one.")]
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The complete log.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}

_LOG_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `data` is a LogPart as JSON. An `end` event marks the end of the log.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_PATTERN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Ranks by module name.",
        "content": {"application/json": {"schema": {"type": "object", "additionalProperties": {"type": "integer"}}}},
    }
}


@router.get("/results")
@needs("read")
def get_results(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    order: Annotated[Order, Query(description="By loss: `worst` is the largest first.")] = "worst",
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="Rows to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of rows.")] = 20,
) -> RunResults:
    """The predictions for the evaluation rows at the end, with the confusion matrix of a classification."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
    file = find_results(settings, run)
    if file is None:
        raise NotFound(
            f"Run {run_id} has no results; it is {run.status}.",
            "Launch it again to get them." if run.status.is_terminal else "They are saved when a run is done.",
        )
    header, rows = read_results(file, order, offset, limit)
    end = offset + len(rows)
    return RunResults(summary=header, items=rows, next_offset=end if rows and end < header.kept_rows else None)


@router.get("/log")
@needs("read")
def get_log(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    offset: Annotated[int, Query(ge=-1, le=2**53, description="First byte; -1: the last 64 KiB.")] = -1,
    attempt: Attempt = None,
) -> LogPart:
    """A part of the log, which ends at a line end; empty until there is a log."""
    return _log_part(settings, _run(engine, run_id), offset, attempt)[0]


@router.get("/log/stream", status_code=200, response_class=EventStream, responses=_LOG_STREAM)
@needs("read")
async def stream_log(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    feeds: FeedsDep,
    offset: Annotated[int, Query(ge=-1, le=2**53, description="First byte; -1: the last 64 KiB.")] = -1,
    attempt: Attempt = None,
    accept_encoding: Annotated[str, Header(include_in_schema=False)] = "",
) -> EventStream:
    """The log from the given byte on, and everything written to it afterwards; a new attempt's log from its start."""
    await asyncio.to_thread(_run, engine, run_id)

    def read(start: int) -> tuple[LogPart, bool]:
        return _log_part(settings, _run(engine, run_id), start, attempt)

    parts = followed(read, offset, lambda: feeds.is_closed)
    return EventStream(parts, is_gzipped=accepts_gzip(accept_encoding))


@router.get("/log/search")
@needs("read")
def search_log(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    q: Annotated[str, Query(min_length=1, max_length=200, description="Plain text; case is ignored.")],
    start: Annotated[int, Query(alias="from", ge=0, le=2**53, description="First byte.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of lines.")] = 100,
    attempt: Attempt = None,
) -> LogMatches:
    """Lines of the log that contain a text; none until there is a log."""
    run = _run(engine, run_id)
    number, path = _log(settings, run, attempt)
    if not is_plain_file(settings.runs_dir, path):
        return LogMatches(attempt=number, items=[], next_from=None, size=0)
    found = search(path, q, start=start, limit=limit, is_growing=_is_growing(run, number))
    items = [LogLine(offset=offset, line=line) for offset, line in found.lines]
    return LogMatches(attempt=number, items=items, next_from=found.next_from, size=found.size)


@router.get("/log/download", response_class=FileResponse, responses=_TEXT)
@needs("read")
def download_log(run_id: RunId, engine: EngineDep, settings: SettingsDep, attempt: Attempt = None) -> FileResponse:
    """The complete log of an attempt as a file."""
    run = _run(engine, run_id)
    number = attempt or _newest_with(settings, run, "log.txt")
    path = settings.attempt_dir(run.id, number or 0) / "log.txt"
    if number is None or not is_plain_file(settings.runs_dir, path):
        raise NotFound(f"Run {run.id} has no log yet.", "It is created when a worker starts the run.")
    return FileResponse(path, media_type="text/plain; charset=utf-8", filename=f"{run.id}-attempt-{number}.log")


@router.get("/checkpoints")
@needs("read")
def list_checkpoints(run_id: RunId, engine: EngineDep, settings: SettingsDep) -> CheckpointList:
    """Kept checkpoints, from which the run can be resumed or forked, newest last."""
    with reading(engine) as session:
        rows = kept_checkpoints(session, runs.get_run(session, run_id), settings)
        best = _best_step(settings, rows)
        return CheckpointList(
            items=[
                CheckpointShape.model_validate(row.model_dump(exclude={"run_id"}) | {"is_best": row.step == best})
                for row in rows
            ]
        )


def _best_step(settings: Settings, rows: list[Checkpoint]) -> int | None:
    """Step of the best evaluation according to the newest checkpoint; None before the ranks are final."""
    newest = max(rows, key=lambda row: (row.attempt, row.step), default=None)
    if newest is None:
        return None
    manifest = settings.checkpoint_dir(newest.run_id, newest.attempt, newest.step) / "manifest.json"
    if not is_plain_file(settings.runs_dir, manifest):
        return None
    try:
        step = json.loads(manifest.read_text(encoding="utf-8"))["notes"]["best"]["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


@router.get("/adapter", response_class=StreamingResponse, responses=ZIP_RESPONSE)
@needs("read")
def download_adapter(
    run_id: RunId,
    engine: EngineDep,
    settings: SettingsDep,
    catalog: CatalogDep,
    layout: Annotated[
        Layout,
        Query(
            description="uniform: every module at one rank, zero-padded; loads in every LoRA implementation. compact: "
            "each module at its own rank; smaller, for PEFT and transformers. Ignored for a full model."
        ),
    ] = "uniform",
) -> StreamingResponse:
    """The trained adapter (or model, for full fine-tuning) as a zip that PEFT and transformers can load."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        session.expunge(run)
        modules = snapshots.modules_of(session, run_id)
    kind = METHODS[run.method].artifact
    folder = _artifact(settings, run, kind)
    members = members_of(folder) if kind == "model" else adapter_members(folder, layout, modules, run, catalog)
    return StreamingResponse(
        zip_of(members),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{run.id}-{folder.name}.zip"'},
    )


@router.get("/rank_pattern.json", response_class=FileResponse, responses=_PATTERN)
@needs("read")
def get_rank_pattern(run_id: RunId, engine: EngineDep, settings: SettingsDep) -> FileResponse:
    """Module name -> rank, in the form of PEFT's LoraConfig."""
    return FileResponse(
        _rank_pattern(settings, _run(engine, run_id)),
        media_type="application/json",
        filename="rank_pattern.json",
        content_disposition_type="inline",
    )


@router.get("/controls")
@needs("read")
def list_controls(run_id: RunId, engine: EngineDep, settings: SettingsDep) -> PresetList:
    """Control runs for a finished run, to measure the effect of its ranks: plain LoRA with these ranks, and at their mean."""
    run = _run(engine, run_id)
    ranks = json.loads(_rank_pattern(settings, run).read_text(encoding="utf-8"))
    return preset_list([InstalledPreset(one) for one in controls(RunConfig.stored(run.config), ranks)])


def _rank_pattern(settings: Settings, run: Run) -> Path:
    path = _artifact(settings, run, "adapter") / "rank_pattern.json"
    if not is_plain_file(settings.runs_dir, path):
        raise NotFound(f"Run {run.id} has no rank pattern.", "Adapters have one; full fine-tuning has no ranks.")
    return path


def _run(engine: EngineDep, run_id: str) -> Run:
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        session.expunge(run)
    return run


def _log(settings: Settings, run: Run, attempt: int | None) -> tuple[int, Path]:
    """Number and log file of this attempt, or of the newest one that has a log."""
    number = attempt or _newest_with(settings, run, "log.txt") or run.attempt
    return number, settings.attempt_dir(run.id, number) / "log.txt"


def _log_part(settings: Settings, run: Run, offset: int, attempt: int | None) -> tuple[LogPart, bool]:
    """The part from byte `offset` on, empty until there is a log, and whether the file may still grow."""
    number, path = _log(settings, run, attempt)
    is_growing = _is_growing(run, number)
    if not is_plain_file(settings.runs_dir, path):
        return LogPart(attempt=number, text="", offset=0, next_offset=0, size=0), is_growing
    part = read_part(path, offset, is_growing=is_growing)
    shape = LogPart(attempt=number, text=part.text, offset=part.offset, next_offset=part.next_offset, size=part.size)
    return shape, is_growing


def _is_growing(run: Run, attempt: int) -> bool:
    return run.status.is_owned and attempt == run.attempt


def _newest_with(settings: Settings, run: Run, name: str) -> int | None:
    """The newest attempt that has this file or folder."""
    return next((number for number in range(run.attempt, 0, -1) if _has(settings, run, number, name)), None)


def _has(settings: Settings, run: Run, attempt: int, name: str) -> bool:
    return is_plain_file(settings.runs_dir, settings.attempt_dir(run.id, attempt) / name)


def _artifact(settings: Settings, run: Run, name: Literal["adapter", "model"]) -> Path:
    """The folder with the result, once the run has reported it complete."""
    found = find_artifact(settings, run)
    if found is None or found.folder.name != name:
        raise NotFound(
            f"Run {run.id} has no {name} to download; it is {run.status}.", "It is saved when training ends."
        )
    return found.folder
