"""Health of the installation."""

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from rankscope import __version__
from rankscope.api.deps import NowDep, Resources, ResourcesDep
from rankscope.api.guard.access import open_to_all
from rankscope.api.guard.gate import signed_in_by
from rankscope.api.shapes.base import Health, ServiceState
from rankscope.catalog.imported.encoded import tokens_bytes
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.database.engine import reading

router = APIRouter(prefix="/system", tags=["system"])

_LOCKED_AFTER_S = 1.0
"""Our own writes take milliseconds."""
_SHOWN_TOKENS = 50_000_000
_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@router.get("/health", response_model=Health)
@open_to_all()
def get_health(request: Request, resources: ResourcesDep, now: NowDep) -> Health | Response:
    """State of database, broker, workers and disk, each with what to do. Without a sign-in, only `status` is returned."""
    database, online = _database_and_workers(resources, now)
    broker = _broker(resources)
    disk = _disk(resources.settings)
    is_ok = database.ok and broker.ok and online.ok and disk.ok
    if not any(signed_in_by(request.headers, resources)):
        return JSONResponse({"status": "ok" if is_ok else "degraded"})
    return Health(
        status="ok" if is_ok else "degraded",
        version=__version__,
        database=database,
        broker=broker,
        workers=online,
        disk=disk,
        time=now,
    )


def _database_and_workers(resources: Resources, now: float) -> tuple[ServiceState, ServiceState]:
    try:
        with reading(resources.engine) as session:
            session.execute(text("SELECT 1"))
            known = [worker for worker, _ in workers.list_workers(session)]
    except SQLAlchemyError:
        return (
            ServiceState(
                ok=False,
                message="The database is unreachable.",
                next_step="Check the database and RANKSCOPE_DATABASE_URL.",
            ),
            ServiceState(ok=False, message="Unknown while the database is unreachable."),
        )
    database = _write_trouble(resources.engine) or ServiceState(
        ok=True, message=f"{_DATABASES.get(resources.engine.dialect.name, 'The database')} responds."
    )
    states = [workers.state(worker, now=now, lost_after_s=resources.settings.lease_s) for worker in known]
    online = states.count("online")
    outdated = [worker.name for worker, state in zip(known, states, strict=True) if state == "outdated"]
    if outdated:
        return database, ServiceState(
            ok=False,
            message=f"RankScope was upgraded while workers were running. They take no new runs or jobs: {', '.join(outdated)}.",
            next_step="Restart each of them. If `rankscope up` started one, restart `rankscope up`.",
        )
    if online:
        return database, ServiceState(ok=True, message=f"{online} online.")
    message = "No worker is online; queued runs wait."
    return database, ServiceState(ok=False, message=message, next_step="Start one with `rankscope worker`.")


def _broker(resources: Resources) -> ServiceState:
    if resources.doorbell.ping():
        return ServiceState(ok=True, message="The broker responds.")
    return ServiceState(
        ok=False,
        message="The broker is unreachable. Runs are accepted and start once it is back. Live pages lag by two seconds.",
        next_step="Start Redis or Valkey at RANKSCOPE_BROKER_URL.",
    )


def _write_trouble(engine: Engine) -> ServiceState | None:
    """Returns what prevents writes to the database, which reads don't reveal; None if nothing does."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        with reading(engine) as session:
            is_read_only = session.scalar(text("SHOW transaction_read_only")) == "on"
        return _read_only("a standby, or set to read-only") if is_read_only else None
    try:
        # mode=rw: don't create a database that was removed.
        address = f"{Path(engine.url.database).absolute().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_LOCKED_AFTER_S)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE alembic_version SET version_num = version_num")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            return _read_only(str(error))
        return ServiceState(
            ok=False,
            message="The database is locked by another program. Runs continue, but nothing can be changed until it is released.",
            next_step="Nothing is lost. If this persists, look for a program that has the file open, for example a backup.",
        )
    except sqlite3.DatabaseError as error:
        return ServiceState(ok=False, message=f"The database is damaged ({error}).", next_step="Restore a backup.")
    return None


def _read_only(cause: str) -> ServiceState:
    return ServiceState(
        ok=False,
        message=f"The database can't be written to ({cause}). Runs can't be launched or continue.",
        next_step="Check the permissions and the file system of the database's file, then restart RankScope.",
    )


def _disk(settings: Settings) -> ServiceState:
    try:
        free = shutil.disk_usage(settings.data_dir).free
        with tempfile.TemporaryFile(dir=settings.data_dir):  # a read-only file system still reports free space
            pass
    except OSError as error:
        return ServiceState(
            ok=False,
            message=f"The data folder {settings.data_dir} can't be written to: {error.strerror}.",
            next_step="Check RANKSCOPE_DATA_DIR and its file system.",
        )
    if free >= settings.low_disk:
        stored = tokens_bytes(settings.data_dir)
        tokens = f" Kept tokens of data sets take {stored / 1e9:,.1f} GB." if stored >= _SHOWN_TOKENS else ""
        return ServiceState(ok=True, message=f"{free / 1e9:,.1f} GB free in the data folder.{tokens}")
    return ServiceState(
        ok=False,
        message=f"The disk is nearly full: {free / 1e9:,.2f} GB free in the data folder. Checkpoints may fail.",
        next_step="Delete old runs, or keep fewer checkpoints per run (keep_checkpoints, after_done).",
    )
