"""Backups: a consistent state of a database that is being written, readable by either kind, complete or rejected."""

import hashlib
import json
import shutil
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from alembic import command
from pydantic import JsonValue
from sqlalchemy import Engine, select
from sqlmodel import SQLModel

from rankscope.backup.restore import restore_backup
from rankscope.backup.write import write_backup
from rankscope.contract.errors import StartupError
from rankscope.contract.events import CheckpointEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Event, Run
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.config_values import store_config_values
from rankscope.store.database.engine import create_engine, writing
from rankscope.store.database.schema import _config, migrate
from rankscope.store.history.chunks import EVENTS_A_CHUNK
from tests.backend.store_setup import (
    append,
    experiment_with_trial,
    losses,
    metric,
    modules,
    queued_run,
    read_run,
    sequence,
    sweep_with_trial,
    training_run,
)
from tests.forked_commands import Ended, ForkedCommands

CHUNKED = 2 * EVENTS_A_CHUNK
"""More events than the number that stays unpacked."""
Make = Callable[[str], Settings]


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Settings of an empty installation on either database."""
    made: list[str] = []

    def make(kind: str) -> Settings:
        made.append(kind)
        url = request.getfixturevalue("new_postgres")() if kind == "postgresql" else ""
        folder = tmp_path / f"data{len(made)}"
        folder.mkdir()
        return Settings(_env_file=None, data_dir=folder, database_url=url)

    return make


def fill(settings: Settings, *, with_chunks: bool = False, with_experiment: bool = True) -> tuple[str, str]:
    """Creates a training run with files and a waiting run, and returns their ids."""
    engine = create_engine(settings.resolved_database_url)
    migrate(engine)
    claimed = training_run(engine)
    odd = metric("eval_loss", 3, float("nan"))
    append(engine, claimed, [modules(), *losses(1, 2, 3), odd, CheckpointEvent(step=2, size_bytes=9)])
    if with_chunks:
        append(engine, claimed, [metric("grad_norm", step, step / 7) for step in range(CHUNKED)])
    waiting = queued_run(engine, now=1234567890.123456, notes="ä\n€ \U0001f600", tags=["x"])
    if with_experiment:
        experiment_with_trial(engine, run_id=claimed.run_id)
        sweep_with_trial(engine, run_id=claimed.run_id)
    engine.dispose()
    for step in (2, 4):  # step 4: published, and not recorded yet
        folder = settings.checkpoint_dir(claimed.run_id, 1, step)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(f'{{"step": {step}}}')
    (settings.attempt_dir(claimed.run_id, 1) / "log.txt").write_text("line\n")
    return claimed.run_id, waiting


def _in_order(value: Any) -> Any:
    """The value with the keys of its JSON objects sorted: a migration may write them in another order."""
    return {key: _in_order(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def rows(settings: Settings, *, decoded: bool = False) -> dict[str, list[Any]]:
    """`decoded`: with the events' texts as values, whatever their formatting."""
    engine = create_engine(settings.resolved_database_url)
    with engine.connect() as connection:
        every = {
            table.name: sorted(
                str([_in_order(value) for value in row])
                # Numbers of changes belong to the database and start again.
                for row in connection.execute(select(*(each for each in table.c if each.name != "changed")))
            )
            for table in SQLModel.metadata.sorted_tables
        }
        if decoded:
            found = connection.execute(select(Event.__table__))  # type: ignore[attr-defined]
            every["event"] = sorted(str([*row[:-1], _in_order(json.loads(row.payload))]) for row in found)
    engine.dispose()
    return every


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_every_row_and_file_comes_back_on_either_database(make: Make, tmp_path: Path, source: str, target: str) -> None:
    old, new, file = make(source), make(target), tmp_path / "b.tar.gz"
    run_id, waiting = fill(old, with_chunks=True)
    note = write_backup(old, file)
    assert (note.runs, note.events) == (2, 10 + CHUNKED)
    assert restore_backup(new, file) == note
    assert rows(new) == rows(old)
    assert len(rows(new)["chunk"]) == 3
    attempt = new.attempt_dir(run_id, 1)
    assert (attempt / "log.txt").read_text() == "line\n"
    assert [path.name for path in (attempt / "checkpoints").iterdir()] == ["step-2"]
    assert [path.name for path in old.data_dir.iterdir() if path.name.startswith(".")] == []
    assert [path.name for path in new.data_dir.iterdir() if path.name.startswith(".")] == []
    engine = create_engine(new.resolved_database_url)
    run = read_run(engine, waiting)
    assert (run.notes, run.queue_order, run.status) == ("ä\n€ \U0001f600", 1234567890.123456, RunStatus.queued)
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_made_while_events_are_written_has_no_gap(make: Make, tmp_path: Path, kind: str) -> None:
    old, new, file = make(kind), make("sqlite"), tmp_path / "b.tar.gz"
    engine = create_engine(old.resolved_database_url)
    migrate(engine)
    claimed = training_run(engine)
    append(engine, claimed, losses(*range(1, 3000)))
    ended = threading.Event()
    written: list[int] = []

    def write() -> None:
        step = 3000
        while not ended.is_set():
            written.append(append(engine, claimed, losses(*range(step, step + 10))))
            step += 10

    writer = threading.Thread(target=write)
    writer.start()
    try:
        note = write_backup(old, file)
    finally:
        ended.set()
        writer.join()
    assert len(written) > 1, "nothing was written meanwhile"
    restore_backup(new, file)
    restored = create_engine(new.resolved_database_url)
    numbers = sequence(restored, claimed.run_id)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == note.events == read_run(restored, claimed.run_id).last_seq
    # The run was on a worker that no longer exists: it is taken back and continues.
    restored.dispose()
    engine.dispose()


def test_an_installation_with_runs_is_replaced_only_on_request_and_its_files_are_kept(
    make: Make, tmp_path: Path
) -> None:
    old, new, file = make("sqlite"), make("sqlite"), tmp_path / "b.tar.gz"
    fill(old)
    write_backup(old, file)
    mine, other = fill(new)
    with pytest.raises(StartupError, match=r"already has 2 run\(s\).*--replace"):
        restore_backup(new, file)
    with pytest.raises(StartupError, match=f"Run {mine} is on a worker; stop all workers"):
        restore_backup(new, file, replace=True)
    engine = create_engine(new.resolved_database_url)
    with writing(engine) as session:
        runs.transition(session, runs.get_run(session, mine), RunStatus.stopped, now=9)
    engine.dispose()
    restore_backup(new, file, replace=True)
    assert rows(new) == rows(old)
    (aside,) = new.data_dir.glob("runs-before-restore-*")
    assert [path.name for path in aside.iterdir()] == [mine]
    assert other not in str(rows(new))


def test_incomplete_backup_is_refused_and_changes_nothing(make: Make, tmp_path: Path) -> None:
    old, new, file = make("sqlite"), make("sqlite"), tmp_path / "b.tar.gz"
    fill(old)
    write_backup(old, file)
    with pytest.raises(StartupError, match="already exists"):
        write_backup(old, file)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    other = tmp_path / "other.tar.gz"
    with tarfile.open(other, "w:gz") as archive:
        archive.add(__file__, "something.py")
    tampered = tmp_path / "tampered.tar.gz"
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "x", filter="data")
    with (tmp_path / "x" / "database.db").open("ab") as database:
        database.write(b"more")
    with tarfile.open(tampered, "w:gz") as archive:
        archive.add(tmp_path / "x", ".")
    for broken, words in (
        (cut, "not a complete RankScope backup"),
        (other, "not a complete RankScope backup"),
        (tampered, "is damaged"),
        (tmp_path, "not a complete RankScope backup"),
    ):
        with pytest.raises(StartupError, match=words):
            restore_backup(new, broken)
    assert [path.name for path in new.data_dir.iterdir()] == ["in-use.lock"]


def as_earlier_versions_did(settings: Settings) -> None:
    """Rewrites the runs' configurations as the migration rewrites those of an earlier version."""
    engine = create_engine(settings.resolved_database_url)
    with writing(engine) as session:
        for run in session.scalars(select(Run)):
            before = cast(dict[str, JsonValue], run.config["method"])
            method = {name: value for name, value in before.items() if name != "pruning_phase"}
            method |= {"init": "small_random", "pruning_phase": "absolute"}
            tasked = cast(dict[str, JsonValue], run.config["task"])
            task = {name: value for name, value in tasked.items() if name != "headline_metric"}
            run.config = {**run.config, "method": method, "task": task}
            store_config_values(session, run.id, run.config)
    engine.dispose()


def test_a_backup_of_another_version_is_brought_up_to_date_or_refused(make: Make, tmp_path: Path) -> None:
    old, file = make("sqlite"), tmp_path / "b.tar.gz"
    fill(old, with_experiment=False)
    as_earlier_versions_did(old)
    write_backup(old, file)
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "x", filter="data")

    def repacked(change: Callable[[Engine], None], name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(tmp_path / "x", folder)
        engine = create_engine(f"sqlite:///{folder / 'database.db'}")
        change(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
        engine.dispose()
        note = json.loads((folder / "backup.json").read_text())
        note["sha256"] = hashlib.sha256((folder / "database.db").read_bytes()).hexdigest()
        (folder / "backup.json").write_text(json.dumps(note))
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
            for path in folder.iterdir():
                archive.add(path, path.name)
        return tmp_path / f"{name}.tar.gz"

    def back(engine: Engine) -> None:
        config = _config()
        with engine.execution_options(rankscope_write=True).begin() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")

    def ahead(engine: Engine) -> None:
        with engine.execution_options(rankscope_write=True).begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    new = make("sqlite")
    restore_backup(new, repacked(back, "older"))
    assert rows(new, decoded=True) == rows(old, decoded=True)  # downgrading and upgrading rewrites the events
    with pytest.raises(StartupError, match="newer"):
        restore_backup(make("sqlite"), repacked(ahead, "newer"))


def test_the_commands_say_what_they_did_in_one_line(make: Make, tmp_path: Path, forked: ForkedCommands) -> None:
    old, new, file = make("sqlite"), make("sqlite"), tmp_path / "b.tar.gz"
    fill(old)

    def run(settings: Settings, *arguments: str) -> Ended:
        (ended,) = forked.run([["rankscope", *arguments]], settings.as_environment())
        return ended

    assert run(old, "backup", str(file)).output.startswith(f"{file}: 2 runs, 10 events, ")
    assert run(new, "restore", str(file)).output == "2 runs and 10 events restored.\n"
    again = run(new, "restore", str(file))
    assert (again.code, again.errors.count("\n")) == (1, 1)
    assert "already has 2 run(s)" in again.errors
    empty = run(make("sqlite"), "backup", str(tmp_path / "c.tar.gz"))
    assert empty.code == 1
    assert "has no tables yet" in empty.errors
