"""Restores a backup file, which is not trusted, to this installation's database and data folder, completely or not at all.

The file is unpacked and checked in a temporary folder inside the data folder, and then swapped in. Names in the file decide
where it is written only below `runs/RUN/`, where they are checked. Links and special files are refused.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from sqlalchemy import (
    delete,
    func,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from rankscope.backup.contents import DATABASE, RUNS, TABLES, BackupNote
from rankscope.backup.rows import check_database, copy_checked
from rankscope.backup.unpack import Refused, unpack
from rankscope.contract import tables
from rankscope.contract.errors import StartupError
from rankscope.data_folder import exclusive, restoring
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.readiness import line_of, open_database


def restore_backup(settings: Settings, source: Path, *, replace: bool = False) -> BackupNote:
    """Restores a backup to this installation's database and data folder, in one transaction. Returns its description.

    The database must not have any runs, unless `replace` is set: then they are removed, and their files are moved to a
    separate folder, not deleted. A backup of an older version is migrated; one of a newer version is refused. Raises
    StartupError with one sentence.
    """
    changed = "nothing was changed"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            exclusive(settings.data_dir),
            tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as name,
        ):
            working = Path(name)
            try:
                note = unpack(source, working)
                check_database(working / DATABASE, note)
            except Refused as error:
                raise StartupError(
                    f"{source} is not a complete RankScope backup: {error}. Nothing was changed."
                ) from error
            engine = open_database(settings.resolved_database_url, migrates=True)
            copy = create_engine(f"sqlite:///{working / DATABASE}")
            try:
                with restoring(settings.data_dir):
                    swap = _Swap(settings, working / RUNS)
                    try:
                        with reading(copy) as old, writing(engine) as new:
                            _make_empty(new, replace=replace, lease_s=settings.lease_s)
                            _keep_known(working / RUNS, copy_checked(old, new))
                            swap.do()
                    except BaseException:
                        changed = swap.undo()
                        raise
            except Refused as error:
                raise StartupError(
                    f"{source} is not a complete RankScope backup: {error}. Nothing was changed."
                ) from error
            finally:
                copy.dispose()
                engine.dispose()
    except (OSError, SQLAlchemyError, sqlite3.Error, LookupError, ValueError) as error:
        raise StartupError(f"The backup can't be restored, and {changed}: {line_of(error)}") from error
    return note


def _make_empty(session: Session, *, replace: bool, lease_s: float) -> None:
    count = session.scalar(select(func.count()).select_from(tables.Run)) or 0
    if count and not replace:
        raise StartupError(
            f"The database already has {count} run(s). Restore to an empty installation, or use --replace, which removes "
            "them and moves their files to a separate folder."
        )
    owned = [row.id for row in session.scalars(select(tables.Run)) if row.status.is_owned]
    if owned:
        raise StartupError(f"Run {owned[0]} is on a worker; stop all workers before you replace its database.")
    if session.connection().dialect.name == "postgresql":  # workers on other hosts may see another data folder
        for worker, _ in workers.list_workers(session):
            if workers.state(worker, now=time.time(), lost_after_s=lease_s) in ("online", "outdated"):
                raise StartupError(f"Worker {worker.name!r} is running; stop all workers before you restore.")
    session.execute(delete(tables.Job))
    for table in reversed(TABLES):
        session.execute(delete(table))


def _keep_known(restored: Path, known: set[str]) -> None:
    """Deletes files of runs that were created after the database was copied: they are not in the tables."""
    if restored.is_dir():
        for folder in restored.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder)


class _Swap:
    """Replaces the runs' files with the restored ones. The old ones are moved away, and moved back if the commit fails."""

    def __init__(self, settings: Settings, restored: Path) -> None:
        self._runs, self._restored = settings.runs_dir, restored
        self._aside = settings.data_dir / f"runs-before-restore-{time.time_ns()}"
        self._was_set_aside = self._is_placed = False

    def do(self) -> None:
        """Moves the files; called last before the commit. A link at `runs` is renamed, not followed."""
        if os.path.lexists(self._runs):
            if not self._runs.is_symlink() and self._runs.is_dir() and not any(self._runs.iterdir()):
                self._runs.rmdir()
            else:
                os.rename(self._runs, self._aside)
                self._was_set_aside = True
        self._restored.mkdir(exist_ok=True, mode=0o700)
        os.rename(self._restored, self._runs)
        self._is_placed = True

    def undo(self) -> str:
        """Moves everything back. Returns the resulting state, for the error message."""
        try:
            if self._is_placed:
                os.rename(self._runs, self._restored)
            if self._was_set_aside:
                os.rename(self._aside, self._runs)
            else:
                self._runs.mkdir(exist_ok=True)
        except OSError as error:
            return f"the runs' files are now in {self._aside} ({error.strerror}); move them back to {self._runs}"
        return "nothing was changed"
