"""The server's reaper: takes runs and jobs from workers that are gone, when no other worker does it; cleans up old jobs.

Workers do it at every heartbeat, after one lease. The server waits for two, so that it acts only where no worker has:
without it, a run whose only worker is gone would say "running" until a worker comes.
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
    """`ring` is called in the event loop with the id of each run that was taken back."""

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
        self._resting_jobs: Watch[JobState] = Watch(lambda job: job.longest_s)

    async def reap_on(self) -> None:
        """Looks six times a lease, until cancelled; a database that is away is asked again."""
        while True:
            await asyncio.sleep(self._settings.lease_s / 6)
            try:
                reaped = await asyncio.to_thread(self.reap)
                await asyncio.to_thread(self.look_at_jobs)
            except SQLAlchemyError as error:
                logger.warning("The database does not answer, so no lease is looked at now: %s", error)
                continue
            except Exception:
                logger.exception("A look at the leases failed; the next one follows.")
                continue
            for run_id in reaped:
                logger.warning("Run %s lost its worker, and no other worker is here; it waits to be resumed.", run_id)
                self._ring(run_id)

    def reap(self) -> list[str]:
        """One look; returns the runs that were taken back. Nothing is written when there are none."""
        with reading(self._engine) as session:
            lapsed = self.watch.lapsed(RUNS.held(session), self._clock())
        if not lapsed:
            return []
        with writing(self._engine) as session:
            return reap(session, now=time.time(), max_lost_workers=self._settings.max_lost_workers, lapsed=lapsed)

    def look_at_jobs(self) -> None:
        """One look: jobs of workers that are gone, jobs that have waited too long, jobs that ended long ago."""
        with reading(self._engine) as session:
            lapsed = self._job_leases.lapsed(JOBS.held(session), self._clock())
            overdue = self._resting_jobs.unchanged(jobs.resting(session), self._clock())
        if not lapsed and not overdue:
            return
        with writing(self._engine) as session:
            now = time.time()
            jobs.reap(session, now=now, lapsed=lapsed)
            jobs.clean_up(session, overdue, now=now)
