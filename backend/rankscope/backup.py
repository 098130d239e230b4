"""Backup and restore: one file with the database and the runs' files, made while everything runs.

The file is a tar.gz: `backup.json`, `database.db` (SQLite, whatever the installation's database is) and `runs/`. So a backup
of PostgreSQL can be restored into SQLite, and the other way round.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, SQLModel

from rankscope import __version__
from rankscope.contract import tables
from rankscope.contract.errors import StartupError
from rankscope.settings import Settings
from rankscope.store import schema
from rankscope.store.engine import create_engine, reading, writing

_FORMAT = 1
_NOTE, _DATABASE, _RUNS = "backup.json", "database.db", "runs"
_BATCH = 1000
_TABLES = [SQLModel.metadata.tables[name] for name in ("run", "worker", "attempt", "checkpoint", "event", "chunk")]


@dataclass(frozen=True)
class BackupNote:
    """What a backup says of itself. `sha256` is that of its database."""

    format: int
    version: str
    schema: str
    created_at: float
    runs: int
    events: int
    has_files: bool
    sha256: str


def write_backup(settings: Settings, target: Path, *, with_files: bool = True) -> BackupNote:
    """Writes the backup to `target`, whole or not at all; nothing has to be stopped for it.

    The database is one moment of it. Of checkpoints those are taken that this moment knows, so that a restored run
    resumes with nothing missing between its events and its checkpoint. Raises StartupError with one sentence.
    """
    if target.exists():
        raise StartupError(f"{target} exists already; choose another name, or remove it first.")
    engine = _open(settings)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".backup-") as name:
            working = Path(name)
            database = working / _DATABASE
            _snapshot(engine, database)
            note = _describe(database, with_files)
            if with_files:
                _pin_checkpoints(settings, database, working / _RUNS)
            partial = target.with_name(f".{target.name}.partial")
            try:
                _write_archive(settings, partial, working, note)
                os.replace(partial, target)
            finally:
                partial.unlink(missing_ok=True)
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise StartupError(f"The backup cannot be written: {_line(error)}") from error
    finally:
        engine.dispose()
    return note


def restore_backup(settings: Settings, source: Path, *, replace: bool = False) -> BackupNote:
    """Puts a backup into this installation's database and data folder, in one transaction.

    The database must hold no runs, unless `replace`: then they go, and their files are set aside, not deleted. A backup of
    an older version is brought up to date; one of a newer version is refused. Raises StartupError with one sentence.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(settings.resolved_database_url)
    try:
        schema.migrate(engine)
        with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as name:
            working = Path(name)
            note = _unpack(source, working)
            copy = create_engine(f"sqlite:///{working / _DATABASE}")
            try:
                schema.migrate(copy)
                with reading(copy) as old, writing(engine) as new:
                    _make_empty(new, replace=replace)
                    _copy_rows(old, new)
                    _place_files(settings, working / _RUNS)
            finally:
                copy.dispose()
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise StartupError(f"The backup cannot be restored, and nothing was changed: {_line(error)}") from error
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
    """One moment of the database as a SQLite file."""
    if engine.dialect.name == "sqlite":
        # SQLite's own online backup: one read transaction, which writers do not wait for.
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
    for table in _TABLES:
        result = old.connection().execution_options(yield_per=_BATCH).execute(select(table))
        for rows in result.mappings().partitions(_BATCH):
            new.connection().execute(insert(table), [dict(row) for row in rows])


def _make_empty(session: Session, *, replace: bool) -> None:
    count = session.scalar(select(func.count()).select_from(tables.Run)) or 0
    if count and not replace:
        raise StartupError(
            f"The database holds {count} run(s) already; restore into an empty installation, or give --replace, which "
            "removes them and sets their files aside."
        )
    if count:
        owned = [row.id for row in session.scalars(select(tables.Run)) if row.status.is_owned]
        if owned:
            raise StartupError(f"Run {owned[0]} is on a worker; stop all workers before you replace its database.")
    for table in reversed(_TABLES):
        session.execute(delete(table))


def _describe(database: Path, has_files: bool) -> BackupNote:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        (runs,) = connection.execute("SELECT count(*) FROM run").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
    return BackupNote(_FORMAT, __version__, revision, time.time(), runs, events, has_files, _sha256(database))


def _pin_checkpoints(settings: Settings, database: Path, pinned: Path) -> None:
    """Links the checkpoints that the snapshot knows: the worker may delete them while the archive is written."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        known = connection.execute("SELECT run_id, attempt, step FROM checkpoint").fetchall()
    for run_id, attempt, step in known:
        folder = settings.checkpoint_dir(run_id, attempt, step)
        copy = pinned / folder.relative_to(settings.runs_dir)
        try:
            shutil.copytree(folder, copy, copy_function=_link)
        except OSError:  # deleted a moment ago, or while it was being linked: then it is not part of the backup
            shutil.rmtree(copy, ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def _write_archive(settings: Settings, target: Path, working: Path, note: BackupNote) -> None:
    (working / _NOTE).write_text(json.dumps(asdict(note), indent=1), encoding="utf-8")
    with target.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=3) as archive:
            archive.add(working / _NOTE, _NOTE)
            archive.add(working / _DATABASE, _DATABASE)
            if note.has_files:
                for path, name in _files(settings.runs_dir, working / _RUNS):
                    with contextlib.suppress(FileNotFoundError):  # a run may be deleted meanwhile
                        archive.add(path, name, recursive=False)
        file.flush()
        os.fsync(file.fileno())


def _files(runs: Path, pinned: Path) -> Iterator[tuple[Path, str]]:
    """Files of runs with their names in the archive: checkpoints as pinned, the rest as it lies there."""
    for path in sorted(pinned.rglob("*")):
        if path.is_file():
            yield path, f"{_RUNS}/{path.relative_to(pinned).as_posix()}"
    for path in sorted(runs.rglob("*")):
        parts = path.relative_to(runs).parts
        if path.is_file() and "checkpoints" not in parts and not any(part.startswith(".") for part in parts):
            yield path, f"{_RUNS}/{'/'.join(parts)}"


def _unpack(source: Path, working: Path) -> BackupNote:
    """The archive's content in `working`, checked against its note."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            archive.extractall(working, filter="data")
        note = BackupNote(**json.loads((working / _NOTE).read_text(encoding="utf-8")))
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, TypeError) as error:
        raise StartupError(f"{source} is no whole backup of RankScope: {_line(error)}") from error
    if note.format != _FORMAT:
        raise StartupError(f"{source} has backup format {note.format}; this version reads {_FORMAT}.")
    if _sha256(working / _DATABASE) != note.sha256:
        raise StartupError(f"{source} is damaged: its database is not what was written.")
    return note


def _place_files(settings: Settings, restored: Path) -> None:
    """The restored runs' files in place; what was there is set aside. Called last, before the commit."""
    if settings.runs_dir.exists() and any(settings.runs_dir.iterdir()):
        os.rename(settings.runs_dir, settings.data_dir / f"runs-before-restore-{time.time_ns()}")
    elif settings.runs_dir.exists():
        settings.runs_dir.rmdir()
    if restored.is_dir():
        os.rename(restored, settings.runs_dir)
    else:
        settings.runs_dir.mkdir()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(error: BaseException) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())[:300]
