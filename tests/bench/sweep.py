"""Sweeps: the time to plan a trial, and whether concurrent planners duplicate one: `make bench-sweep`."""

import argparse
import math
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select
from sqlmodel import col

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.events import MetricsEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.sweeps.design import SweepStatus, SweepTrialStatus
from rankscope.contract.sweeps.tables import SweepTrial
from rankscope.contract.tables import RunTag
from rankscope.launch.sweeps.advance import advance, known_trials
from rankscope.launch.sweeps.design import plan_sweep
from rankscope.launch.sweeps.request import SweepRequest
from rankscope.launch.sweeps.trial_config import trial_config
from rankscope.search.kinds import unseen
from rankscope.search.plan import SweepPlan
from rankscope.search.trials import KnownPoint
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.schema import migrate
from rankscope.store.history import events
from rankscope.store.sweeps import sweeps
from tests.backend.conftest import CONFIG, fill_catalogue
from tests.bench.databases import database_url
from tests.bench.rows import Rows

LIMIT_MS = 50.0
PARAMETERS = {
    "training.learning_rate": {"low": 1e-4, "high": 1e-1, "scale": "log"},
    "training.weight_decay": {"low": 0.0, "high": 0.1},
    "method.target_rank": {"low": 1, "high": 8},
    "method.score": {"values": ["norm_share", "sensitivity", "random"]},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sweep")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--planners", type=int, default=8)
    parser.add_argument("--contested", type=int, default=200, help="points of the sweep that the planners share")
    parser.add_argument("--smoke", action="store_true", help="nothing is stored")
    options = parser.parse_args()
    rows = Rows("sweep", smoke=options.smoke)
    for kind in ("SQLite", "PostgreSQL"):
        with tempfile.TemporaryDirectory() as name, database_url(kind, Path(name)) as url:
            settings = fill_catalogue(Settings(_env_file=None, data_dir=Path(name) / "data", database_url=url))
            engine = create_engine(settings.resolved_database_url)
            migrate(engine)
            _planning(rows, engine, settings, kind, options.runs, options.rounds)
            _doubles(rows, engine, settings, kind, options.planners, options.contested)
            engine.dispose()
    if not options.smoke:
        rows.store()


# ---------------------------------------------------------------- planning


def _planning(rows: Rows, engine: Engine, settings: Settings, kind: str, count: int, rounds: int) -> None:
    """One worker with one slot: each run that ends makes room for the next trial."""
    catalog = Catalog(settings)
    sweep_id = _new_sweep(engine, catalog, points=count + rounds + 1, parallel=1)
    _fill(engine, sweep_id, count)
    whole: list[float] = []
    chosen: list[float] = []
    cpu: list[float] = []
    for _ in range(rounds + 1):
        start, used = time.perf_counter(), time.process_time()
        launched = advance(engine, settings, catalog, sweep_id, now=time.time())
        whole.append((time.perf_counter() - start) * 1000)
        cpu.append((time.process_time() - used) * 1000)
        assert launched == 1
        with reading(engine) as session:
            design = sweeps.design_of(sweeps.get(session, sweep_id))
            known = known_trials(sweeps.read_trials(session, sweep_id))
        start = time.perf_counter()
        assert len(SweepPlan(design).trial_ended(known, 1)) <= 1
        chosen.append((time.perf_counter() - start) * 1000)
        assert _train(engine)
    whole, chosen, cpu = whole[1:], chosen[1:], cpu[1:]  # the first call imports Optuna
    what = f"TPE, {count} runs, {len(PARAMETERS)} parameters, {kind}"
    told = "from the end of a run to the next one in the queue: results, TPE, configuration, transaction"
    rows.at_most(f"planning a trial, median, {kind}", statistics.median(whole), LIMIT_MS, "ms", f"{what}; {told}")
    rows.tell(f"planning a trial, p95, {kind}", _p95(whole), "ms", what)
    rows.tell(f"planning a trial, CPU of the server, median, {kind}", statistics.median(cpu), "ms", what)
    rows.tell(f"choosing values, median, {kind}", statistics.median(chosen), "ms", f"{what}; the pure part of it")


def _new_sweep(engine: Engine, catalog: Catalog, *, points: int, parallel: int) -> str:
    asked = {
        "config": CONFIG,
        "parameters": PARAMETERS,
        "search": {"kind": "tpe", "points": points},
        "parallel": parallel,
    }
    design = plan_sweep(SweepRequest.model_validate(asked), catalog).design
    with writing(engine) as session:
        return sweeps.create(session, design, name="benchmark", now=time.time()).id


def _fill(engine: Engine, sweep_id: str, count: int) -> None:
    """Finished trials at random points, with their runs."""
    with reading(engine) as session:
        design = sweeps.design_of(sweeps.get(session, sweep_id))
    points: list[KnownPoint] = []
    for number in range(1, count + 1):
        values = unseen(design, points)
        assert values is not None
        points.append(KnownPoint(number, values))
        config = trial_config(design.config, values, 0)
        with writing(engine) as session:
            run_id = runs.create_run(session, config, now=time.time(), tags=[f"sweep {sweep_id}"]).id
            done = SweepTrialStatus.done
            trial = SweepTrial(sweep_id=sweep_id, number=number, point=number, seed=0, status=done, options=values)
            trial.run_id, trial.value = run_id, _score(config)
            session.add(trial)
        assert _train(engine)


def _train(engine: Engine) -> bool:
    """Runs the next waiting run. Returns whether there was one."""
    with writing(engine) as session:
        claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=600, now=time.time())
        if claim is None:
            return False
        queue.begin_training(session, claim.run_id, claim.attempt, start_step=0, now=time.time())
    value = _score(RunConfig.stored(claim.config))
    with writing(engine) as session:
        happened = [MetricsEvent(step=100, values={"eval_accuracy": value})]
        events.append(session, claim.run_id, claim.attempt, happened, now=time.time())
        runs.transition(session, runs.get_run(session, claim.run_id), RunStatus.done, now=time.time())
    return True


def _score(config: RunConfig) -> float:
    noise = random.Random(config.model_dump_json()).random() / 50
    return 0.8 - abs(math.log10(config.training.learning_rate / 0.01)) / 10 + noise


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


# ---------------------------------------------------------------- concurrent planners


def _doubles(rows: Rows, engine: Engine, settings: Settings, kind: str, planners: int, points: int) -> None:
    """Servers that plan the same sweep in separate processes, each with a worker that ends runs immediately."""
    sweep_id = _new_sweep(engine, Catalog(settings), points=points, parallel=planners)
    context = multiprocessing.get_context("spawn")
    given = (settings.model_dump(mode="json"), sweep_id)
    processes = [context.Process(target=_serve, args=given) for _ in range(planners)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
    assert all(process.exitcode == 0 for process in processes)
    with reading(engine) as session:
        trials = sweeps.read_trials(session, sweep_id)
        tagged = session.scalar(select(func.count()).where(col(RunTag.tag) == f"sweep {sweep_id}")) or 0
    assert len(trials) >= points
    doubles = (
        len(trials) - len({(one.point, one.seed) for one in trials}) + tagged - len({one.run_id for one in trials})
    )
    what = f"TPE, {points} points, {planners} processes that plan and work, {kind}"
    rows.at_most(f"double trials, {kind}", doubles, 0, "trials", what)


def _serve(values: dict[str, Any], sweep_id: str) -> None:
    settings = Settings.model_validate(values)
    engine, catalog = create_engine(settings.resolved_database_url), Catalog(settings)
    while True:
        advance(engine, settings, catalog, sweep_id, now=time.time())
        if not _train(engine):
            with reading(engine) as session:
                if sweeps.get(session, sweep_id).status != SweepStatus.running:
                    break
    engine.dispose()


if __name__ == "__main__":
    main()
