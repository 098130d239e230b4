"""Restore: a backup file, whoever made it, into this installation's database and data folder; all of it or nothing.

Unpacked and checked in a folder of its own within the data folder, then swapped in. Nothing in the file decides where
something is written, but for names below `runs/RUN/`, which are checked; links and special files are refused.
"""

import gzip
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
import time
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Enum,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    TypeDecorator,
    delete,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, SQLModel

from rankscope.backup import BACKUP_FORMAT, BATCH, DATABASE, NOTE, RUNS, TABLES, BackupNote, sha256_of
from rankscope.contract import tables
from rankscope.contract.errors import StartupError
from rankscope.data_folder import alone, restoring
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.database import schema
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.readiness import line_of, look_through, open_database

_RUN_ID = re.compile("[a-z0-9]{1,16}")
_MOST_HEADER_BYTES = 1 << 20
_MOST_PATH_BYTES = 1024
_COPY_BYTES = 1 << 20
_MOST_NOTE_BYTES = 1 << 16
_KEPT_FREE_BYTES = 64 << 20
_CHOICES: dict[tuple[str, str], tuple[str | None, ...]] = {
    ("run", "artifact"): (None, "adapter", "model"),  # becomes part of a path
    ("run", "stop_requested"): (None, "save", "now"),
}
_RUN_IDS = {("run", "id"), ("run", "parent_id")} | {(table.name, "run_id") for table in TABLES}
_LISTS = {("run", "tags"), ("run", "steer_requests"), ("worker", "gpus")}
"""Columns of JSON that hold a list; the others hold an object."""
_JSON_TEXTS = {("event", "payload")}
"""Columns of text that hold a JSON object."""
_NOT_NEGATIVE = {"attempt", "number", "step", "seq", "last_seq", "chunked_seq", "first_seq", "size_bytes"}


class Refused(Exception):
    """The file is not a backup that can be restored; says what is wrong with it."""


def restore_backup(settings: Settings, source: Path, *, replace: bool = False) -> BackupNote:
    """Puts a backup into this installation's database and data folder, in one transaction.

    The database must hold no runs, unless `replace`: then they go, and their files are set aside, not deleted. A backup of
    an older version is brought up to date; one of a newer version is refused. Raises StartupError with one sentence.
    """
    changed = "nothing was changed"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            alone(settings.data_dir),
            tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as name,
        ):
            working = Path(name)
            try:
                note = _unpack(source, working)
                _check_database(working / DATABASE, note)
            except Refused as error:
                raise StartupError(
                    f"{source} is no whole backup of RankScope: {error}. Nothing was changed."
                ) from error
            engine = open_database(settings.resolved_database_url, migrates=True)
            copy = create_engine(f"sqlite:///{working / DATABASE}")
            try:
                with restoring(settings.data_dir):
                    swap = _Swap(settings, working / RUNS)
                    try:
                        with reading(copy) as old, writing(engine) as new:
                            _make_empty(new, replace=replace, lease_s=settings.lease_s)
                            _keep_known(working / RUNS, _copy_checked(old, new))
                            swap.do()
                    except BaseException:
                        changed = swap.undo()
                        raise
            except Refused as error:
                raise StartupError(
                    f"{source} is no whole backup of RankScope: {error}. Nothing was changed."
                ) from error
            finally:
                copy.dispose()
                engine.dispose()
    except (OSError, SQLAlchemyError, sqlite3.Error, LookupError, ValueError) as error:
        raise StartupError(f"The backup cannot be restored, and {changed}: {line_of(error)}") from error
    return note


# ---------------------------------------------------------------- the file


class _Bounded(io.RawIOBase):
    """The unpacked bytes, a part at a time: a header that claims to be huge is not read into memory."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER_BYTES:
            raise Refused("it has a header that is too large")
        return self._source.read(size)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()


def _unpack(source: Path, working: Path) -> BackupNote:
    """The archive's files in `working`, and its note."""
    seen: set[str] = set()
    try:
        with source.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
            bounded: Any = _Bounded(packed)
            with tarfile.open(fileobj=bounded, mode="r:") as archive:
                while (member := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
                    path = _place(member)
                    if path is None:
                        continue
                    folded = path.casefold()
                    if folded in seen:
                        raise Refused(f"it has {path!r} twice, or once more in other case")
                    seen.add(folded)
                    _write(archive, member, working, path)
            while packed.read(_COPY_BYTES):  # to its end: only there gzip compares its checksum
                pass
        return _read_note(working / NOTE)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, IsADirectoryError, FileNotFoundError) as error:
        raise Refused(line_of(error)) from error


def _place(member: tarfile.TarInfo) -> str | None:
    """Where the member belongs below the working folder; None for a folder, which its files bring along."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    shown = member.name[:200]
    try:
        is_short = len(member.name.encode()) <= _MOST_PATH_BYTES and all(len(part.encode()) <= 255 for part in parts)
    except UnicodeEncodeError:
        is_short = False
    if not is_short:
        raise Refused(f"the name {shown!r} is too long or not text")
    if member.name.startswith("/") or ".." in parts or any(not c.isprintable() or c == "\\" for c in member.name):
        raise Refused(f"the name {shown!r} leads out of its folder")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise Refused(f"{shown!r} is a link or a special file")
    is_of_a_run = len(parts) >= 2 and parts[0] == RUNS and _RUN_ID.fullmatch(parts[1])
    if member.isdir():
        if not parts or parts == [RUNS] or is_of_a_run:
            return None
    elif parts in ([NOTE], [DATABASE]) or (is_of_a_run and len(parts) >= 3):
        return "/".join(parts)
    raise Refused(f"{shown!r} does not belong into a backup")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, working: Path, path: str) -> None:
    free = shutil.disk_usage(working).free - _KEPT_FREE_BYTES
    if member.size > free:
        raise OSError(f"{path!r} has {member.size:,} bytes, and there is room for {max(0, free):,} in the data folder")
    target = working / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except (FileExistsError, NotADirectoryError) as error:
        raise Refused(f"{path!r} is both a file and a folder") from error
    content = archive.extractfile(member)
    with open(descriptor, "wb") as file:
        left = member.size if content else 0
        while content and left and (part := content.read(min(left, _COPY_BYTES))):
            file.write(part)
            left -= len(part)
    if left:
        raise Refused(f"{path!r} ends too early")


def _read_note(path: Path) -> BackupNote:
    with path.open("rb") as file:
        text = file.read(_MOST_NOTE_BYTES + 1)
    try:
        if len(text) > _MOST_NOTE_BYTES:
            raise ValueError("it is too long")
        note = BackupNote(**json.loads(text))
        for name, kind in BackupNote.__annotations__.items():
            if type(getattr(note, name)) is not kind and not (kind is float and type(getattr(note, name)) is int):
                raise ValueError(f"{name} is not {kind.__name__}")
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"its {NOTE} cannot be read ({line_of(error)})") from error
    if note.format != BACKUP_FORMAT:
        raise Refused(f"it has backup format {note.format}, and this version reads {BACKUP_FORMAT}")
    return note


# ---------------------------------------------------------------- the database


def _check_database(path: Path, note: BackupNote) -> None:
    """Its checksum, SQLite's own look, nothing but our tables; then it is brought up to this version's schema."""
    try:
        if sha256_of(path) != note.sha256:
            raise Refused("it is damaged: its database is not what was written")
        with closing(sqlite3.connect(path)) as raw:
            raw.execute("PRAGMA trusted_schema=OFF")
            look_through(raw, None)
            ours = {*SQLModel.metadata.tables, "alembic_version"}
            for kind, name in raw.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"):
                if kind not in ("table", "index") or (kind == "table" and name not in ours):
                    raise Refused(f"its database has the {kind} {name!r}, which is not of RankScope")
            if raw.execute("SELECT version_num FROM alembic_version").fetchone() is None:
                raise Refused("its database does not say of which version it is")
        engine = create_engine(f"sqlite:///{path}")
        try:
            schema.migrate(engine)
            inspector = inspect(engine)
            for table in TABLES:
                columns = {column["name"] for column in inspector.get_columns(table.name)}
                expected = {column.name for column in table.c}
                if columns != expected:
                    raise Refused(f"table {table.name!r} of its database has other columns: {columns ^ expected}")
        finally:
            engine.dispose()
    except (SQLAlchemyError, sqlite3.Error, FileNotFoundError) as error:
        raise Refused(f"its database cannot be read ({line_of(error)})") from error


def _make_empty(session: Session, *, replace: bool, lease_s: float) -> None:
    count = session.scalar(select(func.count()).select_from(tables.Run)) or 0
    if count and not replace:
        raise StartupError(
            f"The database holds {count} run(s) already; restore into an empty installation, or give --replace, which "
            "removes them and sets their files aside."
        )
    owned = [row.id for row in session.scalars(select(tables.Run)) if row.status.is_owned]
    if owned:
        raise StartupError(f"Run {owned[0]} is on a worker; stop all workers before you replace its database.")
    if session.connection().dialect.name == "postgresql":  # workers on other hosts may see another data folder
        for worker, _ in workers.list_workers(session):
            if workers.state(worker, now=time.time(), lost_after_s=lease_s) == "online":
                raise StartupError(f"Worker {worker.name!r} is online; stop all workers before you restore.")
    session.execute(delete(tables.Job))
    for table in reversed(TABLES):
        session.execute(delete(table))


def _copy_checked(old: Session, new: Session) -> set[str]:
    """Copies every row whose values are what the table says; the ids of the runs."""
    runs: set[str] = set()
    for table in TABLES:
        result = old.connection().execution_options(yield_per=BATCH).execute(select(table))
        try:
            for rows in result.mappings().partitions(BATCH):
                for row in rows:
                    _check_row(table, row)
                new.connection().execute(insert(table), [dict(row) for row in rows])
                if table.name == "run":
                    runs |= {row["id"] for row in rows}
        except (LookupError, ValueError, TypeError, OverflowError) as error:  # what SQLAlchemy cannot read at all
            raise Refused(f"table {table.name!r} of its database has an invalid value ({line_of(error)})") from error
        except SQLAlchemyError as error:
            if isinstance(error.__cause__, LookupError) or "constraint" in line_of(error).lower():
                raise Refused(f"table {table.name!r} of its database has an invalid row ({line_of(error)})") from error
            raise
    return runs


def _check_row(table: Table, row: Mapping[Any, Any]) -> None:
    for column in table.c:
        value, name = row[column.name], (table.name, column.name)
        if value is None and column.nullable:
            continue
        is_right = _is_of_type(column.type, value, name)
        if is_right and name in _RUN_IDS:
            is_right = bool(_RUN_ID.fullmatch(value))
        if is_right and name in _CHOICES:
            is_right = value in _CHOICES[name]
        if is_right and name in _JSON_TEXTS:
            is_right = _is_object(value)
        if is_right and column.name in _NOT_NEGATIVE:
            is_right = value >= 0
        if not is_right:
            raise Refused(f"column {column.name!r} of table {table.name!r} has the invalid value {str(value)[:80]!r}")


def _is_object(text: str) -> bool:
    try:
        return text.startswith("{") and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_of_type(kind: Any, value: object, name: tuple[str, str]) -> bool:
    match kind.impl if isinstance(kind, TypeDecorator) else kind:  # SQLModel's strings are decorated ones
        case Enum():
            return isinstance(value, kind.enum_class or str)
        case JSON():
            return isinstance(value, list if name in _LISTS else dict)
        case LargeBinary():
            return isinstance(value, bytes)
        case Float():
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
        case String():
            return (
                isinstance(value, str)
                and "\x00" not in value
                and len(value) <= (getattr(kind, "length", None) or len(value))
            )
        case Integer():
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case Boolean():
            return isinstance(value, bool)
    raise TypeError(f"A restore cannot check columns of type {kind} yet.")


# ---------------------------------------------------------------- the runs' files


def _keep_known(restored: Path, known: set[str]) -> None:
    """Drops files of runs that came after the backup's moment: they are in no table."""
    if restored.is_dir():
        for folder in restored.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder)


class _Swap:
    """Replaces the runs' files by the restored ones. The old ones are set aside, and put back if the commit fails."""

    def __init__(self, settings: Settings, restored: Path) -> None:
        self._runs, self._restored = settings.runs_dir, restored
        self._aside = settings.data_dir / f"runs-before-restore-{time.time_ns()}"
        self._was_set_aside = self._is_placed = False

    def do(self) -> None:
        """Called last before the commit. Only names are changed: a link at `runs` is moved, not followed."""
        if os.path.lexists(self._runs):
            if not self._runs.is_symlink() and self._runs.is_dir() and not any(self._runs.iterdir()):
                self._runs.rmdir()
            else:
                os.rename(self._runs, self._aside)
                self._was_set_aside = True
        self._restored.mkdir(exist_ok=True, mode=0o700)
        os.rename(self._restored, self._runs)
        self._is_placed = True

    def undo(self) -> str:
        """Everything as it was; what is true now, for the error's sentence."""
        try:
            if self._is_placed:
                os.rename(self._runs, self._restored)
            if self._was_set_aside:
                os.rename(self._aside, self._runs)
            else:
                self._runs.mkdir(exist_ok=True)
        except OSError as error:
            return f"the runs' files are in {self._aside} now ({error.strerror}); move them back to {self._runs}"
        return "nothing was changed"
