"""How the installation is doing."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from rankscope import __version__
from rankscope.api.gate import signed_in_by
from rankscope.api.shapes import Health, ServiceState
from rankscope.deps import NowDep, Resources, ResourcesDep
from rankscope.store import workers
from rankscope.store.engine import reading

router = APIRouter(prefix="/system", tags=["system"])


@router.get("/health", response_model=Health)
def get_health(request: Request, resources: ResourcesDep, now: NowDep) -> Health | Response:
    """Database, broker and workers, each with what to do. Without sign-in the answer has `status` alone."""
    database, online = _database_and_workers(resources, now)
    broker = _broker(resources)
    is_ok = database.ok and broker.ok and online.ok
    if not any(signed_in_by(request.headers, resources.gatekeeper)):
        return JSONResponse({"status": "ok" if is_ok else "degraded"})
    return Health(
        status="ok" if is_ok else "degraded",
        version=__version__,
        database=database,
        broker=broker,
        workers=online,
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
                message="The database does not answer.",
                next_step="Look at the database and RANKSCOPE_DATABASE_URL.",
            ),
            ServiceState(ok=False, message="Unknown while the database does not answer."),
        )
    states = [workers.state(worker, now=now, lost_after_s=resources.settings.lease_s) for worker in known]
    online = states.count("online")
    database = ServiceState(ok=True, message=f"{resources.engine.dialect.name} answers.")
    if online:
        return database, ServiceState(ok=True, message=f"{online} online.")
    message = "No worker is online; queued runs wait."
    return database, ServiceState(ok=False, message=message, next_step="Start one with `rankscope worker`.")


def _broker(resources: Resources) -> ServiceState:
    if resources.doorbell.ping():
        return ServiceState(ok=True, message="The broker answers.")
    return ServiceState(
        ok=False,
        message="The broker does not answer. Runs are accepted and wait; live pages lag by two seconds.",
        next_step="Start Redis or Valkey at RANKSCOPE_BROKER_URL.",
    )
