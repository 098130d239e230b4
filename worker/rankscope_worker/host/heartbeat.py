"""Heartbeat: reports that the worker is alive, releases runs and jobs of lost workers, and nudges for unclaimed runs."""

import logging
import threading
import time

from rankscope.store import jobs, workers
from rankscope.store.database.engine import reading, writing
from rankscope.store.lease_watch import LeaseWatch
from rankscope.store.leases import JOBS, RUNS
from rankscope.store.queue import reap
from rankscope_worker.database_retries import DATABASE_ERRORS
from rankscope_worker.host.claims import nudge_if_waiting
from rankscope_worker.host.host import Host
from rankscope_worker.host.memory import host_memory

_log = logging.getLogger(__name__)


class Heartbeat:
    """A thread that beats six times per lease."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ended = threading.Event()
        self._leases = LeaseWatch(host.settings.lease_s)
        self._job_leases = LeaseWatch(host.settings.lease_s)
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def beat(self) -> None:
        """Sends one heartbeat: reports the worker, takes back lapsed runs and jobs, and nudges for waiting runs."""
        host = self._host
        gpus = host.gpu_report()
        memory, is_outdated = host_memory(), host.is_outdated()
        with reading(host.engine) as session:
            lapsed = self._leases.lapsed(RUNS.held(session), time.monotonic())
            lapsed_jobs = self._job_leases.lapsed(JOBS.held(session), time.monotonic())
        with writing(host.engine) as session:
            now = time.time()
            workers.heartbeat(
                session,
                host.name,
                now=now,
                gpus=gpus,
                is_draining=host.is_draining,
                is_outdated=is_outdated,
                memory=memory,
            )
            reaped = reap(session, now=now, max_lost_workers=host.settings.max_lost_workers, lapsed=lapsed)
            jobs.reap(session, now=now, lapsed=lapsed_jobs)
        for run_id in reaped:
            _log.warning("Run %s lost its worker; it waits to be resumed.", run_id)
        nudge_if_waiting(host)

    def _beat_on(self) -> None:
        while not self._ended.wait(self._host.settings.lease_s / 6):
            try:
                self.beat()
            except DATABASE_ERRORS as error:
                _log.warning("The database does not respond; the heartbeat continues: %s", error)
            except Exception:
                _log.exception("A heartbeat failed; the next one follows.")
