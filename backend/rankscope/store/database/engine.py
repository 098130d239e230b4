"""Database engine and sessions, the same for SQLite (one host) and PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, make_url
from sqlalchemy import create_engine as sqlalchemy_engine
from sqlalchemy.engine import Connection
from sqlmodel import Session

from rankscope.contract.errors import StartupError

_WRITE = "rankscope_write"


def create_engine(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://...` (psycopg).

    SQLite: WAL, so that readers never wait; writers begin with BEGIN IMMEDIATE, so that two of them queue up for at most
    20 s (or the URL's `?timeout=`) instead of failing when a read turns into a write.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        # Otherwise a connection to an unreachable host would never time out.
        timeouts = {} if "connect_timeout" in parsed.query else {"connect_timeout": 10}
        engine = sqlalchemy_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args=timeouts,
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=20,
        )
        event.listen(engine, "connect", _plan_for_short_queries)
        return engine
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        shown = parsed.set(query={}).render_as_string(hide_password=True)
        raise StartupError(
            f"RANKSCOPE_DATABASE_URL is {shown!r}, which is neither sqlite:///FILE nor "
            "postgresql://USER:PASSWORD@HOST/NAME."
        )
    Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    timeouts = {} if "timeout" in parsed.query else {"timeout": 20}
    engine = sqlalchemy_engine(
        parsed, connect_args={"check_same_thread": False, **timeouts}, pool_size=10, max_overflow=20
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are started explicitly, below
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        # SQLite's own function handles only A to Z, and a search for "über" must find "Über".
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")

    return engine


def _plan_for_short_queries(connection: Any, _record: object) -> None:
    """Starting parallel workers or compiling a plan takes longer than any of our queries without them."""
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.execute("SET jit = off")
    connection.commit()


def _lower(value: str | float | bytes | None) -> str | float | bytes | None:
    return value.lower() if isinstance(value, str) else value


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session with a consistent snapshot of the database; nothing is committed.

    PostgreSQL has a consistent snapshot only with REPEATABLE READ, SQLite always.
    """
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection, Session(connection) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that commits at the end of the block, or rolls back if the block raises."""
    with (
        engine.connect().execution_options(**{_WRITE: True}) as connection,
        Session(connection, expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session
