"""The only Celery task: claims and supervises runs while some are waiting and a slot is free."""

import logging
import time

from sqlmodel import Session, col

from rankscope.contract.tables import Run
from rankscope.store.database.engine import reading, writing
from rankscope.store.queue import Claim, claim_next
from rankscope.store.queue_positions import waiting
from rankscope_worker.database_retries import DATABASE_ERRORS
from rankscope_worker.host.celery_app import NUDGE
from rankscope_worker.host.host import Host
from rankscope_worker.host.supervisor import Supervisor

_log = logging.getLogger(__name__)


def register(host: Host) -> None:
    """Registers the task with the host's Celery application."""

    def nudge() -> None:
        work(host)

    host.celery.task(name=NUDGE, ignore_result=True)(nudge)


def work(host: Host) -> None:
    """Claims and supervises waiting runs one after the other, in the calling thread."""
    while (slot := host.take_slot()) is not None:
        try:
            claim = _claim(host)
            if claim is None:
                return
            nudge_if_waiting(host)
            supervisor = Supervisor(
                host.engine, host.doorbell, host.settings, claim, slot.gpu, host.threads_a_slot, host.forks
            )
            host.put_in_slot(slot, supervisor)
            supervisor.run()
        finally:
            host.release_slot(slot)


def nudge_if_waiting(host: Host) -> None:
    """Nudges this worker if it can claim a waiting run and a slot is free."""
    if host.is_draining:
        return
    with reading(host.engine) as session:
        is_needed = _waits(session, host.has_gpu)
    if is_needed and host.has_room:
        host.nudger.nudge()


def _claim(host: Host) -> Claim | None:
    try:
        with writing(host.engine) as session:
            return claim_next(
                session, worker=host.name, has_gpu=host.has_gpu, lease_s=host.settings.lease_s, now=time.time()
            )
    except DATABASE_ERRORS as error:
        _log.warning("The database does not respond, so no run is claimed now: %s", error)
        return None


def _waits(session: Session, has_gpu: bool) -> bool:
    best = waiting(Run.id).limit(1)
    if not has_gpu:
        best = best.where(col(Run.needs_gpu).is_(False))
    return session.scalar(best) is not None
