"""Checks every value in the database of a backup, and copies its rows."""

import json
import sqlite3
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
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, SQLModel

from rankscope.backup.contents import BATCH, TABLES, BackupNote, sha256_of
from rankscope.backup.unpack import RUN_ID, Refused
from rankscope.store.database import schema
from rankscope.store.database.engine import create_engine
from rankscope.store.database.readiness import check_integrity, line_of

_CHOICES: dict[tuple[str, str], tuple[str | None, ...]] = {
    ("run", "artifact"): (None, "adapter", "model"),  # becomes part of a path
    ("run", "stop_requested"): (None, "save", "now"),
}
_RUN_IDS = {("run", "id"), ("run", "parent_id"), ("experiment", "id"), ("sweep", "id")} | {
    (table.name, "run_id") for table in TABLES
}
_LISTS = {("run", "steer_requests"), ("worker", "gpus"), ("sweep_trial", "rungs")}
"""JSON columns that contain a list; all others contain an object."""
_OURS: dict[str, dict[str, object]] = {"run": {"changed": 0}}
"""Values that belong to the database rather than to the installation: numbers of changes start again."""
_JSON_TEXTS = {("event", "payload")}
"""Text columns that contain a JSON object."""
_NOT_NEGATIVE = {"attempt", "number", "step", "seq", "last_seq", "chunked_seq", "first_seq", "size_bytes"}


def check_database(path: Path, note: BackupNote) -> None:
    """Checks the database file, and migrates it to this version's schema. Raises Refused.

    It checks the checksum, runs SQLite's integrity check, and rejects tables and triggers that are not part of RankScope.
    """
    try:
        if sha256_of(path) != note.sha256:
            raise Refused("it is damaged: the checksum of its database is wrong")
        with closing(sqlite3.connect(path)) as raw:
            raw.execute("PRAGMA trusted_schema=OFF")
            check_integrity(raw, None)
            ours = {*SQLModel.metadata.tables, "alembic_version"}
            for kind, name in raw.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"):
                if kind not in ("table", "index") or (kind == "table" and name not in ours):
                    raise Refused(f"its database has the {kind} {name!r}, which is not part of RankScope")
            if raw.execute("SELECT version_num FROM alembic_version").fetchone() is None:
                raise Refused("its database has no schema version")
        engine = create_engine(f"sqlite:///{path}")
        try:
            schema.migrate(engine)
            inspector = inspect(engine)
            for table in TABLES:
                columns = {column["name"] for column in inspector.get_columns(table.name)}
                expected = {column.name for column in table.c}
                if columns != expected:
                    raise Refused(f"table {table.name!r} of its database has different columns: {columns ^ expected}")
        finally:
            engine.dispose()
    except (SQLAlchemyError, sqlite3.Error, FileNotFoundError) as error:
        raise Refused(f"its database can't be read ({line_of(error)})") from error


def copy_checked(old: Session, new: Session) -> set[str]:
    """Checks and copies all rows. Returns the ids of the runs. Raises Refused for a value that its column doesn't allow."""
    runs: set[str] = set()
    for table in TABLES:
        result = old.connection().execution_options(yield_per=BATCH).execute(select(table))
        try:
            for rows in result.mappings().partitions(BATCH):
                for row in rows:
                    _check_row(table, row)
                new.connection().execute(insert(table), [dict(row) | _OURS.get(table.name, {}) for row in rows])
                if table.name == "run":
                    runs |= {row["id"] for row in rows}
        except (LookupError, ValueError, TypeError, OverflowError) as error:  # values that SQLAlchemy can't read at all
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
            is_right = bool(RUN_ID.fullmatch(value))
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
    match kind.impl if isinstance(kind, TypeDecorator) else kind:  # SQLModel's string types are decorated
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
