"""Complete real runs, whose health is read after every single event: a healthy run never raises an alarm.

Each trains as in a worker's child, and every event is written to the database separately. An alarm is a finding that is
a warning or an error; findings of severity info are allowed.
"""

import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import split
from rankscope.contract.config import RunConfig, Steering
from rankscope.contract.events import MetricsEvent, PhaseEvent, RunEvent
from rankscope.contract.metrics import STEPS_PER_SECOND
from rankscope.contract.status import Phase, RunStatus
from rankscope.contract.tables import Run
from rankscope.health.facts import Finding
from rankscope.launch.fork import find_origin, plan_fork, take_checkpoint
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import events
from rankscope_worker.child.checkpoint import find_newest
from rankscope_worker.child.training import Outcome, run_training
from tests.wide import narrowed, wide
from tests.worker.health_now import findings

Plan = Callable[..., RunPlan]


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


class Watched:
    """One run, attempt by attempt; `found` has (code, severity) of all findings, `alarms` the warnings and errors."""

    def __init__(self, engine: Engine, settings: Settings, data_dir: Path, plan: RunPlan, parent: Run | None = None):
        self.engine, self.settings, self.data_dir, self.config = engine, settings, data_dir, plan.config
        self.found: set[tuple[str, str]] = set()
        self.alarms: list[tuple[int, Finding]] = []
        self.step = 0
        with writing(engine) as session:
            run = runs.create_run(
                session,
                plan.config,
                now=time.time(),
                total_steps=plan.total_steps,
                environment=plan.environment,
                parent=None if parent is None else (parent.id, 5),
            )
            self.id = run.id

    def run(self) -> Run:
        with reading(self.engine) as session:
            run = runs.get_run(session, self.id)
            session.expunge(run)
            return run

    def look(self) -> list[Finding]:
        items = findings(self.engine, self.settings, self.id, time.time())
        self.found |= {(item.code, item.severity) for item in items}
        self.alarms += [(self.step, item) for item in items if item.severity != "info"]
        return items

    def attempt(self, stop_at: int | None = None) -> Outcome:
        """Trains until it is done or stopped, or until its worker seems to die at `stop_at`."""
        with writing(self.engine) as session:
            if runs.get_run(session, self.id).status == RunStatus.stopped:
                runs.request_resume(session, self.id, now=time.time())
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=self.settings.lease_s, now=time.time())
        assert claim is not None
        assert claim.run_id == self.id
        self.number = claim.attempt
        folder = self.settings.attempt_dir(self.id, claim.attempt)
        folder.mkdir(parents=True, exist_ok=True)
        catalog = Catalog(Settings(data_dir=self.data_dir))
        rows = split(catalog.dataset(self.config.data.id), self.config.data, self.config.task)
        return run_training(
            RunConfig.model_validate(claim.config),
            catalog.model(self.config.model.id).folder,
            rows,
            folder,
            self.record,
            lambda: stop_at is not None and self.step >= stop_at,
            find_newest(folder.parent, lambda *_: None),
            self.begin,
        )

    def record(self, event: RunEvent) -> None:
        now = time.time()
        with writing(self.engine) as session:
            queue.renew_lease(session, self.id, self.number, lease_s=self.settings.lease_s, now=now)
            events.append(session, self.id, self.number, [event], now=now)
        self.step = getattr(event, "step", None) or self.step
        self.look()

    def begin(self, start_step: int) -> None:
        with writing(self.engine) as session:
            queue.begin_training(session, self.id, self.number, start_step=start_step, now=time.time())
        self.step = start_step
        self.look()

    def end(self, *statuses: RunStatus) -> None:
        for status in statuses:
            with writing(self.engine) as session:
                runs.transition(session, runs.get_run(session, self.id), status, now=time.time())
            self.look()

    def assert_healthy(self) -> None:
        assert [(step, item.code, item.message) for step, item in self.alarms] == []


@pytest.fixture
def watch(engine: Engine, settings: Settings, data_dir: Path) -> Callable[[RunPlan], Watched]:
    return lambda plan: Watched(engine, settings, data_dir, plan)


Watch = Callable[[RunPlan], Watched]


def steered(plan: RunPlan, *acts: tuple[int, str] | tuple[int, str, int]) -> RunPlan:
    listed = [
        Steering.model_validate({"step": act[0], "action": act[1], "target_rank": act[2] if len(act) > 2 else None})
        for act in acts
    ]
    object.__setattr__(plan, "config", plan.config.model_copy(update={"steering": listed}))
    return plan


HEALTHY: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamic_rank": ("dynamic_rank", {}),
    "absolute phase": ("dynamic_rank", {"pruning_phase": "absolute"}),
    "long intervals": ("dynamic_rank", {"prune_interval": 5}),
    "every step": ("dynamic_rank", {"prune_interval": 1}),
    "from the first step": ("dynamic_rank", {"prune_interval": 3, "warmup_ratio": 0.0}),
    "to the last step": ("dynamic_rank", {"prune_interval": 3, "prune_end_ratio": 1.0}),
    "zero_b": ("dynamic_rank", {"init": "zero_b"}),
    "small_random": ("dynamic_rank", {"init": "small_random"}),
    "norm": ("dynamic_rank", {"score": "norm", "init": "zero_b"}),
    "abs_c": ("dynamic_rank", {"score": "abs_c"}),
    "sensitivity": ("dynamic_rank", {"score": "sensitivity", "init": "zero_b"}),
    "random": ("dynamic_rank", {"score": "random", "target_rank": 1, "initial_rank": 4}),
    "fast_first": ("dynamic_rank", {"schedule": "fast_first", "prune_interval": 3}),
    "linear": ("dynamic_rank", {"schedule": "linear", "prune_interval": 3}),
    "no smoothing, by parameters": ("dynamic_rank", {"beta": 0.0, "prune_interval": 1, "budget_unit": "parameters"}),
    "no compaction": ("dynamic_rank", {"compact": False}),
    "adalora": ("adalora", {"prune_interval": 3}),
    "eva": ("eva", {}),
    "eva spread": ("eva", {"rank": 1, "rho": 3.0}),
    "lora_shrink": ("lora_shrink", {}),
    "lora_shrink early": ("lora_shrink", {"shrink_at_ratio": 0.5, "allocation": "global"}),
    "sora": ("sora", {}),
    "lora": ("lora", {}),
    "control": ("control", {}),
    "control with empty modules": (
        "control",
        {
            "rank_pattern": {
                f"bert.encoder.layer.0.attention.self.{n}": r for n, r in (("query", 3), ("key", 0), ("value", 0))
            }
        },
    ),
    "full": ("full", {}),
}


USUAL = (
    "dynamic_rank",
    "no smoothing, by parameters",
    "to the last step",
    "adalora",
    "eva",
    "lora_shrink",
    "sora",
    "lora",
    "control",
    "full",
)


@pytest.mark.parametrize("name", narrowed(HEALTHY, *USUAL))
def test_a_healthy_run_raises_no_alarm_at_any_event(watch: Watch, plan: Plan, name: str) -> None:
    method, options = HEALTHY[name]
    rate = {"full": 1e-3}.get(method, 1e-2)
    run = watch(plan(method, options, learning_rate=rate, lr_warmup_ratio=0.1, eval_every=7, checkpoint_every=6))
    run.look()
    assert run.attempt().kind == "done"
    run.end(RunStatus.done)
    run.assert_healthy()


STEERED: dict[str, tuple[tuple[Any, ...], ...]] = {
    "held for a while": ((4, "hold"), (8, "release")),
    "held before the first pruning": ((2, "hold"), (6, "release")),
    "a higher target": ((6, "target", 3),),
    "a higher target, then a lower one": ((4, "target", 3), (8, "target", 1)),
    "a lower target between prunings": ((8, "target", 1),),
    "frozen": ((6, "freeze"),),
    "frozen before the first pruning": ((1, "freeze"),),
    "held, then frozen": ((4, "hold"), (6, "freeze")),
    "too late": ((15, "target", 1), (16, "hold")),
}


STEERED_USUAL = [
    ("held for a while", "slow_first"),
    ("a higher target, then a lower one", "fast_first"),
    ("frozen before the first pruning", "slow_first"),
    ("held, then frozen", "fast_first"),
    ("too late", "slow_first"),
]


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        *STEERED_USUAL,
        *wide(*(case for case in product(STEERED, ("slow_first", "fast_first")) if case not in STEERED_USUAL)),
    ],
)
def test_steering_raises_no_alarm_while_the_budget_can_be_met(
    watch: Watch, plan: Plan, name: str, schedule: str
) -> None:
    options = {"prune_interval": 3, "schedule": schedule}
    run = watch(steered(plan("dynamic_rank", options), *STEERED[name]))
    assert run.attempt().kind == "done"
    run.end(RunStatus.done)
    run.assert_healthy()
    assert {code for code, _ in run.found} <= {"budget_out_of_reach", "module_at_rank_0"}
    assert ("budget_out_of_reach" in {code for code, _ in run.found}) == ("held" in name or "frozen" in name)


ACTS: dict[str, tuple[Any, ...]] = {"plain": (), "frozen": ((2, "freeze"),), "target": ((4, "target", 3),)}


STOPS = [(2, "plain"), (7, "target"), (13, "frozen")]


@pytest.mark.parametrize(
    ("stop_at", "acts"), [*STOPS, *wide(*(stop for stop in product((2, 4, 7, 10, 13), ACTS) if stop not in STOPS))]
)
def test_a_run_that_is_stopped_and_resumed_raises_no_alarm(watch: Watch, plan: Plan, stop_at: int, acts: str) -> None:
    run = watch(steered(plan("dynamic_rank", {"prune_interval": 3, "schedule": "fast_first"}), *ACTS[acts]))
    assert run.attempt(stop_at).kind == "stopped"
    run.end(RunStatus.stopping, RunStatus.stopped)
    assert run.attempt().kind == "done"
    run.end(RunStatus.done)
    run.assert_healthy()


def test_a_run_resumed_from_an_old_checkpoint_raises_no_alarm(watch: Watch, plan: Plan) -> None:
    """Its worker died after the final mask; the newest complete checkpoint is from before the first cut."""
    run = watch(plan("dynamic_rank", {"prune_interval": 2}, checkpoint_every=4, keep_checkpoints=9))
    assert run.attempt(13).kind == "stopped"
    run.end(RunStatus.interrupted)
    for path in run.settings.attempt_dir(run.id, 1).glob("checkpoints/step-*"):
        if path.name != "step-4":
            (path / "manifest.json").unlink()
    assert run.attempt().kind == "done"
    assert run.run().attempt_start_step == 4
    run.end(RunStatus.done)
    run.assert_healthy()


FORKS: dict[str, dict[str, Any]] = {
    "as it was": {},
    "another budget": {"method": {"target_rank": 1}},
    "a window that is half over": {"method": {"warmup_ratio": 0.0, "schedule": "fast_first", "prune_interval": 4}},
    "a window to come": {"method": {"warmup_ratio": 0.4, "prune_end_ratio": 0.8}, "training": {"learning_rate": 0.005}},
}


@pytest.mark.parametrize("name", narrowed(FORKS, "another budget", "a window to come"))
def test_a_fork_raises_no_alarm(engine: Engine, settings: Settings, data_dir: Path, plan: Plan, name: str) -> None:
    parent = Watched(engine, settings, data_dir, plan("dynamic_rank", checkpoint_every=5, keep_checkpoints=9))
    assert parent.attempt().kind == "done"
    parent.end(RunStatus.done)
    row = parent.run()
    origin = find_origin(settings, row, 5, None)
    child = Watched(
        engine, settings, data_dir, plan_fork(row, origin, FORKS[name], Catalog(Settings(data_dir=data_dir))), row
    )
    take_checkpoint(origin, row, settings.checkpoint_dir(child.id, 0, 5))
    assert child.attempt().kind == "done"
    child.end(RunStatus.done)
    child.assert_healthy()
    assert "budget_unmoved" not in str(child.found)


# ---------------------------------------------------------------- unhealthy


def only_alarms(run: Watched) -> set[tuple[str, str]]:
    return {(item.code, item.severity) for _, item in run.alarms}


def test_a_learning_rate_that_is_far_too_high_is_reported_as_a_diverging_loss(watch: Watch, plan: Plan) -> None:
    run = watch(plan("full", {}, max_steps=120, learning_rate=0.3, lr_warmup_ratio=0.9, eval_every=500))
    run.attempt()
    assert only_alarms(run) == {("loss_diverging", "warning")}


def test_equal_scores_are_an_alarm_once_a_pruning_had_to_choose_between_them(watch: Watch, plan: Plan) -> None:
    run = watch(plan("dynamic_rank", {"init": "zero_b", "prune_interval": 3}, learning_rate=1e-20))
    run.attempt()
    assert only_alarms(run) == {("scores_equal", "warning")}
    # Window 3 to 10: 12 of 36 components are pruned by step 10, and the cubic prunes the first of them at step 9.
    assert min(step for step, _ in run.alarms) == 9


def test_held_pruning_is_an_alarm_once_the_window_is_over(watch: Watch, plan: Plan) -> None:
    run = watch(steered(plan("dynamic_rank", {"prune_interval": 3}), (5, "hold")))
    run.attempt()
    assert run.found == {("budget_out_of_reach", "info"), ("budget_out_of_reach", "warning")}
    assert min(step for step, _ in run.alarms) == 10
    run.end(RunStatus.done)
    assert [(item.code, item.severity) for item in run.look()] == [("budget_out_of_reach", "error")]


def test_gates_that_all_close_are_reported(watch: Watch, plan: Plan) -> None:
    run = watch(plan("sora", {"sparse_lambda": 1000.0}))
    run.attempt()
    run.end(RunStatus.done)
    assert ("module_at_rank_0", "error") in only_alarms(run)
    assert {code for code, _ in only_alarms(run)} == {"module_at_rank_0"}


class Paced(Watched):
    """A run whose events come at times chosen by the test."""

    def begin_at(self, now: float) -> None:
        with writing(self.engine) as session:
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=self.settings.lease_s, now=now)
            assert claim is not None
            self.number = claim.attempt
            queue.begin_training(session, self.id, self.number, start_step=0, now=now)

    def at(self, now: float, event: RunEvent) -> None:
        with writing(self.engine) as session:
            queue.renew_lease(session, self.id, self.number, lease_s=self.settings.lease_s, now=now)
            events.append(session, self.id, self.number, [event], now=now)

    def codes(self, now: float) -> set[str]:
        with writing(self.engine) as session:
            queue.renew_lease(session, self.id, self.number, lease_s=self.settings.lease_s, now=now)
        return {item.code for item in findings(self.engine, self.settings, self.id, now)}


def test_a_long_evaluation_or_save_is_not_a_stall_but_an_endless_step_is(
    engine: Engine, settings: Settings, data_dir: Path, plan: Plan
) -> None:
    run = Paced(engine, settings, data_dir, plan("lora"))
    run.begin_at(1000.0)
    run.at(1000.0, PhaseEvent(phase=Phase.training, step=0))
    for step in range(1, 6):
        run.at(1000.0 + step, MetricsEvent(step=step, values={"train_loss": 0.5, STEPS_PER_SECOND: 1.0}))
    for phase, start in ((Phase.evaluating, 1005.0), (Phase.saving, 1405.0)):
        run.at(start, PhaseEvent(phase=phase, step=5))
        assert run.codes(start + 300) == set()
        run.at(start + 390, PhaseEvent(phase=Phase.training, step=5))
        assert run.codes(start + 395) == set()
    assert run.codes(1795.0 + 55) == set()
    assert run.codes(1795.0 + 65) == {"throughput_collapse"}
    run.at(1870.0, MetricsEvent(step=6, values={"train_loss": 0.5}))
    assert run.codes(1871.0) == set()


def test_slow_data_is_reported_as_collapsed_throughput(
    engine: Engine, settings: Settings, data_dir: Path, plan: Plan
) -> None:
    run = Paced(engine, settings, data_dir, plan("lora"))
    run.begin_at(1000.0)
    for step in range(1, 31):
        rate = 3.0 if step <= 25 else 0.5
        run.at(1000.0 + step, MetricsEvent(step=step, values={"train_loss": 1 / step, STEPS_PER_SECOND: rate}))
        assert run.codes(1000.0 + step) == (set() if step < 28 else {"throughput_collapse"})
