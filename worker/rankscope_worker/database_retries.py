"""Retries while the database is locked, restarting or unreachable."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

_log = logging.getLogger(__name__)

DATABASE_ERRORS = (OperationalError, InterfaceError)
"""Errors of SQLAlchemy if the server is unreachable or the file is locked. These errors are retried."""

Result = TypeVar("Result")


def retry_on_database_errors(
    action: Callable[[], Result], should_give_up: Callable[[], bool], longest_wait_s: float = 2.0
) -> Result:
    """Retries `action` after database errors with exponential backoff. Raises the last error once `should_give_up()`."""
    wait_s = min(0.1, longest_wait_s)
    while True:
        try:
            return action()
        except DATABASE_ERRORS as error:
            if should_give_up():
                raise
            _log.warning("The database does not respond; retrying: %s", error.orig)
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, longest_wait_s)
