"""Registered workers and their state."""

from typing import Literal, NamedTuple

from sqlalchemy import select, update
from sqlmodel import Session, col

from rankscope.contract.status import OWNED
from rankscope.contract.stored import StoredGpu
from rankscope.contract.tables import Run, Worker


class HostMemory(NamedTuple):
    """Memory that the processes of a worker may use."""

    total_bytes: int
    free_bytes: int
    """Including caches that the system frees for them."""


WorkerState = Literal["online", "outdated", "draining", "lost", "stopped"]
"""`outdated`: it runs code of an earlier installation, and takes no new runs or jobs."""


def register(
    session: Session,
    *,
    name: str,
    host: str,
    pid: int,
    version: str,
    slots: int,
    gpus: list[StoredGpu],
    now: float,
    memory: HostMemory | None = None,
) -> None:
    session.merge(
        Worker(
            name=name,
            host=host,
            pid=pid,
            version=version,
            slots=slots,
            gpus=gpus,
            started_at=now,
            heartbeat_at=now,
            memory_bytes=memory.total_bytes if memory else None,
            free_memory_bytes=memory.free_bytes if memory else None,
        )
    )


def heartbeat(
    session: Session,
    name: str,
    *,
    now: float,
    gpus: list[StoredGpu],
    is_draining: bool,
    is_outdated: bool = False,
    memory: HostMemory | None = None,
) -> None:
    session.execute(
        update(Worker)
        .where(col(Worker.name) == name)
        .values(
            heartbeat_at=now,
            gpus=gpus,
            is_draining=is_draining,
            is_outdated=is_outdated,
            memory_bytes=memory.total_bytes if memory else None,
            free_memory_bytes=memory.free_bytes if memory else None,
        )
    )


def mark_stopped(session: Session, name: str, *, now: float) -> None:
    session.execute(update(Worker).where(col(Worker.name) == name).values(stopped_at=now, heartbeat_at=now))


def list_workers(session: Session) -> list[tuple[Worker, list[str]]]:
    """Returns every worker, with the ids of its runs."""
    held: dict[str, list[str]] = {}
    for run_id, worker in session.execute(select(col(Run.id), col(Run.worker)).where(col(Run.status).in_(OWNED))):
        held.setdefault(worker, []).append(run_id)
    return [
        (worker, held.get(worker.name, [])) for worker in session.scalars(select(Worker).order_by(col(Worker.name)))
    ]


def is_any_online(session: Session, *, now: float, lost_after_s: float) -> bool:
    """Whether a worker takes new runs and jobs."""
    return any(state(one, now=now, lost_after_s=lost_after_s) == "online" for one, _ in list_workers(session))


def online_slots(session: Session, *, now: float, lost_after_s: float) -> int:
    """Returns how many runs the workers that are online can train at once."""
    known = [worker for worker, _ in list_workers(session)]
    return sum(one.slots for one in known if state(one, now=now, lost_after_s=lost_after_s) == "online")


def state(worker: Worker, *, now: float, lost_after_s: float = 30.0) -> WorkerState:
    if worker.stopped_at is not None:
        return "stopped"
    if now - worker.heartbeat_at > lost_after_s:
        return "lost"
    if worker.is_draining:
        return "draining"
    return "outdated" if worker.is_outdated else "online"
