"""Imports an upload as the next version of its data set, completely or not at all."""

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rankscope.catalog.imported.folders import PROFILE, ROWS, SOURCE, Folders
from rankscope.catalog.imported.parquet import file_sha256
from rankscope.catalog.imported.uploads import read_upload
from rankscope.contract.imports import ImportResult, SetProfile, Upload
from rankscope_worker.child.importing.profiling import profile_rows
from rankscope_worker.child.importing.source import prepare
from rankscope_worker.child.importing.write_rows import write_rows

_WORK = "work"


def import_upload(folders: Folders, upload_id: str, report: Callable[[float], None]) -> ImportResult:
    """Imports the file and removes the upload. Raises BrokenFile, and then leaves nothing but the upload."""
    folder = folders.upload(upload_id)
    upload = read_upload(folder)
    work = folder / _WORK
    if not (folder / SOURCE).exists():  # an attempt that was killed had already finished its files
        return _publish(folders, upload, work)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        _write_version(upload, folder / SOURCE, work, report)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    os.rename(folder / SOURCE, work / SOURCE)
    return _publish(folders, upload, work)


def _write_version(upload: Upload, source: Path, work: Path, report: Callable[[float], None]) -> None:
    rows, scratch = work / ROWS, work / "scratch"
    scratch.mkdir()
    prepared = prepare(source, upload.name, upload.options, scratch, report)
    written = write_rows(prepared, upload.options, rows, scratch, report)
    shutil.rmtree(scratch)
    report(0.75)
    with ThreadPoolExecutor(1, "sha256") as thread:
        rows_sha256 = thread.submit(file_sha256, rows)
        profiled = profile_rows(rows, written.names, written.kinds, written.facts, report)
    profile = SetProfile(
        name=upload.name,
        created_at=time.time(),
        rows=profiled.rows,
        columns=profiled.columns,
        text_columns=list(profiled.chosen.text),
        target_column=profiled.chosen.label,
        classes=profiled.classes,
        n_classes=profiled.n_classes,
        left_out=profiled.left_out,
        duplicates=profiled.duplicates,
        rejected_rows=written.rejects.count,
        rejected=written.rejects.first,
        source_format=prepared.format,
        source_bytes=upload.size_bytes,
        source_sha256=upload.sha256,
        separator=written.separator,
        encoding=prepared.encoding,
        options=upload.options,
        rows_bytes=rows.stat().st_size,
        rows_sha256=rows_sha256.result(),
    )
    write_profile(work, profile)


def write_profile(work: Path, profile: SetProfile) -> None:
    """Writes the profile of the rows in `work`, which is then complete."""
    (work / PROFILE).write_text(profile.model_dump_json(), encoding="utf-8")
    shutil.rmtree(work / ".duckdb", ignore_errors=True)
    for path in (work / ROWS, work / PROFILE):
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _publish(folders: Folders, upload: Upload, work: Path) -> ImportResult:
    version = folders.publish(work, upload.set_id) if work.exists() else folders.versions(upload.set_id)[0]
    shutil.rmtree(folders.upload(upload.id), ignore_errors=True)
    return ImportResult(set_id=upload.set_id, version=version)
