"""Migrations: both ways, on both databases, equal to the tables."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, select
from sqlmodel import SQLModel

from rankscope.contract import tables
from rankscope.contract.errors import StartupError
from rankscope.store.engine import create_engine
from rankscope.store.schema import _config, migrate
from tests.backend.store_setup import append, losses, modules, queued_run, read_run, training_run

ADDED = {"run": {"cause", "parent_id", "parent_step", "steer_requests"}}
"""Columns that not every revision has."""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without any table."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        new_postgres: Callable[[], str] = request.getfixturevalue("new_postgres")
        url = new_postgres()
    engine = create_engine(url)
    yield engine
    engine.dispose()


def test_migrated_database_equals_the_tables(empty: Engine) -> None:
    migrate(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    migrate(empty)  # a second start changes nothing


def test_migrations_go_down_to_nothing_and_up_again(empty: Engine) -> None:
    migrate(empty)
    config = _config()
    with empty.execution_options(rankscope_write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(empty).get_table_names()) <= {"alembic_version"}
    migrate(empty)
    assert {tables.Run.__tablename__, tables.Event.__tablename__} <= set(inspect(empty).get_table_names())


def test_migrations_keep_every_row_on_their_way_down_and_up(empty: Engine) -> None:
    migrate(empty)
    claimed = training_run(empty)
    append(empty, claimed, [*losses(1, 2, 3), modules()])
    queued_run(empty, now=9)

    def rows() -> dict[str, list[tuple[object, ...]]]:
        kept = {}
        with empty.connect() as connection:
            for table in SQLModel.metadata.sorted_tables:
                columns = [column for column in table.columns if column.name not in ADDED.get(table.name, ())]
                kept[table.name] = sorted(map(tuple, connection.execute(select(*columns))), key=str)
        return kept

    before = rows()
    assert [len(before[name]) for name in ("run", "attempt", "event")] == [2, 1, 8]
    for revision in ("0001", "head", "0001", "head"):
        config = _config()
        with empty.execution_options(rankscope_write=True).begin() as connection:
            config.attributes["connection"] = connection
            (command.upgrade if revision == "head" else command.downgrade)(config, revision)
        names = {column["name"] for column in inspect(empty).get_columns("run")}
        assert ("steer_requests" in names) == (revision == "head")
        assert rows() == before
    run = read_run(empty, claimed.run_id)
    assert (run.parent_id, run.steer_requests, run.cause) == (None, [], None)
    append(empty, claimed, losses(4))


def test_newer_schema_is_refused_in_one_sentence(empty: Engine) -> None:
    migrate(empty)
    with empty.execution_options(rankscope_write=True).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartupError, match=r"9999.*newer"):
        migrate(empty)


def test_unknown_kind_of_database_is_refused_without_its_password() -> None:
    with pytest.raises(StartupError) as refused:
        create_engine("mysql://me:secret@host/name")
    assert "secret" not in str(refused.value)
