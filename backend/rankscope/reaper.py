"""The server's reaper: takes back runs and jobs of lost workers if no other worker does, and deletes old jobs.

Workers do the same at every heartbeat, after one lease period. The server waits for two, so that it acts only if no worker
has. Without it, a run whose only worker is lost would show as "running" until another worker starts.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope.settings import Settings
from rankscope.store import jobs
from rankscope.store.database.engine import reading, writing
from rankscope.store.jobs import JobState
from rankscope.store.lease_watch import LeaseWatch, Watch
from rankscope.store.leases import JOBS, RUNS
from rankscope.store.queue import reap

logger = logging.getLogger(__name__)

_LEASES = 2


class Reaper:
    """Calls `ring` in the event loop with the id of each run that was taken back."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        ring: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._ring = ring
        self._clock = clock
        self.watch = LeaseWatch(_LEASES * settings.lease_s)
        self._job_leases = LeaseWatch(_LEASES * settings.lease_s)
        self._jobs_without_worker: Watch[JobState] = Watch(lambda job: job.longest_s)

    async def run(self) -> None:
        """Checks six times per lease period until cancelled. Errors of the database are logged, and the next check follows."""
        while True:
            await asyncio.sleep(self._settings.lease_s / 6)
            try:
                reaped = await asyncio.to_thread(self.reap)
                await asyncio.to_thread(self.reap_jobs)
            except SQLAlchemyError as error:
                logger.warning("The database is unreachable; leases are not checked until it is back: %s", error)
                continue
            except Exception:
                logger.exception("Checking the leases failed; trying again at the next interval.")
                continue
            for run_id in reaped:
                logger.warning("Run %s lost its worker, and no other worker is online; it waits for one.", run_id)
                self._ring(run_id)

    def reap(self) -> list[str]:
        """Checks the leases of runs once. Returns the ids of the runs that were taken back; writes nothing if there are none."""
        with reading(self._engine) as session:
            lapsed = self.watch.lapsed(RUNS.held(session), self._clock())
        if not lapsed:
            return []
        with writing(self._engine) as session:
            return reap(session, now=time.time(), max_lost_workers=self._settings.max_lost_workers, lapsed=lapsed)

    def reap_jobs(self) -> None:
        """Checks jobs once: requeues those of lost workers, fails those that waited too long, and deletes old ones."""
        with reading(self._engine) as session:
            lapsed = self._job_leases.lapsed(JOBS.held(session), self._clock())
            overdue = self._jobs_without_worker.unchanged(jobs.without_worker(session), self._clock())
        if not lapsed and not overdue:
            return
        with writing(self._engine) as session:
            now = time.time()
            jobs.reap(session, now=now, lapsed=lapsed)
            jobs.clean_up(session, overdue, now=now)
