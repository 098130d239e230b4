"""The database schema: migrated at start-up, refused if it is newer than this version."""

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from rankscope.contract.errors import StartupError

_MIGRATIONS = Path(__file__).parents[1] / "migrations"


def migrate(engine: Engine) -> None:
    """Runs the missing migrations. If several processes call it, a lock in the database lets only one of them migrate.

    Raises StartupError for a database of a newer version.
    """
    with engine.execution_options(rankscope_write=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            # Held until the transaction ends. Any constant works if every process uses the same one.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7242531)")
        config = _config()
        scripts = ScriptDirectory.from_config(config)
        current = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in scripts.walk_revisions()}
        if current is not None and current not in known:
            raise StartupError(
                f"The database has schema {current}, which this version of RankScope does not know. "
                "It was written by a newer version. Start that version, or restore a backup made before the upgrade."
            )
        if current is None and inspect(connection).has_table("run"):
            raise StartupError("The database has tables but no schema version, so it is damaged. Restore a backup.")
        if current != scripts.get_current_head():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def check_current(engine: Engine) -> None:
    """Raises StartupError unless the database is reachable and has exactly this version's schema."""
    where = engine.url.set(query={}).render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    except (SQLAlchemyError, sqlite3.Error, CommandError, OSError) as error:
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        raise StartupError(
            f"The database {where} is unreachable ({cause}). Start it, or set RANKSCOPE_DATABASE_URL."
        ) from error
    scripts = ScriptDirectory(str(_MIGRATIONS))
    if current is None:
        raise StartupError(
            f"The database {where} has no tables yet. Start the RankScope server once, which creates them."
        )
    if current not in {script.revision for script in scripts.walk_revisions()}:
        raise StartupError(
            f"The database {where} has schema {current}, which a newer RankScope wrote. Start that version instead."
        )
    if current != scripts.get_current_head():
        raise StartupError(
            f"The database {where} has the older schema {current}. Start this version of the RankScope server once, "
            "which migrates it."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
