"""Writes a backup: one file with the database and the runs' files, while everything keeps running.

The file is a tar.gz with `backup.json`, `database.db` (SQLite, whichever database the installation uses) and `runs/`. So a
backup of PostgreSQL can be restored to SQLite and vice versa.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from rankscope import __version__
from rankscope.backup.contents import BACKUP_FORMAT, BATCH, DATABASE, NOTE, RUNS, TABLES, BackupNote, sha256_of
from rankscope.contract.errors import StartupError
from rankscope.data_folder import is_plain_file
from rankscope.settings import Settings
from rankscope.store.database import schema
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.readiness import line_of


def write_backup(settings: Settings, target: Path, *, with_files: bool = True) -> BackupNote:
    """Writes a backup to `target`, completely or not at all, and returns its description. Nothing has to be stopped.

    The database is a consistent snapshot. The backup includes exactly the checkpoints in that snapshot, so that a restored
    run resumes without a gap between its events and its checkpoint. Raises StartupError with one sentence.
    """
    if target.exists():
        raise StartupError(f"{target} already exists. Choose another name, or remove it first.")
    engine = _open(settings)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".backup-") as name:
            working = Path(name)
            database = working / DATABASE
            _snapshot(engine, database)
            note = _describe(database, with_files)
            if with_files:
                _pin_checkpoints(settings, database, working / RUNS)
            partial = target.with_name(f".{target.name}.partial")
            try:
                _write_archive(settings, partial, working, note)
                os.replace(partial, target)
            finally:
                partial.unlink(missing_ok=True)
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise StartupError(f"The backup can't be written: {line_of(error)}") from error
    finally:
        engine.dispose()
    return note


def _open(settings: Settings) -> Engine:
    engine = create_engine(settings.resolved_database_url)
    try:
        schema.check_current(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _snapshot(engine: Engine, target: Path) -> None:
    """Writes a consistent snapshot of the database to a SQLite file."""
    if engine.dialect.name == "sqlite":
        # SQLite's online backup uses one read transaction, which doesn't block writers.
        with (
            contextlib.closing(sqlite3.connect(str(engine.url.database), timeout=20)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        return
    copy_engine = create_engine(f"sqlite:///{target}")
    try:
        schema.migrate(copy_engine)
        with reading(engine) as old, writing(copy_engine) as new:
            _copy_rows(old, new)
        with copy_engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    finally:
        copy_engine.dispose()


def _copy_rows(old: Session, new: Session) -> None:
    for table in TABLES:
        result = old.connection().execution_options(yield_per=BATCH).execute(select(table))
        for rows in result.mappings().partitions(BATCH):
            new.connection().execute(insert(table), [dict(row) for row in rows])


def _describe(database: Path, has_files: bool) -> BackupNote:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        (runs,) = connection.execute("SELECT count(*) FROM run").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
    return BackupNote(BACKUP_FORMAT, __version__, revision, time.time(), runs, events, has_files, sha256_of(database))


def _pin_checkpoints(settings: Settings, database: Path, pinned: Path) -> None:
    """Hard-links the checkpoints in the snapshot, because the worker may delete them while the archive is written."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        known = connection.execute("SELECT run_id, attempt, step FROM checkpoint").fetchall()
    for run_id, attempt, step in known:
        folder = settings.checkpoint_dir(run_id, attempt, step)
        copy = pinned / folder.relative_to(settings.runs_dir)
        try:
            shutil.copytree(folder, copy, symlinks=True, copy_function=_link)
        except OSError:  # deleted in the meantime: then it is not part of the backup
            shutil.rmtree(copy, ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def _write_archive(settings: Settings, target: Path, working: Path, note: BackupNote) -> None:
    (working / NOTE).write_text(json.dumps(asdict(note), indent=1), encoding="utf-8")
    target.unlink(missing_ok=True)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=3) as archive:
            archive.add(working / NOTE, NOTE)
            archive.add(working / DATABASE, DATABASE)
            if note.has_files:
                for path, name in _files(settings.runs_dir, working / RUNS):
                    with contextlib.suppress(FileNotFoundError):  # a run may be deleted in the meantime
                        archive.add(path, name, recursive=False)
        file.flush()
        os.fsync(file.fileno())


def _files(runs: Path, pinned: Path) -> Iterator[tuple[Path, str]]:
    """Yields the runs' files and their names in the archive: the linked checkpoints and all other files, but no links."""
    for path in sorted(pinned.rglob("*")):
        if is_plain_file(pinned, path):
            yield path, f"{RUNS}/{path.relative_to(pinned).as_posix()}"
    for path in sorted(runs.rglob("*")):
        parts = path.relative_to(runs).parts
        if "checkpoints" in parts or any(part.startswith(".") for part in parts):
            continue
        if is_plain_file(runs, path):
            yield path, f"{RUNS}/{'/'.join(parts)}"
