"""The worker's database. A worker accepts only the schema version that it knows; only the server migrates."""

import logging

from sqlalchemy import Engine

from rankscope.settings import Settings
from rankscope.store.database import readiness


def open_database(settings: Settings) -> Engine:
    """Returns the engine of a writable database with this version's schema. Raises StartupError otherwise."""
    # Alembic logs the kind of the database at INFO.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return readiness.open_database(settings.resolved_database_url, migrates=False)
