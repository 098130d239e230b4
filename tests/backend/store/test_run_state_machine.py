"""The state machine of a run, under any sequence of claims, renewals, reaps, stops, resumes, late writes and deletions.

A naive model in plain Python predicts the outcome of each step; after each step, the database is compared with it.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine, delete, select
from sqlmodel import col

from rankscope.contract.errors import InvalidTransition, LeaseLost, NotFound
from rankscope.contract.status import TRANSITIONS, RunStatus
from rankscope.contract.tables import Attempt, Event, Run
from rankscope.store import queue, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import event_text, events
from rankscope_worker.host.endings import Ending, write_ending
from tests.backend.store_setup import RUN_CONFIG, losses
from tests.wide import wide

LEASE_S = 30.0
MAX_LOST = 2
WORKERS = ["w0", "w1", "w2"]
OWNED = {"starting", "running", "stopping"}


@dataclass
class Model:
    """The expected state of one run, without reading the database."""

    priority: int
    order: float
    status: str = "queued"
    attempt: int = 0
    worker: str | None = None
    lease_until: float = 0.0
    stop: str | None = None
    lost: int = 0
    seq: int = 1
    path: list[str] = field(default_factory=lambda: ["queued"])

    def become(self, status: str) -> None:
        self.status = status
        self.path.append(status)
        self.seq += 1
        if status not in OWNED:
            self.worker, self.stop = None, None

    def lose_worker(self, *, counts: bool) -> None:
        if self.status == "stopping":
            self.become("stopped")
            return
        self.lost += counts
        self.become("failed" if self.lost > MAX_LOST and counts else "interrupted")


class RunMachine(RuleBasedStateMachine):
    """`engine` is set by the test: one database for all examples, emptied before each."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.runs: dict[str, Model] = {}
        self.claims: list[queue.Claim] = []
        """All claims ever made: those of earlier attempts try to write too, and must fail."""
        with writing(self.engine) as session:
            session.execute(delete(Run))

    # ------------------------------------------------------------ choosing

    def _tick(self) -> float:
        self.now += 1.0
        return self.now

    def _pick_run(self, number: int) -> tuple[str, Model]:
        return list(self.runs.items())[number % len(self.runs)]

    def _pick_claim(self, number: int, newest: bool) -> tuple[queue.Claim, Model | None]:
        """A claim, and its run's model if it still holds the run, else None: then every write must be refused."""
        claim = (
            self.claims[-1 - number % min(3, len(self.claims))] if newest else self.claims[number % len(self.claims)]
        )
        model = self.runs.get(claim.run_id)
        holds = model is not None and model.attempt == claim.attempt and model.status in OWNED
        return claim, model if holds else None

    # ------------------------------------------------------------ user actions

    @rule(priority=st.integers(-1, 1))
    def launch(self, priority: int) -> None:
        now = self._tick()
        with writing(self.engine) as session:
            run_id = runs.create_run(session, RUN_CONFIG, now=now, priority=priority).id
        self.runs[run_id] = Model(priority, now)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9), save=st.booleans())
    def ask_to_stop(self, number: int, save: bool) -> None:
        run_id, model = self._pick_run(number)
        if model.status in ("queued", "interrupted"):
            model.become("stopped")
        elif model.status in OWNED:
            if model.status != "stopping":
                model.become("stopping")
            model.stop = "now" if model.stop == "now" or not save else "save"
        else:
            with pytest.raises(InvalidTransition), writing(self.engine) as session:
                runs.request_stop(session, run_id, save=save, now=self._tick())
            return
        with writing(self.engine) as session:
            runs.request_stop(session, run_id, save=save, now=self._tick())

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9))
    def ask_to_resume(self, number: int) -> None:
        run_id, model = self._pick_run(number)
        now = self._tick()
        if model.status not in ("stopped", "failed"):
            with pytest.raises(InvalidTransition), writing(self.engine) as session:
                runs.request_resume(session, run_id, now=now)
            return
        with writing(self.engine) as session:
            runs.request_resume(session, run_id, now=now)
        model.become("queued")
        model.order, model.lost = now, 0

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 9))
    def delete(self, number: int) -> None:
        run_id, model = self._pick_run(number)
        if model.status in OWNED:
            with pytest.raises(InvalidTransition), writing(self.engine) as session:
                runs.delete_run(session, run_id, now=9)
            return
        with writing(self.engine) as session:
            runs.delete_run(session, run_id, now=9)
        del self.runs[run_id]
        with reading(self.engine) as session, pytest.raises(NotFound):
            runs.get_run(session, run_id)

    # ------------------------------------------------------------ worker actions

    @rule(worker=st.sampled_from(WORKERS))
    def claim(self, worker: str) -> None:
        now = self._tick()
        with writing(self.engine) as session:
            made = queue.claim_next(session, worker=worker, has_gpu=False, lease_s=LEASE_S, now=now)
        waiting = {key: model for key, model in self.runs.items() if model.status in ("queued", "interrupted")}
        if not waiting:
            assert made is None
            return
        best = min(waiting, key=lambda key: (-waiting[key].priority, waiting[key].order, key))
        assert made is not None
        assert made.run_id == best
        model = self.runs[best]
        model.attempt += 1
        assert made.attempt == model.attempt
        model.become("starting")
        model.worker, model.lease_until, model.stop = worker, now + LEASE_S, None
        self.claims.append(made)

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0, 99), newest=st.booleans(), start_step=st.integers(0, 20))
    def begin_training(self, number: int, newest: bool, start_step: int) -> None:
        claim, model = self._pick_claim(number, newest)

        def begin() -> None:
            with writing(self.engine) as session:
                queue.begin_training(session, claim.run_id, claim.attempt, start_step=start_step, now=self._tick())

        if model is None:
            with pytest.raises(LeaseLost):
                begin()
            return
        begin()
        if model.status == "starting":
            model.become("running")

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0, 99), newest=st.booleans(), steps=st.lists(st.integers(0, 50), min_size=1, max_size=4))
    def append(self, number: int, newest: bool, steps: list[int]) -> None:
        claim, model = self._pick_claim(number, newest)

        def write() -> int:
            with writing(self.engine) as session:
                return events.append(session, claim.run_id, claim.attempt, losses(*steps), now=self._tick())

        if model is None:
            with pytest.raises(LeaseLost):
                write()
            return
        model.seq += len(steps)
        assert write() == model.seq

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0, 99), newest=st.booleans())
    def renew(self, number: int, newest: bool) -> None:
        claim, model = self._pick_claim(number, newest)
        now = self._tick()

        def ask() -> str | None:
            with writing(self.engine) as session:
                return queue.renew_lease(session, claim.run_id, claim.attempt, lease_s=LEASE_S, now=now)

        if model is None:
            with pytest.raises(LeaseLost):
                ask()
            return
        assert ask() == model.stop
        model.lease_until = now + LEASE_S

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0, 99), newest=st.booleans(), how=st.sampled_from(["done", "failed", "drained", "killed"]))
    def end(self, number: int, newest: bool, how: str) -> None:
        claim, model = self._pick_claim(number, newest)
        if model is not None and how == "done" and model.status == "starting":
            how = "failed"  # a child that has not begun can't have finished
        status = RunStatus(how) if how in ("done", "failed") else None
        ending = Ending(status, how, counts=how == "killed")
        if model is None:
            with pytest.raises(LeaseLost):
                write_ending(self.engine, claim, ending, MAX_LOST)
            return
        if status is not None:
            model.become(how)
        else:
            model.lose_worker(counts=how == "killed")
        assert write_ending(self.engine, claim, ending, MAX_LOST) == (model.status, model.seq)

    # ------------------------------------------------------------ worker failures

    @rule(seconds=st.sampled_from([1.0, LEASE_S / 2, LEASE_S + 1]))
    def reap(self, seconds: float) -> None:
        self.now += seconds
        with writing(self.engine) as session:
            reaped = queue.reap(session, now=self.now, max_lost_workers=MAX_LOST)
        lapsed = [key for key, model in self.runs.items() if model.status in OWNED and model.lease_until < self.now]
        assert sorted(reaped) == sorted(lapsed)
        for run_id in lapsed:
            self.runs[run_id].lose_worker(counts=True)

    @rule(worker=st.sampled_from(WORKERS))
    def restart_worker(self, worker: str) -> None:
        with writing(self.engine) as session:
            released = queue.release_worker(session, worker, now=self._tick(), max_lost_workers=MAX_LOST)
        held = [key for key, model in self.runs.items() if model.worker == worker]
        assert sorted(released) == sorted(held)
        for run_id in held:
            self.runs[run_id].lose_worker(counts=True)

    # ------------------------------------------------------------ invariants

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        with reading(self.engine) as session:
            rows = {run.id: run for run in session.scalars(select(Run))}
            assert rows.keys() == self.runs.keys()
            for run_id, model in self.runs.items():
                run = rows[run_id]
                assert (run.status, run.attempt, run.worker, run.lost_workers, run.last_seq) == (
                    model.status,
                    model.attempt,
                    model.worker,
                    model.lost,
                    model.seq,
                )
                assert (run.lease_expires_at is not None) == (model.status in OWNED)

    @invariant()
    def numbers_have_no_gap_and_statuses_only_follow_allowed_ones(self) -> None:
        with reading(self.engine) as session:
            found: dict[str, list[Event]] = {run_id: [] for run_id in self.runs}
            for event in session.scalars(select(Event).order_by(col(Event.run_id), col(Event.seq))):
                found[event.run_id].append(event)  # a KeyError: an event of a deleted run
        for run_id, model in self.runs.items():
            assert [event.seq for event in found[run_id]] == list(range(1, model.seq + 1))
            path = [str(event_text.read(event.payload)["status"]) for event in found[run_id] if event.kind == "status"]
            assert path == model.path
            assert all(RunStatus(after) in TRANSITIONS[RunStatus(before)] for before, after in pairwise(path))
            numbers = [event.attempt for event in found[run_id]]
            assert numbers == sorted(numbers)

    @invariant()
    def an_attempt_is_open_exactly_while_a_worker_has_it(self) -> None:
        with reading(self.engine) as session:
            attempts: dict[str, list[Attempt]] = {run_id: [] for run_id in self.runs}
            for attempt in session.scalars(select(Attempt).order_by(col(Attempt.number))):
                attempts[attempt.run_id].append(attempt)
        for run_id, model in self.runs.items():
            assert [attempt.number for attempt in attempts[run_id]] == list(range(1, model.attempt + 1))
            still_open = [attempt.number for attempt in attempts[run_id] if attempt.ended_at is None]
            assert still_open == ([model.attempt] if model.status in OWNED else [])


@pytest.mark.parametrize(("database_kind", "examples"), [("sqlite", 25), ("postgresql", 8), *wide(("postgresql", 25))])
def test_any_sequence_of_actions_keeps_the_state_machine_valid(engine: Engine, examples: int) -> None:
    machine = type("RunMachine", (RunMachine,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]),
    )
