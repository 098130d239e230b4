"""Sweeps with a real database and a stand-in for the worker: nothing is trained twice, whoever advances it."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlmodel import col

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.events import MetricsEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.sweeps.tables import SweepTrial
from rankscope.contract.tables import RunTag
from rankscope.launch.sweeps.advance import advance
from rankscope.launch.sweeps.design import extended, plan_sweep
from rankscope.launch.sweeps.request import SweepExtension, SweepRequest
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.history import events
from rankscope.store.sweeps import lifecycle, sweeps
from tests.backend.conftest import CONFIG, fill_catalogue

RATE = {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "scale": "log"}}


class Installation:
    """A server's sweep, and a worker that does as it is told."""

    def __init__(self, engine: Engine, settings: Settings, **asked: Any) -> None:
        self.engine, self.settings = engine, fill_catalogue(settings)
        self.catalog = Catalog(settings)
        request = {"config": CONFIG, "parameters": RATE, "search": {"kind": "random", "points": 4}} | asked
        planned = plan_sweep(SweepRequest.model_validate(request), self.catalog)
        with writing(engine) as session:
            self.id = sweeps.create(session, planned.design, name="Test", now=1.0).id

    def advance(self, *, now: float = 2.0) -> int:
        return advance(self.engine, self.settings, self.catalog, self.id, now=now)

    def claim(self) -> queue.Claim | None:
        with writing(self.engine) as session:
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=30, now=3.0)
            if claim is not None:
                queue.begin_training(session, claim.run_id, claim.attempt, start_step=0, now=3.0)
        return claim

    def evaluate(self, claim: queue.Claim, step: int, **values: float) -> None:
        with writing(self.engine) as session:
            events.append(session, claim.run_id, claim.attempt, [MetricsEvent(step=step, values=values)], now=4.0)

    def end(self, claim: queue.Claim, status: RunStatus = RunStatus.done, reason: str | None = None) -> None:
        with writing(self.engine) as session:
            run = runs.get_run(session, claim.run_id)
            runs.transition(session, run, status, now=5.0, reason=reason, message="It ended." if reason else None)

    def work(self, score: Callable[[RunConfig], float] = lambda _: 0.5) -> bool:
        """Does the next waiting run. Returns whether there was one."""
        claim = self.claim()
        if claim is None:
            return False
        self.evaluate(claim, 100, eval_accuracy=score(RunConfig.stored(claim.config)))
        self.end(claim)
        return True

    def run_to_the_end(self, score: Callable[[RunConfig], float] = lambda _: 0.5) -> None:
        for _ in range(300):
            self.advance()
            if not self.work(score) and self.status != "running":
                return
        raise AssertionError(f"It is still {self.status}.")

    def change(self, what: Callable[..., Any], *values: Any) -> Any:
        with writing(self.engine) as session:
            return what(session, self.id, *values, now=6.0)

    def extend(self, **added: Any) -> None:
        with reading(self.engine) as session:
            sweep = sweeps.get(session, self.id)
            before, design = sweep.design, sweeps.design_of(sweep)
        after = extended(design, SweepExtension.model_validate(added)).model_dump(mode="json")
        self.change(lifecycle.extend, before, after)

    @property
    def status(self) -> str:
        with reading(self.engine) as session:
            return sweeps.get(session, self.id).status

    @property
    def message(self) -> str | None:
        with reading(self.engine) as session:
            return sweeps.get(session, self.id).message

    def trials(self) -> list[SweepTrial]:
        with reading(self.engine) as session:
            found = sweeps.trials(session, self.id)
            session.expunge_all()
        return found

    def counts(self) -> Counter[str]:
        return Counter(one.status for one in self.trials())


@pytest.fixture
def installation(engine: Engine, settings: Settings) -> Callable[..., Installation]:
    return lambda **asked: Installation(engine, settings, **asked)


Make = Callable[..., Installation]


def test_a_random_sweep_trains_each_point_at_each_seed(installation: Make) -> None:
    made = installation(seeds=[3, 4])
    made.run_to_the_end(lambda config: config.training.learning_rate)
    assert made.status == "done"
    found = made.trials()
    assert [(one.point, one.seed) for one in found] == [(point, seed) for point in (1, 2, 3, 4) for seed in (3, 4)]
    for one in found:
        assert one.value == one.options["training.learning_rate"]
        with reading(made.engine) as session:
            config = RunConfig.stored(runs.get_run(session, str(one.run_id)).config)
        assert (config.training.learning_rate, config.training.seed) == (one.value, one.seed)


def test_servers_and_workers_that_advance_it_together_double_nothing(installation: Make, settings: Settings) -> None:
    made = installation(search={"kind": "random", "points": 12}, seeds=[0, 1])
    engines = [create_engine(settings.resolved_database_url) for _ in range(4)]

    def serve(engine: Engine) -> None:
        for _ in range(40):
            advance(engine, made.settings, made.catalog, made.id, now=2.0)
            made.work()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(serve, engines))
    for engine in engines:
        engine.dispose()
    made.run_to_the_end()
    found = made.trials()
    assert [one.number for one in found] == list(range(1, 25))
    assert len({(one.point, one.seed) for one in found}) == len({one.run_id for one in found}) == 24
    with reading(made.engine) as session:
        tagged = select(func.count()).where(col(RunTag.tag) == f"sweep {made.id}")
        assert session.scalar(tagged) == 24
