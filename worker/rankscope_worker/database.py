"""The worker's database: a worker works with the schema that it knows, and no other. Migrating is the server's business."""

import logging

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from rankscope.contract.errors import StartupError
from rankscope.settings import Settings
from rankscope.store.engine import create_engine
from rankscope.store.schema import check_current


def open_database(settings: Settings) -> Engine:
    """The engine of a database that answers and has this version's schema; else StartupError."""
    # Alembic tells at INFO what kind of database it sees.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        engine = create_engine(settings.resolved_database_url)
    except (OSError, ArgumentError) as error:
        raise StartupError(f"The database cannot be opened ({error}); check RANKSCOPE_DATABASE_URL.") from error
    check_current(engine)
    return engine
