"""ExperimentDriver: advances the experiments of an installation for as long as the server runs."""

import asyncio
import logging
import time

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope.catalog import Catalog
from rankscope.launch.enqueue import Nudger
from rankscope.launch.experiments.advance import advance
from rankscope.settings import Settings
from rankscope.store.database.engine import reading
from rankscope.store.experiments.steps import active

logger = logging.getLogger(__name__)


class ExperimentDriver:
    """Every server of an installation may have one: they do not disturb each other (see `advance`)."""

    def __init__(self, engine: Engine, settings: Settings, catalog: Catalog, nudger: Nudger) -> None:
        self._engine = engine
        self._settings = settings
        self._catalog = catalog
        self._nudger = nudger

    async def run(self) -> None:
        """Looks for ended trials fifteen times per lease period until cancelled."""
        while True:
            await asyncio.sleep(self._settings.lease_s / 15)
            try:
                await asyncio.to_thread(self.advance_all)
            except SQLAlchemyError as error:
                logger.warning("The database is unreachable; experiments wait until it is back: %s", error)
            except Exception:
                logger.exception("Looking for experiments failed; trying again at the next interval.")

    def advance_all(self) -> int:
        """Advances every experiment once; one that can't be advanced does not hold up the others. Returns launched runs."""
        with reading(self._engine) as session:
            ids = active(session)
        launched = 0
        for experiment_id in ids:
            try:
                done = advance(self._engine, self._settings, self._catalog, experiment_id, now=time.time())
            except SQLAlchemyError:
                raise
            except Exception:
                logger.exception("Experiment %s can't be advanced; trying again at the next interval.", experiment_id)
                continue
            launched += done.launched
        for _ in range(launched):
            if not self._nudger.nudge():
                break
        return launched
