"""Experiments with a real database and a stand-in for the worker: concurrent servers train nothing twice."""

import json
import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, select

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, InvalidTransition
from rankscope.contract.evaluation.row_values import encode_row_values, row_values_file
from rankscope.contract.events import ArtifactEvent, MetricsEvent, Module, ModulesEvent, RunEvent
from rankscope.contract.experiments.design import TrialStatus
from rankscope.contract.experiments.tables import Trial
from rankscope.contract.problems import bad_input
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.launch.experiments.advance import MOST_OPEN_RUNS, advance
from rankscope.launch.experiments.design import plan_experiment
from rankscope.launch.experiments.of_run import request_for_run, trial_of_run
from rankscope.launch.experiments.request import ExperimentRequest
from rankscope.launch.experiments.trial_config import permuted
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.experiments import experiments, lifecycle, trials
from rankscope.store.history import events
from tests.backend.conftest import CONFIG, config_with, fill_catalogue

NAMES = [f"encoder.layer.{block}.attention.self.{kind}" for block in range(2) for kind in ("query", "value")]
FOUND = dict(zip(NAMES, (4, 0, 1, 3), strict=True))


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def request(**changes: Any) -> ExperimentRequest:
    asked = {
        "config": CONFIG,
        "methods": [{"method": "dynamic_rank", "options": {"init": "zero_b"}}],
        "budgets": [2],
        "seeds": [0, 1],
        "tuning": {"trials": 3, "lowest_rate": 1e-3, "highest_rate": 1e-2, "seeds": [9]},
    }
    return ExperimentRequest.model_validate(asked | changes)


class Installation:
    """A server's experiment, and a worker that ends runs at once."""

    def __init__(self, engine: Engine, settings: Settings, **changes: Any) -> None:
        self.engine, self.settings = engine, fill_catalogue(settings)
        self.catalog = Catalog(settings)
        self.configs: list[RunConfig] = []
        planned = plan_experiment(request(**changes), self.catalog)
        self.expected = planned.trials
        with writing(engine) as session:
            self.id = lifecycle.start(session, planned.design, name="Test", now=1.0).id

    def advance(self) -> Any:
        return advance(self.engine, self.settings, self.catalog, self.id, now=2.0)

    def work(
        self,
        *,
        status: RunStatus = RunStatus.done,
        reason: str | None = None,
        value: float = 0.5,
        mcc: float | None = None,
    ) -> bool:
        """Runs the next waiting run. Returns whether there was one."""
        with writing(self.engine) as session:
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=30, now=3.0)
            if claim is None:
                return False
            queue.begin_training(session, claim.run_id, claim.attempt, start_step=0, now=3.0)
        config = RunConfig.stored(claim.config)
        self.configs.append(config)
        folder = self.settings.attempt_dir(claim.run_id, claim.attempt)
        (folder / "adapter").mkdir(parents=True)
        pattern = FOUND if config.method.prunes() else dict.fromkeys(NAMES, 2)
        (folder / "adapter" / "rank_pattern.json").write_text(json.dumps(pattern))
        (folder / row_values_file("final")).write_bytes(encode_row_values(100, {"accuracy": [value, value]}))
        every = [Module(name=name, layer=0, kind="query", out_features=8, in_features=8) for name in NAMES]
        happened: list[RunEvent] = [
            ModulesEvent(modules=every, width=4, trained_parameters=9, total_steps=100),
            MetricsEvent(
                step=100, values={"eval_accuracy": value, "eval_loss": 0.7} | ({} if mcc is None else {"eval_mcc": mcc})
            ),
            ArtifactEvent(name="adapter", step=100, size_bytes=1, kept_parameters=16 * sum(pattern.values())),
        ]
        with writing(self.engine) as session:
            events.append(session, claim.run_id, claim.attempt, happened, now=4.0)
            run = runs.get_run(session, claim.run_id)
            runs.transition(session, run, status, now=5.0, reason=reason, message="It ended." if reason else None)
        return True

    def run_to_the_end(self, **how: Any) -> None:
        for _ in range(200):
            self.advance()
            if not self.work(**how) and self.status in ("done", "failed"):
                return
        raise AssertionError(f"It is still {self.status}.")

    @property
    def status(self) -> str:
        with reading(self.engine) as session:
            return experiments.get(session, self.id).status

    def trials(self) -> list[Trial]:
        with reading(self.engine) as session:
            found = trials.of(session, self.id)
            session.expunge_all()
        return found


@pytest.fixture
def installation(engine: Engine, settings: Settings) -> Callable[..., Installation]:
    return lambda **changes: Installation(engine, settings, **changes)


def test_an_experiment_is_tuned_tested_controlled_and_done(installation: Callable[..., Installation]) -> None:
    made = installation(config=config_with(**{"data.validation_fraction": 0.4}))  # which applies only to tuning trials
    assert made.status == "tuning"
    made.run_to_the_end()
    assert made.status == "done"
    found = made.trials()
    assert len(found) == made.expected == len(made.configs) == 6 + 4 + 10
    assert {one.status for one in found} == {TrialStatus.done}
    assert Counter(one.purpose for one in found) == {"tune": 6, "test": 4, "control": 10}
    by_run = dict(zip([one.run_id for one in sorted(found, key=lambda one: one.number)], found, strict=True))
    assert len(by_run) == len(found)
    for config in made.configs:
        is_tuning = config.training.seed == 9
        assert config.data.validation_fraction == (0.15 if is_tuning else None)
        assert config.training.after_done == "delete"
    first = found[0]
    assert (first.value, first.metrics, first.kept_parameters) == (0.5, {"eval_accuracy": 0.5, "eval_loss": 0.7}, 128)
    with reading(made.engine) as session:
        assert len(trials.scores_of(session, made.id)) == len(found)


def test_controls_have_the_ranks_that_they_are_named_after(installation: Callable[..., Installation]) -> None:
    made = installation(tuning={"trials": 0})
    made.run_to_the_end()
    patterns: dict[str, dict[str, int]] = {}
    scores = set()
    with reading(made.engine) as session:
        for trial in trials.of(session, made.id):
            method: Any = RunConfig.stored(runs.get_run(session, str(trial.run_id)).config).method
            if trial.purpose == "control" and hasattr(method, "rank_pattern"):
                patterns[trial.variant.split(",")[1].split(" of ")[0].strip()] = method.rank_pattern
            elif trial.purpose == "control":
                scores.add((method.score, method.init))
    assert scores == {("random", "zero_b")}
    assert patterns["ranks"] == patterns["another seed's ranks"] == FOUND
    assert sorted(patterns["permuted ranks"].values()) == sorted(FOUND.values())
    assert patterns["parameters"] == dict.fromkeys(NAMES, 2)


def test_ranks_are_permuted_only_among_modules_of_one_shape() -> None:
    ranks = {f"m{number}": number for number in range(40)}
    shapes = {name: (8, 8) if number % 2 else (8, 32) for number, name in enumerate(ranks)}
    one, again, other = (permuted(ranks, shapes, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert one != ranks
    assert all(rank % 2 == int(name[1:]) % 2 for name, rank in one.items())


def test_servers_and_workers_that_advance_it_together_double_nothing(
    installation: Callable[..., Installation], settings: Settings
) -> None:
    made = installation(seeds=[0, 1, 2])
    engines = [create_engine(settings.resolved_database_url) for _ in range(3)]

    def serve(engine: Engine) -> None:
        for _ in range(30):
            advance(engine, made.settings, made.catalog, made.id, now=2.0)
            while made.work():
                advance(engine, made.settings, made.catalog, made.id, now=2.0)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(serve, engines))
    for engine in engines:
        engine.dispose()
    found = made.trials()
    assert made.status == "done"
    assert len(found) == made.expected
    assert len({one.run_id for one in found}) == len(made.configs) == made.expected


def test_a_failed_run_costs_its_trial_and_a_diverged_one_is_a_result(installation: Callable[..., Installation]) -> None:
    made = installation(tuning={"trials": 0}, controls=[])
    made.advance()
    made.work(status=RunStatus.failed, reason="out_of_memory")
    made.work(status=RunStatus.failed, reason="nan_loss")
    made.work(value=math.nan)
    made.run_to_the_end()
    ended = Counter((one.status, one.collapse, one.value is None, one.message) for one in made.trials())
    assert ended == {
        ("failed", None, True, "It ended."): 1,
        ("done", "diverged", True, None): 2,
        ("done", None, False, None): 1,
    }
    hopeless = installation(tuning={"trials": 0}, controls=[])
    hopeless.run_to_the_end(status=RunStatus.failed, reason="out_of_memory")
    assert hopeless.status == "failed"


def test_a_run_that_always_predicts_one_class_has_collapsed_whichever_class_it_is(
    installation: Callable[..., Installation],
) -> None:
    made = installation(tuning={"trials": 0}, controls=[])
    with reading(made.engine) as session:
        shares = experiments.design_of(experiments.get(session, made.id)).tasks[0].class_shares
    made.advance()
    for share in shares:
        made.work(value=share)
    made.work(value=min(shares), mcc=0.1)
    made.work(value=min(shares) / 3, mcc=0.0)
    made.run_to_the_end()
    ended = Counter((one.value, one.collapse) for one in made.trials())
    few, many = sorted(shares)
    assert ended == {(many, "majority"): 1, (few, "majority"): 1, (few, None): 1, (few / 3, None): 1}


def test_a_deleted_run_is_a_failed_trial(installation: Callable[..., Installation]) -> None:
    made = installation(tuning={"trials": 0}, controls=[])
    made.advance()
    with writing(made.engine) as session:
        runs.delete_run(session, str(made.trials()[0].run_id), now=3.0)
    made.run_to_the_end()
    assert Counter(one.message for one in made.trials()) == {"Its run was deleted.": 1, None: 3}


def test_few_runs_wait_at_a_time_and_a_pause_takes_them_back(installation: Callable[..., Installation]) -> None:
    made = installation(tuning={"trials": 0}, seeds=list(range(20)), controls=[])
    assert made.advance().launched == MOST_OPEN_RUNS
    assert made.advance().launched == 0
    made.work()
    with writing(made.engine) as session:
        lifecycle.pause(session, made.id, now=3.0)
    assert Counter(one.status for one in made.trials()) == {"planned": 39, "running": 1}
    assert (made.advance().launched, made.work()) == (0, False)
    assert Counter(one.status for one in made.trials()) == {"planned": 39, "done": 1}  # a pause loses no result
    with writing(made.engine) as session:
        lifecycle.resume(session, made.id, now=4.0)
    made.run_to_the_end()
    assert len(made.configs) == 40


def test_a_stop_ends_its_runs_and_more_seeds_continue_it(installation: Callable[..., Installation]) -> None:
    made = installation(tuning={"trials": 0}, controls=[])
    made.advance()
    with writing(made.engine) as session:
        claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=30, now=3.0)
        assert claim is not None
        experiment, stopped = lifecycle.stop(session, made.id, now=3.0)
    assert (experiment.status, stopped) == ("stopped", [claim.run_id])
    with reading(made.engine) as session:
        assert runs.get_run(session, claim.run_id).stop_requested == "now"
    with writing(made.engine) as session:
        runs.transition(session, runs.get_run(session, claim.run_id), RunStatus.stopped, now=4.0, message="Stopped.")
        lifecycle.resume(session, made.id, now=5.0)
    made.run_to_the_end()
    with writing(made.engine) as session, pytest.raises(BadInput, match="has 1, which is already one of its seeds"):
        lifecycle.extend(session, made.id, [1], now=6.0)
    with writing(made.engine) as session:
        experiment = experiments.get(session, made.id)
        experiment.seen_revision = experiment.revision
        session.add(experiment)
    with writing(made.engine) as session:
        lifecycle.extend(session, made.id, [2], now=6.0)
    made.run_to_the_end()
    with reading(made.engine) as session:
        experiment = experiments.get(session, made.id)
        assert experiment.is_extended_after_looking
        assert experiments.design_of(experiment).seeds == [0, 1, 2]
    assert sorted(one.seed for one in made.trials()) == [0, 0, 1, 1, 2, 2]
    with writing(made.engine) as session, pytest.raises(InvalidTransition, match="only a running one can be paused"):
        lifecycle.pause(session, made.id, now=7.0)


def test_more_looks_than_planned_mark_the_result(installation: Callable[..., Installation]) -> None:
    made = installation(tuning={"trials": 0}, controls=[], planned_looks=2)
    made.advance()

    def extended(seed: int, *, looks: bool) -> bool:
        with writing(made.engine) as session:
            experiment = experiments.get(session, made.id)
            experiment.seen_revision = experiment.revision if looks else experiment.seen_revision
            session.add(experiment)
            session.flush()
            return lifecycle.extend(session, made.id, [seed], now=6.0).is_extended_after_looking

    assert not extended(2, looks=True)  # the planned one
    assert not extended(3, looks=False)  # still the same look
    assert extended(4, looks=True)


def test_a_deleted_experiment_leaves_no_run_in_the_queue(installation: Callable[..., Installation]) -> None:
    made = installation(tuning={"trials": 0}, controls=[])
    made.advance()
    with writing(made.engine) as session:
        claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=30, now=3.0)
        assert claim is not None
        assert lifecycle.delete(session, made.id, now=3.0) == [claim.run_id]
    with reading(made.engine) as session:
        (left,) = session.scalars(select(Run))
        assert (left.id, left.stop_requested) == (claim.run_id, "now")
        assert experiments.list_all(session) == []


def test_one_button_of_a_finished_run_trains_only_what_is_missing(installation: Callable[..., Installation]) -> None:
    first = installation(tuning={"trials": 0}, controls=[])
    first.run_to_the_end()
    ours = next(one for one in first.trials() if one.ranks == FOUND and one.seed == 0)
    with reading(first.engine) as session:
        run = runs.get_run(session, str(ours.run_id))
        session.expunge(run)
    planned = plan_experiment(request_for_run(run, seeds=2), first.catalog)
    finished = trial_of_run(planned.design, run)
    assert finished == (run.id, "Dynamic rank", 0)
    as_launched = run.config
    method = {name: value for name, value in run.config["method"].items() if name != "budget_unit"}  # type: ignore[union-attr]
    run.config = {**run.config, "method": method}  # by an earlier version
    assert trial_of_run(planned.design, run) == finished
    run.config = as_launched
    with writing(first.engine) as session:
        first.id = lifecycle.start(session, planned.design, name="Did it help?", now=8.0, finished=finished).id
    before = len(first.configs)
    first.run_to_the_end()
    assert len(first.configs) - before == planned.trials - 1 == 2 + 2 + 5 * 2 - 1
    assert run.id in {one.run_id for one in first.trials()}
    plain = next(one for one in first.trials() if one.ranks != FOUND)
    with reading(first.engine) as session:
        lora = runs.get_run(session, str(plain.run_id))
        with pytest.raises(InvalidTransition, match="does not choose ranks"):
            request_for_run(lora, seeds=2)


def plan_checked(changes: dict[str, Any], catalog: Catalog) -> None:
    try:
        plan_experiment(request(**changes), catalog)
    except ValidationError as error:
        raise bad_input(error) from error


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"budgets": [2, 2]}, "budgets", "2 twice"),
        ({"seeds": [9]}, "tuning.seeds", "has 9, which is also a seed of the result"),
        ({"methods": [{"method": "lora"}]}, "methods", "is the baseline"),
        ({"methods": [{"method": "eva", "options": {"rho": 0}}]}, "methods.0.options.rho", "1"),
        ({"seeds": list(range(100, 150)), "budgets": [1, 2, 3, 4, 5, 6, 7, 8]}, "seeds", "at most 2,000"),
        ({"methods": [{"method": "control", "options": {"rank_pattern": {NAMES[0]: 6}}}]}, "budgets", "mean rank"),
        ({"methods": [{"method": "eva"}, {"method": "eva"}]}, "methods.1.name", "the name of another method"),
        ({"config": CONFIG | {"data": {"id": "local:nothing"}}}, "config.data.id", "nothing"),
    ],
)
def test_a_request_that_cannot_work_is_refused_at_its_field(
    settings: Settings, changes: dict[str, Any], field: str, words: str
) -> None:
    catalog = Catalog(fill_catalogue(settings))
    with pytest.raises(BadInput) as refused:
        plan_checked(changes, catalog)
    problem = refused.value.problems[0]
    assert (problem.field, words in problem.message) == (field, True), problem
    assert problem.next_step
