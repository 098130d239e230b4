"""Sweeps with a real database and a stand-in for the worker: concurrent servers train nothing twice."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlmodel import col

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.events import MetricsEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run, RunTag
from rankscope.launch.sweeps.advance import advance
from rankscope.launch.sweeps.design import extended, plan_sweep
from rankscope.launch.sweeps.request import SweepExtension, SweepRequest
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.history import events
from rankscope.store.sweeps import lifecycle, sweeps
from rankscope.store.sweeps.sweeps import StoredTrial
from tests.backend.conftest import CONFIG, config_with, fill_catalogue

RATE = {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "scale": "log"}}


class Installation:
    """A server's sweep, and a worker that follows the test's instructions."""

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
        """Runs the next waiting run. Returns whether there was one."""
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

    def trials(self) -> list[StoredTrial]:
        with reading(self.engine) as session:
            return sweeps.read_trials(session, self.id)

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


def test_a_lost_worker_costs_an_attempt_and_a_failed_run_its_trial(installation: Make) -> None:
    made = installation(seeds=[0, 1])
    made.advance()
    lost, broken, diverged = made.claim(), made.claim(), made.claim()
    assert lost and broken and diverged  # noqa: PT018
    made.end(broken, RunStatus.failed, "out_of_memory")
    made.end(diverged, RunStatus.failed, "nan_loss")
    with writing(made.engine) as session:
        queue.reap(session, now=99.0, max_lost_workers=3)
    made.run_to_the_end()
    by_run = {one.run_id: one for one in made.trials()}
    assert len(by_run) == 8
    assert (by_run[lost.run_id].status, by_run[lost.run_id].value) == ("done", 0.5)
    with reading(made.engine) as session:
        assert runs.get_run(session, lost.run_id).attempt == 2
    assert (by_run[broken.run_id].status, by_run[broken.run_id].message) == ("failed", "It ended.")
    assert (by_run[diverged.run_id].status, by_run[diverged.run_id].is_diverged) == ("failed", True)
    assert made.counts() == {"done": 6, "failed": 2}


def test_a_paused_sweep_keeps_results_and_trains_the_rest_after_a_resume(installation: Make) -> None:
    made = installation()
    made.advance()
    training = made.claim()
    assert training
    made.change(lifecycle.pause)
    assert made.counts() == {"running": 1, "planned": 3}
    before = {one.number: one.options for one in made.trials()}
    assert made.advance() == 0
    made.evaluate(training, 100, eval_accuracy=0.7)
    made.end(training)
    assert made.advance() == 0
    assert made.counts() == {"done": 1, "planned": 3}
    made.change(lifecycle.resume)
    made.run_to_the_end()
    assert made.counts() == {"done": 4}
    assert {one.number: one.options for one in made.trials()} == before


def test_a_stopped_sweep_trains_its_stopped_trials_after_a_resume(installation: Make) -> None:
    made = installation()
    made.advance()
    training = made.claim()
    assert training
    assert made.change(lifecycle.stop) == [training.run_id]
    assert made.counts() == {"planned": 4}
    made.end(training, RunStatus.stopped, "stopped")
    assert made.advance() == 0
    made.change(lifecycle.resume)
    made.run_to_the_end()
    assert made.counts() == {"done": 4}
    assert training.run_id not in {one.run_id for one in made.trials()}


def test_a_sweep_that_is_done_is_extended_by_points_and_seeds(installation: Make) -> None:
    made = installation()
    made.run_to_the_end()
    made.extend(points=2, seeds=[8])
    assert made.status == "running"
    made.run_to_the_end()
    assert made.status == "done"
    assert {(one.point, one.seed) for one in made.trials()} == {
        (point, seed) for point in range(1, 7) for seed in (0, 8)
    }
    with pytest.raises(BadInput, match="seeds: has 8"):
        made.extend(seeds=[8])


def test_a_deleted_sweep_keeps_finished_runs_only(installation: Make) -> None:
    made = installation()
    made.advance()
    made.work()
    training = made.claim()
    assert training
    made.advance()
    assert made.change(lifecycle.delete) == [training.run_id]
    with reading(made.engine) as session:
        left = session.execute(select(col(Run.id), col(Run.status)).order_by(col(Run.status)))
        assert [status for _, status in left] == ["done", "stopping"]


def test_halving_stops_the_runs_of_worse_points_at_their_rung(installation: Make) -> None:
    made = installation(
        search={"kind": "halving", "points": 6, "reduction_factor": 2, "min_steps": 40}, parallel=6, seeds=[0]
    )
    with reading(made.engine) as session:
        assert sweeps.design_of(sweeps.get(session, made.id)).rungs == [50]
    made.advance()
    claims = [made.claim() for _ in range(6)]
    for place, claim in enumerate(claims):
        assert claim
        made.evaluate(claim, 50, eval_accuracy=place / 10)
    made.advance()
    assert [(one.status, one.rungs) for one in made.trials()] == [
        *(("pruned", [place / 10]) for place in range(3)),
        *(("running", [place / 10]) for place in range(3, 6)),
    ]
    with reading(made.engine) as session:
        asked = [runs.get_run(session, str(one.run_id)).stop_requested for one in made.trials()]
    assert asked == ["now"] * 3 + [None] * 3
    for claim in claims[3:]:
        assert claim
        made.evaluate(claim, 100, eval_accuracy=0.9)
        made.end(claim)
    made.advance()
    assert made.status == "done"
    assert made.counts() == {"pruned": 3, "done": 3}
    assert "at step 50" in str(made.trials()[0].message)


def test_stop_rules_end_a_run_that_no_longer_improves_or_diverges(installation: Make) -> None:
    made = installation(
        config=config_with(**{"method": {"name": "lora", "rank": 2}, "training.eval_every": 10}),
        stop_runs={"patience": 2, "max_train_loss": 5.0},
    )
    made.advance()
    better, worse, loud = made.claim(), made.claim(), made.claim()
    assert better and worse and loud  # noqa: PT018
    made.evaluate(loud, 10, train_loss=6.0)
    for step, value in ((10, 0.6), (20, 0.5), (30, 0.55)):
        made.evaluate(better, step, eval_accuracy=step / 100)
        made.evaluate(worse, step, eval_accuracy=value)
    made.advance()
    found = {one.run_id: one for one in made.trials()}
    assert found[better.run_id].status == "running"
    assert (found[worse.run_id].status, found[worse.run_id].value) == ("done", 0.6)
    assert "no better accuracy since step 10" in str(found[worse.run_id].message)
    assert (found[loud.run_id].status, found[loud.run_id].is_diverged) == ("failed", True)
    # With early stopping, the best value is the result of every run.
    made.evaluate(better, 40, eval_accuracy=0.2)
    made.end(better)
    made.advance()
    assert {one.run_id: one.value for one in made.trials()}[better.run_id] == 0.3


def test_time_and_runs_limit_a_sweep_and_can_be_extended(installation: Make) -> None:
    made = installation(stop={"hours": 1.0, "runs": 3})
    made.advance()
    assert made.counts() == {"running": 3}
    assert made.work()
    for _ in range(2):
        made.work()
    made.advance(now=10.0)
    assert (made.status, made.message) == ("done", "It has reached its limit of 3 runs.")
    made.extend(runs=1)
    made.advance(now=3700.0)  # 9 s before it was done, and those since the extension at 6.0
    assert (made.status, made.message) == ("done", "It reached its time limit of 1 h.")
    made.extend(hours=1.0)
    made.run_to_the_end()
    assert made.counts() == {"done": 4}


def test_a_point_that_cannot_be_trained_fails_with_its_reason(installation: Make) -> None:
    parameters = {
        "method.target_rank": {"values": [2, 4]},
        "method.initial_rank": {"values": [3, 8]},
    }
    made = installation(
        config=config_with(**{"method.initial_rank": 4}), parameters=parameters, search={"kind": "grid"}
    )
    made.run_to_the_end()
    assert made.counts() == {"done": 3, "failed": 1}
    (failed,) = (one for one in made.trials() if one.status == "failed")
    assert failed.options == {"method.target_rank": 4, "method.initial_rank": 3}
    assert "initial_rank" in str(failed.message)
