"""Runs in a database, as the store's tests need them."""

from collections.abc import Sequence

from sqlalchemy import Engine

from rankscope.contract.config import RunConfig
from rankscope.contract.events import MetricsEvent, Module, ModulesEvent, RunEvent
from rankscope.contract.experiments.design import (
    Design,
    ExperimentMetric,
    ExperimentStatus,
    ExperimentTask,
    Role,
    TrialPurpose,
    TrialStatus,
    Variant,
)
from rankscope.contract.experiments.tables import Trial
from rankscope.contract.sweeps.design import ParameterSpace, Search, SweepDesign, SweepMetric, SweepTrialStatus
from rankscope.contract.sweeps.tables import SweepTrial
from rankscope.contract.tables import Run
from rankscope.store import queue, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import experiments, trials
from rankscope.store.history import events
from rankscope.store.history.points import marked
from rankscope.store.history.series import read_curves
from rankscope.store.sweeps import sweeps
from tests.backend.conftest import CONFIG

RUN_CONFIG = RunConfig.model_validate(CONFIG)


def queued_run(engine: Engine, *, now: float = 1.0, **fields: object) -> str:
    with writing(engine) as session:
        return runs.create_run(session, RUN_CONFIG, now=now, **fields).id  # type: ignore[arg-type]


def claim(engine: Engine, *, worker: str = "w", has_gpu: bool = False, now: float = 2.0) -> queue.Claim | None:
    with writing(engine) as session:
        return queue.claim_next(session, worker=worker, has_gpu=has_gpu, lease_s=30, now=now)


def training_run(engine: Engine, *, start_step: int = 0) -> queue.Claim:
    """A training run that a worker has claimed."""
    queued_run(engine)
    claimed = claim(engine)
    assert claimed
    begin(engine, claimed, start_step=start_step)
    return claimed


def begin(engine: Engine, claimed: queue.Claim, *, start_step: int = 0, now: float = 3.0) -> None:
    with writing(engine) as session:
        queue.begin_training(session, claimed.run_id, claimed.attempt, start_step=start_step, now=now)


def append(engine: Engine, claimed: queue.Claim, batch: Sequence[RunEvent], *, now: float = 4.0) -> int:
    with writing(engine) as session:
        return events.append(session, claimed.run_id, claimed.attempt, batch, now=now)


def metric(name: str, step: int, value: float) -> MetricsEvent:
    return MetricsEvent(step=step, values={name: value})


def losses(*steps: int) -> list[RunEvent]:
    return [metric("train_loss", step, 1 / (step + 1)) for step in steps]


def modules(count: int = 4, width: int = 3) -> ModulesEvent:
    every = [
        Module(name=f"layer.{index}.query", layer=index, kind="query", out_features=8, in_features=8)
        for index in range(count)
    ]
    return ModulesEvent(modules=every, width=width, trained_parameters=192, total_steps=100)


def read_run(engine: Engine, run_id: str) -> Run:
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        session.expunge(run)
    return run


def sequence(engine: Engine, run_id: str) -> list[int]:
    with reading(engine) as session:
        return [event["seq"] for event in events.read_after(session, run_id, 0, 100_000)]


def points_of(engine: Engine, run_id: str, name: str) -> list[tuple[int, float | str]]:
    """(step, value) of every visible point of a metric."""
    with reading(engine) as session:
        of = read_curves(session, run_id, [name])[name].points
    return list(zip(of.steps.tolist(), marked(of.values), strict=True))


def experiment_with_trial(engine: Engine, *, run_id: str | None = None) -> str:
    """Creates an experiment with one finished trial, and returns its id."""
    design = Design(
        metric=ExperimentMetric(name="eval_accuracy", title="accuracy"),
        tasks=[ExperimentTask(name="reviews")],
        variants=[Variant(name="plain", role=Role.baseline)],
        budgets=[2.0],
        seeds=[0],
    )
    with writing(engine) as session:
        made = experiments.create(
            session, design, name="First", source="launched", status=ExperimentStatus.testing, now=1.0
        )
        trial = Trial(
            experiment_id=made.id,
            number=1,
            purpose=TrialPurpose.test,
            status=TrialStatus.planned,
            task="reviews",
            variant="plain",
            budget=2.0,
            seed=0,
            options={"learning_rate": 0.001},
        )
        trials.add(session, made.id, [trial], now=2.0)
        if run_id is not None:
            trials.attach_run(session, trial, run_id, now=3.0)
        result = trials.TrialResult(
            value=2 / 3,
            metrics={"eval_accuracy": 2 / 3, "eval_loss": "NaN"},
            ranks={"a": 4, "b": 0},
            kept_parameters=64,
        )
        trials.finish(session, trial, result, now=4.0, scores=[1, 0, 1])
        return made.id


def sweep_with_trial(engine: Engine, *, run_id: str) -> str:
    """Creates a running sweep with one trial, whose run has reached a rung, and returns its id."""
    design = SweepDesign(
        config={},
        parameters={"training.learning_rate": ParameterSpace(low=0.001, high=0.1)},
        search=Search(kind="halving"),
        seeds=[0],
        metric=SweepMetric(name="eval_accuracy", title="accuracy"),
        rungs=[10, 30],
    )
    with writing(engine) as session:
        made = sweeps.create(session, design, name="First", now=1.0)
        trial = SweepTrial(
            sweep_id=made.id,
            number=1,
            point=1,
            seed=0,
            status=SweepTrialStatus.running,
            options={"training.learning_rate": 0.01},
            run_id=run_id,
            rungs=[0.5, None],
        )
        session.add(trial)
        return made.id
