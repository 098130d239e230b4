"""Thousands of runs in a short time: one run of each setup is created as by the server, and copied for the other seeds.

A copy has the data that lists read, but not the events. Each run has `CONFIG_FIELDS` values of its configuration and
`METRICS` metrics. Every number is a function of the run's number, so that another tracker can be filled with the same
runs (trackers.py).
"""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update
from sqlmodel import col

from rankscope.contract.config import RunConfig
from rankscope.contract.events import MetricsEvent
from rankscope.contract.metrics import EVALUATION, TRAIN_LOSS
from rankscope.contract.tables import ConfigValue, EvaluationPoint, Event, Run, RunMetric, RunTag
from rankscope.store import runs
from rankscope.store.config_values import store_config_values
from rankscope.store.database.engine import writing
from rankscope.store.history import event_text, events
from tests.backend.conftest import config_with

CONFIG_FIELDS, METRICS, EVALUATIONS = 100, 30, 2
RANKS, RATES = (1, 2, 4, 8, 16), tuple(10 ** (-5 + place * 3 / 19) for place in range(20))
NAMES = ("eval_accuracy", "eval_loss", *(f"m{place}" for place in range(METRICS - 2)))
TRAINED = ("learning_rate", "grad_norm", "tokens_seen", "steps_per_second", "samples_per_second")
_SETUPS = len(RANKS) * len(RATES)
_BATCH = 500


def name_of(number: int) -> str:
    return f"run-{number} of a sweep with a name of usual length"


def tags_of(number: int) -> list[str]:
    chance = random.Random(f"tags {number}")
    return [tag for tag in "abcd" if chance.random() < 0.4]


def config_of(number: int) -> dict[str, Any]:
    """The configuration as a run stores it, and more values up to `CONFIG_FIELDS`."""
    setup = number % _SETUPS
    config = RunConfig.model_validate(
        config_with(
            **{
                "method.target_rank": RANKS[setup % len(RANKS)],
                "training.learning_rate": RATES[setup // len(RANKS)],
                "training.seed": number // _SETUPS,
            }
        )
    ).model_dump(mode="json")
    own = len(list(values_of(config)))
    chance = random.Random(f"setup {setup}")
    return config | {"extra": {f"x{place}": chance.random() for place in range(max(0, CONFIG_FIELDS - own))}}


def values_of(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of each value that lists can filter by."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from values_of(value, f"{prefix}{name}.")
        elif value is not None and name != "steering":
            yield f"{prefix}{name}", value


def metrics_of(number: int) -> list[tuple[int, dict[str, float]]]:
    """(step, values) of each evaluation."""
    chance = random.Random(f"metrics {number}")
    return [(10 * (place + 1), {name: chance.random() for name in NAMES}) for place in range(EVALUATIONS)]


def fill(engine: Engine, done: int, count: int) -> None:
    """Adds the runs with the numbers from `done` to `count`."""
    now = time.time()
    for number in range(done, min(count, _SETUPS)):
        with writing(engine) as session:
            _create(session, number, created_at=now - 600.0 * (10_000 - number))
    with engine.begin() as connection:
        templates = _Templates(connection)
        for start in range(max(done, _SETUPS), count, _BATCH):
            templates.copy(range(start, min(start + _BATCH, count)), now)


def record_curves(engine: Engine, runs_with_curves: int, steps: int) -> list[str]:
    """Trains the first runs for this many steps, as far as a table can tell: a loss and other numbers of each. Returns their ids.

    Only the events: what lists read of these runs is as before.
    """
    ids = [f"r{number:06d}" for number in range(runs_with_curves)]
    for run_id in ids:
        chance = random.Random(run_id)
        with writing(engine) as session:
            last_seq = events.last_seq(session, run_id)
            rows: list[dict[str, Any]] = []
            for step in range(1, steps + 1):
                values = {name: chance.random() for name in (*TRAINED, TRAIN_LOSS)}
                text = event_text.write(MetricsEvent(step=step, values=values))
                own = {"run_id": run_id, "seq": last_seq + step, "attempt": 0, "time": float(step)}
                rows.append(own | {"kind": "metrics", "step": step, "payload": text})
            session.execute(insert(Event), rows)
            session.execute(update(Run).where(col(Run.id) == run_id).values(last_seq=last_seq + steps))
    return ids


def _create(session: Any, number: int, *, created_at: float) -> None:
    config = config_of(number)
    run = runs.create_run(
        session,
        RunConfig.model_validate({name: part for name, part in config.items() if name != "extra"}),
        now=created_at,
        run_id=f"r{number:06d}",
        name=name_of(number),
        tags=tags_of(number),
    )
    store_config_values(session, run.id, config)
    batch = [MetricsEvent(step=step, values=values) for step, values in metrics_of(number)]
    events.append_unfenced(session, run.id, batch, now=created_at)
    run.status, run.live, run.n_modules = _end_of(number)  # type: ignore[assignment]
    session.add(run)


def _end_of(number: int) -> tuple[str, int, int]:
    chance = random.Random(f"end {number}")
    return chance.choice(["done", "failed"]), chance.randrange(999), 24


class _Templates:
    """The rows of the first run of each setup."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        ids = [f"r{number:06d}" for number in range(_SETUPS)]
        self._runs: dict[str, dict[str, Any]] = {}
        self._values: dict[str, list[Any]] = {}
        for row in connection.execute(select(_table(Run)).where(_table(Run).c.id.in_(ids))):
            self._runs[row.id] = dict(row._mapping)
        for row in connection.execute(select(_table(ConfigValue)).where(_table(ConfigValue).c.run_id.in_(ids))):
            self._values.setdefault(row.run_id, []).append(row)

    def copy(self, numbers: Sequence[int], now: float) -> None:
        own, tags, metrics, points, values = [], [], [], [], []
        for number in numbers:
            run_id, like = f"r{number:06d}", f"r{number % _SETUPS:06d}"
            at = now - 600.0 * (10_000 - number)
            status, live, modules = _end_of(number)
            seed = number // _SETUPS
            summary = _summary(number)
            own.append(
                self._runs[like]
                | {"id": run_id, "name": name_of(number), "queue_order": at, "created_at": at, "updated_at": at}
                | {"status": status, "live": live, "n_modules": modules, "changed": number + 1}
                | {"metrics": {name: _as_stored(row) for name, row in summary.items()}}
            )
            tags += [(run_id, tag, place) for place, tag in enumerate(tags_of(number))]
            metrics += [(run_id, name, *row) for name, row in summary.items()]
            points += [
                (run_id, name, step, value)
                for step, row in metrics_of(number)
                for name, value in row.items()
                if name.startswith(EVALUATION)
            ]
            values += [
                (run_id, row.path, seed, str(seed))
                if row.path == "training.seed"
                else (run_id, row.path, row.number, row.text)
                for row in self._values[like]
            ]
        self._connection.execute(insert(_table(Run)), own)
        self._insert(RunTag, ("run_id", "tag", "position"), tags)
        parts = ("last", "last_step", "min", "min_step", "max", "max_step")
        self._insert(RunMetric, ("run_id", "name", *parts), metrics)
        self._insert(EvaluationPoint, ("run_id", "name", "step", "value"), points)
        self._insert(ConfigValue, ("run_id", "path", "number", "text"), values)

    def _insert(self, kind: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Uses the driver directly: a million rows through SQLAlchemy take minutes."""
        name, listed = _table(kind).name, ", ".join(columns)
        cursor = self._connection.connection.cursor()
        if self._connection.dialect.name == "sqlite":
            cursor.executemany(f"INSERT INTO {name} ({listed}) VALUES ({', '.join('?' * len(columns))})", list(rows))
            return
        with cursor.copy(f"COPY {name} ({listed}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _table(kind: Any) -> Any:
    return kind.__table__


def _summary(number: int) -> dict[str, tuple[float | int, ...]]:
    series = metrics_of(number)
    found: dict[str, tuple[float | int, ...]] = {}
    for name in NAMES:
        values = [(row[name], step) for step, row in series]
        found[name] = (values[-1][0], values[-1][1], *min(values), *max(values))
    return found


def _as_stored(row: tuple[float | int, ...]) -> dict[str, float | int]:
    return dict(zip(("last", "last_step", "min", "min_step", "max", "max_step"), row, strict=True))
