"""Migrations: both ways, on both databases, equal to the tables."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, Engine, column, inspect, select, table, text
from sqlmodel import SQLModel, col

from rankscope.contract import tables
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import StartupError
from rankscope.contract.events import ArtifactEvent, MetricsEvent
from rankscope.contract.presets import presets
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.schema import _config, migrate
from rankscope.store.history import chunks, events
from tests.backend.store_setup import (
    append,
    begin,
    claim,
    losses,
    metric,
    modules,
    points_of,
    queued_run,
    read_run,
    training_run,
)

ADDED = {
    "run": {
        "cause",
        "parent_id",
        "parent_step",
        "steer_requests",
        "chunked_seq",
        "config",
        "task",
        "headline_metric",
        "memory_estimate",
        "tags",
        "project",
        "archived_at",
        "changed",
    },
    "event": {"name", "value"},
    "worker": {"memory_bytes", "free_memory_bytes", "is_outdated"},
}
"""Columns that not every revision has, or whose content has changed between revisions (tested separately)."""

NEW_TABLES = {
    "chunk",
    "event",
    "job",
    "experiment",
    "trial",
    "trial_rows",
    "experiment_answer",
    "sweep",
    "sweep_trial",
    "saved_view",
    "deleted_run",
    "probe",
}
"""Tables that not every revision has, or whose rows are compared separately."""


FILLED = ("run_tag", "run_metric", "evaluation_point", "config_value")
"""Tables that not every revision has, and that their migration fills (tested separately)."""


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


def go_to(engine: Engine, revision: str) -> None:
    config = _config()
    with engine.execution_options(rankscope_write=True).begin() as connection:
        config.attributes["connection"] = connection
        (command.upgrade if revision == "head" else command.downgrade)(config, revision)


def test_migrations_keep_every_row_down_and_up(empty: Engine) -> None:
    migrate(empty)
    claimed = training_run(empty)
    odd = [metric("x", 4, value) for value in (math.nan, math.inf, 0.1 + 0.2, 5e-324)]
    wide = MetricsEvent(step=5, values={"x": 1.0, "y": math.nan})
    artifact = ArtifactEvent(name="adapter", step=5, size_bytes=1, kept_parameters=2)
    append(empty, claimed, [*losses(1, 2, 3), *odd, wide, modules(), artifact])
    queued_run(empty, now=9)

    def rows() -> dict[str, list[tuple[object, ...]]]:
        kept = {}
        with empty.connect() as connection:
            for table in SQLModel.metadata.sorted_tables:
                if table.name in (*NEW_TABLES, *FILLED):
                    continue
                columns = [column for column in table.columns if column.name not in ADDED.get(table.name, ())]
                kept[table.name] = sorted(map(tuple, connection.execute(select(*columns))), key=str)
        return kept

    def recorded() -> list[dict[str, Any]]:
        with reading(empty) as session:
            return events.read_after(session, claimed.run_id, 0)

    before, events_before = rows(), recorded()
    assert [len(before[name]) for name in ("run", "attempt")] == [2, 1]
    assert len(events_before) == 13
    for revision in ("0001", "head", "0002", "head"):
        go_to(empty, revision)
        is_head = revision == "head"
        names = {column["name"] for column in inspect(empty).get_columns("run")}
        assert ("steer_requests" in names) == (revision != "0001")
        assert ("chunked_seq" in names) == inspect(empty).has_table("chunk") == is_head
        columns = {column["name"] for column in inspect(empty).get_columns("event")}
        assert ({"name", "value"} <= columns) == (not is_head)
        assert rows() == before
        if is_head:
            assert recorded() == events_before
    run = read_run(empty, claimed.run_id)
    assert (run.parent_id, run.steer_requests, run.cause, run.chunked_seq) == (None, [], None, 0)
    append(empty, claimed, losses(4))


def test_a_configuration_goes_back_to_the_form_without_a_task_and_opens_again(empty: Engine) -> None:
    migrate(empty)
    run_id = queued_run(empty)
    before = read_run(empty, run_id)
    go_to(empty, "0004")
    with empty.connect() as connection:
        stored = connection.execute(select(col(tables.Run.config))).scalar_one()
    assert "task" not in stored
    data = stored["data"]
    assert isinstance(data, dict)
    assert data.keys() >= {"text_columns", "label_column"}
    go_to(empty, "head")
    after = read_run(empty, run_id)
    assert after.task == before.task
    assert RunConfig.stored(after.config) == RunConfig.stored(before.config)


def test_narrow_metric_rows_become_wide_and_are_restored_bit_for_bit(empty: Engine) -> None:
    migrate(empty)
    claimed = training_run(empty)
    values = [math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324, 1.0]
    append(empty, claimed, [metric("x", step, value) for step, value in enumerate(values)])
    append(empty, claimed, [ArtifactEvent(name="adapter", step=5, size_bytes=1, kept_parameters=2)])
    append(empty, claimed, [MetricsEvent(step=6, values={"x": 1.0, "y": 2.0})])
    go_to(empty, "0002")
    query = text(
        "SELECT kind, name, step, value, payload FROM event WHERE kind IN ('metric', 'metrics', 'artifact') ORDER BY seq"
    )

    def payload(stored: Any) -> Any:
        return json.loads(stored) if isinstance(stored, str) else stored

    with empty.connect() as connection:
        rows = [(*row[:4], payload(row[4])) for row in connection.execute(query)]
    assert rows == [
        ("metric", "x", 0, None, {"value": "NaN"}),
        ("metric", "x", 1, None, {"value": "Infinity"}),
        ("metric", "x", 2, None, {"value": "-Infinity"}),
        *[("metric", "x", step, values[step], None) for step in (3, 4, 5)],
        ("artifact", "adapter", 5, None, {"size_bytes": 1, "kept_parameters": 2}),
        ("metrics", None, 6, None, {"values": {"x": 1.0, "y": 2.0}}),
    ]
    go_to(empty, "head")
    expected = ["NaN", "Infinity", "-Infinity", *values[3:], 1.0]
    assert points_of(empty, claimed.run_id, "x") == list(enumerate(expected))


def test_stored_runs_keep_the_start_and_the_pruning_steps_that_they_were_launched_with(empty: Engine) -> None:
    migrate(empty)
    own: dict[str, dict[str, Any]] = {
        "paper": {
            "name": "dynamic_rank",
            "target_rank": 2,
            "prune_interval": 9,
            "init": "small_random",
            "pruning_phase": "absolute",
        },
        "zero_b": {
            "name": "dynamic_rank",
            "target_rank": 2,
            "prune_interval": 9,
            "init": "zero_b",
            "pruning_phase": "absolute",
        },
        "adalora": {"name": "adalora", "target_rank": 2, "prune_interval": 9},
        "lora": {"name": "lora", "rank": 2},
    }
    ids = {}
    for name, method in own.items():
        config = presets()[0].config.model_dump(mode="json") | {"method": method}
        with writing(empty) as session:
            ids[name] = runs.create_run(session, RunConfig.model_validate(config), now=1.0).id
    before = {name: read_run(empty, run_id).config for name, run_id in ids.items()}
    go_to(empty, "0003")
    config_of = select(column("config", JSON)).select_from(table("run"))
    with empty.connect() as connection:
        old: dict[str, dict[str, Any]] = {
            name: connection.execute(config_of.where(column("id") == run_id)).scalar_one()["method"]
            for name, run_id in ids.items()
        }
    assert {name: method.get("init") for name, method in old.items()} == {
        "paper": "paper",
        "zero_b": "zero_b",
        "adalora": None,
        "lora": None,
    }
    assert not any("pruning_phase" in method for method in old.values())
    go_to(empty, "head")
    after = {name: read_run(empty, run_id).config for name, run_id in ids.items()}
    assert not any("headline_metric" in str(config["task"]) for config in after.values())
    assert {name: RunConfig.stored(config) for name, config in after.items()} == {
        name: RunConfig.stored(config) for name, config in before.items()
    }
    with writing(empty) as session:  # what is launched from now on follows the authors
        new = runs.create_run(session, presets()[0].config, now=2.0)
        method = RunConfig.stored(new.config).method.model_dump()
        assert (method["init"], method["pruning_phase"]) == ("paper", "window")


def test_tags_metrics_and_configuration_values_are_the_same_after_a_migration_as_when_they_are_written(
    empty: Engine,
) -> None:
    migrate(empty)
    with writing(empty) as session:
        config = presets()[0].config
        run_id = runs.create_run(session, config, now=1.0, tags=["z", "a", "ü 🎈"], run_id="first").id
        runs.create_run(session, config, now=2.0, run_id="second")
        events.append_unfenced(
            session, run_id, [metric("x", 1, math.nan), metric("y", 1, 0.1), metric("y", 2, -1e-5)], now=3.0
        )

    def filled() -> dict[str, list[tuple[object, ...]]]:
        with empty.connect() as connection:
            return {
                name: sorted(map(tuple, connection.execute(select(SQLModel.metadata.tables[name]))), key=str)
                for name in FILLED
            }

    before = filled()
    assert [len(rows) for rows in before.values()][:2] == [3, 2]
    assert len(before["config_value"]) > 60
    go_to(empty, "0010")
    old = table("run", column("id"), column("tags", JSON))
    with empty.execution_options(rankscope_write=True).begin() as connection:
        stored = {row.id: row.tags for row in connection.execute(select(old.c.id, old.c.tags))}
        assert stored == {"first": ["z", "a", "ü 🎈"], "second": []}
        if empty.dialect.name == "sqlite":  # earlier versions accepted NUL, and the same tag twice
            odd = ["z", "a\0", "ü 🎈", "z", "\0"]
            connection.execute(old.update().where(old.c.id == "first").values(tags=odd))
    go_to(empty, "head")
    assert filled() == before


def test_evaluations_of_old_runs_are_filled_in_without_what_a_resume_replaced(empty: Engine) -> None:
    migrate(empty)
    claimed = training_run(empty)
    evaluations = [MetricsEvent(step=step, values={"eval_loss": step / 8, "x": 1.0}) for step in (2, 4, 6)]
    append(empty, claimed, [*evaluations, *losses(7), metric("eval_loss", 4, math.nan), metric("evalx", 4, 2.0)])
    with writing(empty) as session:
        queue.reap(session, now=1000.0, max_lost_workers=9)
    again = claim(empty, now=1001.0)
    assert again
    begin(empty, again, start_step=5)
    append(empty, again, [metric("eval_f1", 8, 0.5)], now=1002.0)

    def points() -> list[tuple[object, ...]]:
        with empty.connect() as connection:
            table = SQLModel.metadata.tables["evaluation_point"]
            return [tuple(row)[1:] for row in connection.execute(select(table).order_by(*table.primary_key))]

    expected = [("eval_f1", 8, 0.5), ("eval_loss", 2, 0.25), ("eval_loss", 4, None)]
    assert points() == expected
    go_to(empty, "0013")
    go_to(empty, "head")
    assert points() == expected


def test_a_run_from_before_chunks_is_packed_when_the_server_starts(empty: Engine) -> None:
    migrate(empty)
    claimed = training_run(empty)
    append(empty, claimed, [metric("x", step, step / 7) for step in range(20_000)])
    go_to(empty, "0002")
    go_to(empty, "head")
    assert read_run(empty, claimed.run_id).chunked_seq == 0
    whole = points_of(empty, claimed.run_id, "x")
    chunks.pack_old_runs(empty)
    run = read_run(empty, claimed.run_id)
    assert run.last_seq - chunks.EVENTS_A_CHUNK < run.chunked_seq <= run.last_seq
    assert points_of(empty, claimed.run_id, "x") == whole == [(step, step / 7) for step in range(20_000)]


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
