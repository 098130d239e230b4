"""The worker's database: a worker works with the schema that it knows, and no other. Migrating is the server's business."""

import logging

from sqlalchemy import Engine

from rankscope.settings import Settings
from rankscope.store.database import readiness


def open_database(settings: Settings) -> Engine:
    """The engine of a database that answers, has this version's schema and takes a write; else StartupError."""
    # Alembic logs the kind of the database at INFO.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return readiness.open_database(settings.resolved_database_url, migrates=False)
