"""The runs table with 1,000 and 10,000 runs, on SQLite and PostgreSQL. `make bench-compare`.

Each run has 100 values of its configuration and 30 metrics. Request times are measured by a client on the same machine;
the time of the smallest response shows the share of the machine and HTTP.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine

from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine
from rankscope.store.database.schema import migrate
from tests.bench.databases import database_url
from tests.bench.rows import Rows
from tests.bench.served import p95_ms, served
from tests.bench.table.filling import CONFIG_FIELDS, METRICS, TRAINED, fill, record_curves
from tests.bench.table.trackers import TRACKERS, against_tracker
from tests.stack import TOKEN

LIMITS_MS = {1000: 50.0, 10_000: 150.0}
MOST_BYTES = 60_000
CURVES, CURVE_STEPS, MOST_CURVES_MS = 100, 1000, 100.0
COLUMNS = [
    "config.method.target_rank",
    "config.training.learning_rate",
    "config.training.seed",
    "mean_rank",
    "live",
    "metrics.eval_accuracy.best",
    "metrics.eval_loss.last",
]
SORTS = [
    "-created",
    "name",
    "status",
    "-step",
    "-headline",
    "mean_rank",
    "-config.training.learning_rate",
    "config.data.id",
    "-metrics.eval_accuracy.max",
    "metrics.m7.last",
    "metrics.m7.max_step",
    "-metrics.eval_accuracy.at_20",
]
FILTERS = [
    'config.method.target_rank <= 8 and metrics.eval_accuracy.max > 0.8 and tag = "a"',
    "metrics.m3.last > 0.5",
    "not metrics.m3.last > 0.5 or config.training.seed in (1, 2, 3)",
    "metrics.eval_accuracy.at_10 > 0.5",
    "not metrics.eval_loss.at_20 < 0.5",
    "config.training.learning_rate > 1e-3",
    "tag = b and status = done",
    "name ~ run-77",
    "created >= -7d and metrics.eval_loss.best < 0.1",
    "project is null and config.method.name = lora",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.table")
    parser.add_argument("--runs", type=int, nargs="*", default=list(LIMITS_MS))
    parser.add_argument("--databases", nargs="*", choices=("SQLite", "PostgreSQL"), default=["SQLite", "PostgreSQL"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--smoke", action="store_true", help="small numbers, nothing is stored")
    parser.add_argument(
        "--trackers",
        type=Path,
        nargs="?",
        const=Path(".make"),
        help="compare with MLflow and Aim instead; the folder of mlflow-venv and aim-venv",
    )
    options = parser.parse_args()
    rows = Rows("compare", smoke=options.smoke)
    for kind in ["SQLite"] if options.trackers else options.databases:
        with tempfile.TemporaryDirectory() as name, database_url(kind, Path(name)) as url:
            settings = Settings(
                _env_file=None, data_dir=Path(name) / "data", database_url=url, token=TOKEN, port=free_port()
            )
            engine = create_engine(settings.resolved_database_url)
            migrate(engine)
            done = 0
            for count in options.runs[:1] if options.trackers else options.runs:
                fill(engine, done, count)
                done = count
                if kind == "PostgreSQL":
                    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                        connection.exec_driver_sql("ANALYZE")
                with served(settings) as (api, _pid):
                    for part in TRACKERS if options.trackers else (kind,):
                        if options.trackers:
                            against_tracker(rows, api, part, options.trackers, count, options.rounds)
                        else:
                            _measure(api, rows, kind, count, options.rounds)
                            if count == options.runs[-1]:
                                _measure_curves(engine, api, rows, kind, options.rounds)
                        if not options.smoke:
                            rows.store()  # each part, so that an interrupted run keeps its measurements
            engine.dispose()


def _measure(api: httpx.Client, rows: Rows, kind: str, count: int, rounds: int) -> None:
    limit = LIMITS_MS.get(count, 1e9)
    what = f"{count:,} runs, {CONFIG_FIELDS} config values, {METRICS} metrics, {kind}"
    base: dict[str, Any] = {"columns": ",".join(COLUMNS)}
    slow: dict[str, float] = {}

    def p95(figure: str, query: dict[str, Any], path: str = "/runs/table") -> httpx.Response:
        def ask() -> httpx.Response:
            return api.get(path, params=query).raise_for_status()

        slow[figure] = p95_ms(ask, rounds)
        return ask()

    p95("smallest answer", {}, "/system/health")
    first = p95("first page", base)
    for sort in SORTS:
        p95(f"sort {sort}", base | {"sort": sort})
    for filter in FILTERS:
        p95(f"filter {filter}", base | {"filter": filter})
    table = first.json()
    p95("what has changed", base | {"since": table["changes"]}, "/runs/changes")
    p95("groups", {"of": "metrics.eval_accuracy.max"}, "/runs/groups")
    p95("suggestions", {"text": "metrics.eval"}, "/runs/filter")
    rows.at_most(f"first page, p95, {kind}, {count}", slow["first page"], limit, "ms", what)
    for group in ("sort", "filter"):
        name, value = max(
            ((name, value) for name, value in slow.items() if name.startswith(group)), key=lambda pair: pair[1]
        )
        rows.at_most(f"slowest {group}, p95, {kind}, {count}", value, limit, "ms", f"{what}: {name}")
    for name in ("smallest answer", "what has changed", "groups", "suggestions"):
        rows.tell(f"{name}, p95, {kind}, {count}", slow[name], "ms", what)
    rows.at_most(f"bytes of a first page of 100 runs, {kind}, {count}", len(first.content), MOST_BYTES, "B", what)


def _measure_curves(engine: Engine, api: httpx.Client, rows: Rows, kind: str, rounds: int) -> None:
    """The small curves of one page. Its length is such that no part of them is packed in chunks, which costs the most."""
    query = {"runs": ",".join(record_curves(engine, CURVES, CURVE_STEPS))}

    def ask() -> httpx.Response:
        return api.get("/runs/sparklines", params=query).raise_for_status()

    what = f"{CURVES} runs of {CURVE_STEPS:,} steps, {len(TRAINED) + 1} metrics a step, {kind}"
    assert len(ask().json()["items"]) == CURVES
    rows.at_most(f"curves of a page of {CURVES} runs, p95, {kind}", p95_ms(ask, rounds), MOST_CURVES_MS, "ms", what)


if __name__ == "__main__":
    main()
