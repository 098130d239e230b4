"""TrialDriver: advances experiments and sweeps for as long as the server runs."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from rankscope.launch.enqueue import Nudger
from rankscope.settings import Settings
from rankscope.store.database.engine import reading

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Driven:
    """Something that launches runs and plans the next ones from those that have ended: experiments, sweeps."""

    name: str
    """Its name in the log."""
    active: Callable[[Session], Sequence[str]]
    """Returns the ids of those that may need a next step."""
    advance: Callable[[str, float], int]
    """Does what can be done now, given an id and the time. Returns the number of launched runs. May be called by several
    servers at once."""


class TrialDriver:
    """Every server of an installation may have one: they don't interfere (see `Driven.advance`)."""

    def __init__(self, engine: Engine, settings: Settings, nudger: Nudger, kinds: Sequence[Driven]) -> None:
        self._engine = engine
        self._settings = settings
        self._nudger = nudger
        self._kinds = kinds

    async def run(self) -> None:
        """Looks for ended trials fifteen times per lease period until cancelled."""
        while True:
            await asyncio.sleep(self._settings.lease_s / 15)
            try:
                await asyncio.to_thread(self.advance_all)
            except SQLAlchemyError as error:
                logger.warning("The database is unreachable; experiments and sweeps wait until it is back: %s", error)
            except Exception:
                logger.exception("Looking for ended trials failed; trying again at the next interval.")

    def advance_all(self) -> int:
        """Advances each of them once; a failure of one does not block the others. Returns launched runs."""
        with reading(self._engine) as session:
            found = [(kind, one) for kind in self._kinds for one in kind.active(session)]
        launched = 0
        for kind, one in found:
            try:
                launched += kind.advance(one, time.time())
            except SQLAlchemyError:
                raise
            except Exception:
                logger.exception("%s %s can't be advanced; trying again at the next interval.", kind.name, one)
        for _ in range(launched):
            if not self._nudger.nudge():
                break
        return launched
