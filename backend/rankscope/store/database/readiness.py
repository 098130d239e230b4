"""Checks that database and broker can be used, before anything else starts. Raises StartupError with one sentence if not.

Messages never contain a password: they show only the parts of a URL that can't be one.
"""

import socket
import sqlite3
import time
from urllib.parse import urlsplit

import redis
from alembic.util.exc import CommandError
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlmodel import SQLModel

from rankscope.contract import tables
from rankscope.contract.errors import StartupError
from rankscope.store.database import schema
from rankscope.store.database.engine import create_engine, writing

_INTEGRITY_CHECK_S = 1.0
_STEPS_PER_CALLBACK = 10_000


def open_database(url: str, *, migrates: bool) -> Engine:
    """Returns the engine of an intact, writable database with this version's schema. Raises StartupError otherwise.

    `migrates`: whether an older or empty database is migrated, which only the server does, or refused.
    """
    try:
        engine = create_engine(url)
    except (ArgumentError, ValueError, ImportError) as error:  # their messages may contain a part of the password
        raise StartupError(
            "The database can't be opened: RANKSCOPE_DATABASE_URL is neither sqlite:///FILE nor "
            "postgresql://USER:PASSWORD@HOST/NAME (write special characters of the password as %XX)."
        ) from error
    except OSError as error:
        raise StartupError(f"The database can't be opened ({error}). Check RANKSCOPE_DATABASE_URL.") from error
    try:
        _check(engine, migrates=migrates)
    except BaseException:
        engine.dispose()
        raise
    return engine


def check_broker(url: str) -> str | None:
    """Checks that `url` is a writable Redis or Valkey server. Raises StartupError if it can't be one.

    An unreachable broker is not an error, because it carries only hints: returns a notice about it, otherwise None.
    """
    try:
        parts = urlsplit(url)
        shown = f"{parts.hostname}:{parts.port or 6379}"
        database = parts.path.strip("/")
        is_readable = parts.scheme in ("redis", "rediss") and bool(parts.hostname)
        is_readable = is_readable and ((database.isascii() and database.isdecimal()) or not database)
    except ValueError:
        is_readable = False
    if not is_readable:
        raise StartupError(
            "RANKSCOPE_BROKER_URL is invalid: use redis://:PASSWORD@HOST:PORT/0, or rediss:// for TLS "
            "(write special characters of the password as %XX)."
        )
    try:
        socket.getaddrinfo(parts.hostname, None)
    except (OSError, UnicodeError) as error:
        raise _broker_error(shown, "has an unknown host name", "check RANKSCOPE_BROKER_URL", error) from error
    timeouts = {"socket_timeout": 2, "socket_connect_timeout": 2, "retry": Retry(NoBackoff(), 0)}
    try:
        with redis.Redis.from_url(url, **timeouts) as client:
            client.set("rankscope:start", "1", ex=1)
    except redis.AuthenticationError as error:
        raise _broker_error(shown, "rejects the password", "fix it in RANKSCOPE_BROKER_URL", error) from error
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        return f"The broker at {shown} does not respond ({line_of(error)}). Until it does, runs start later and live pages lag."
    except (redis.RedisError, ValueError) as error:
        what = "does not respond like a writable Redis or Valkey server"
        raise _broker_error(shown, what, "check RANKSCOPE_BROKER_URL", error) from error
    return None


def _check(engine: Engine, *, migrates: bool) -> None:
    where = shown_database(engine)
    try:
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                check_integrity(raw, _INTEGRITY_CHECK_S)
        if migrates:
            schema.migrate(engine)
        else:
            schema.check_current(engine)
        _check_tables(engine)
        with writing(engine) as session:
            session.execute(text("UPDATE alembic_version SET version_num = version_num"))
    except (SQLAlchemyError, sqlite3.Error, CommandError, OSError) as error:
        cause = line_of(error)
        if "locked" in cause:
            raise StartupError(
                f"The database {where} is locked by another program ({cause}). Stop that program, then try again."
            ) from error
        if "readonly" in cause or "read-only" in cause:
            raise StartupError(f"The database {where} can't be written to ({cause}). Check its permissions.") from error
        if "malformed" in cause or "not a database" in cause:
            raise StartupError(f"The database {where} is damaged ({cause}). Restore a backup.") from error
        raise StartupError(
            f"The database {where} can't be used ({cause}). Fix it, or set RANKSCOPE_DATABASE_URL."
        ) from error


def check_integrity(raw: sqlite3.Connection, limit_s: float | None) -> None:
    """Runs SQLite's integrity check for at most `limit_s` seconds, so that a start doesn't read all of a large database.

    Raises sqlite3.DatabaseError if the database is damaged.
    """
    end = float("inf") if limit_s is None else time.monotonic() + limit_s
    raw.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS_PER_CALLBACK)
    try:
        found = raw.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        found = None
    finally:
        raw.set_progress_handler(None, 0)
    if found is not None and found[0] != "ok":
        raise sqlite3.DatabaseError(f"malformed: {found[0]}")


def _check_tables(engine: Engine) -> None:
    inspector = inspect(engine)
    present = set(inspector.get_table_names())
    assert tables  # importing it fills the metadata
    for table in SQLModel.metadata.sorted_tables:
        lacks = [] if table.name in present else [f"table {table.name!r}"]
        if table.name in present:
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            lacks = [
                f"column {column.name!r} of table {table.name!r}" for column in table.c if column.name not in columns
            ]
        if lacks:
            raise StartupError(
                f"The database {shown_database(engine)} lacks the {lacks[0]}, so it is damaged. Restore a backup."
            )


def shown_database(engine: Engine) -> str:
    """Returns the database's URL without password and query."""
    return engine.url.set(query={}).render_as_string(hide_password=True)


def line_of(error: BaseException) -> str:
    """Returns an error's message in one line of at most 300 characters."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:300]


def _broker_error(shown: str, what: str, next_step: str, error: Exception) -> StartupError:
    return StartupError(f"The broker at {shown} {what} ({line_of(error)}); {next_step}.")
