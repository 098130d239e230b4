"""The worker's database. A worker accepts only the schema version that it knows; the server migrates."""

import logging

from sqlalchemy import Engine

from rankscope.settings import Settings
from rankscope.store.database import readiness


def open_database(settings: Settings) -> Engine:
    """The engine of a database that responds, has this version's schema and accepts writes; otherwise StartupError."""
    # Alembic logs the kind of the database at INFO.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return readiness.open_database(settings.resolved_database_url, migrates=False)
