"""The worker's database: a worker works with the schema that it knows, and no other. Migrating is the server's business."""

import logging
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from rankscope.contract.errors import StartupError
from rankscope.settings import Settings
from rankscope.store import migrations
from rankscope.store.engine import create_engine


def open_database(settings: Settings) -> Engine:
    """The engine of a database that answers and has this version's schema; else StartupError."""
    # Alembic tells at INFO what kind of database it sees.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        engine = create_engine(settings.resolved_database_url)
    except (OSError, ArgumentError) as error:
        raise StartupError(f"The database cannot be opened ({error}); check RANKSCOPE_DATABASE_URL.") from error
    check_schema(engine)
    return engine


def check_schema(engine: Engine) -> None:
    """StartupError, in one sentence, unless the database answers and has exactly this version's schema."""
    where = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    except (SQLAlchemyError, OSError) as error:
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        raise StartupError(
            f"The database {where} cannot be reached ({cause}); start it, or set RANKSCOPE_DATABASE_URL."
        ) from error
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    if current is None:
        raise StartupError(
            f"The database {where} has no tables yet; start the RankScope server once, which makes them."
        )
    if current not in {script.revision for script in scripts.walk_revisions()}:
        raise StartupError(
            f"The database {where} has schema {current}, which a newer RankScope wrote; start that version of the worker."
        )
    if current != scripts.get_current_head():
        raise StartupError(
            f"The database {where} has the older schema {current}; start this version of the RankScope server once, "
            "which brings it up to date."
        )
