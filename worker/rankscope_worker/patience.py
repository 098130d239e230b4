"""Waits for a database that is locked, restarting or unreachable."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

_log = logging.getLogger(__name__)

DATABASE_TROUBLE = (OperationalError, InterfaceError)
"""What SQLAlchemy raises if the server is unreachable or the file is locked: worth a retry."""

Result = TypeVar("Result")


def patiently(action: Callable[[], Result], is_hopeless: Callable[[], bool], longest_wait_s: float = 2.0) -> Result:
    """Retries `action` through database errors, with growing waits, until it succeeds or `is_hopeless()`; then raises."""
    wait_s = min(0.1, longest_wait_s)
    while True:
        try:
            return action()
        except DATABASE_TROUBLE as error:
            if is_hopeless():
                raise
            _log.warning("The database does not respond; retrying: %s", error.orig)
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, longest_wait_s)
