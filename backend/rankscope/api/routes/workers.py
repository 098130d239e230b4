"""Workers."""

from fastapi import APIRouter

from rankscope.api.deps import EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import needs
from rankscope.api.shapes.base import WorkerList, WorkerShape
from rankscope.store import workers
from rankscope.store.database.engine import reading

router = APIRouter(prefix="/workers", tags=["workers"])


@router.get("")
@needs("read")
def list_workers(engine: EngineDep, settings: SettingsDep, now: NowDep) -> WorkerList:
    """Every registered worker, with its runs."""
    with reading(engine) as session:
        return WorkerList(
            items=[
                WorkerShape(
                    name=worker.name,
                    host=worker.host,
                    version=worker.version,
                    slots=worker.slots,
                    busy=len(held),
                    gpus=worker.gpus,
                    memory_bytes=worker.memory_bytes,
                    free_memory_bytes=worker.free_memory_bytes,
                    started_at=worker.started_at,
                    heartbeat_at=worker.heartbeat_at,
                    status=workers.state(worker, now=now, lost_after_s=settings.lease_s),
                    runs=held,
                )
                for worker, held in workers.list_workers(session)
            ]
        )
