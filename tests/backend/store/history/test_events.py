"""A run's events: numbered without gaps, with NaN kept, and without those that a resume replaced."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sqlalchemy import Engine

from rankscope.contract.errors import NotFound
from rankscope.contract.events import (
    CheckpointEvent,
    ComponentChange,
    MetricsEvent,
    PruneEvent,
    RanksEvent,
    WarningEvent,
)
from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import events, points, snapshots
from rankscope.store.listing import run_list
from tests.backend.store_setup import (
    append,
    begin,
    claim,
    losses,
    metric,
    modules,
    points_of,
    read_run,
    sequence,
    training_run,
)


def test_numbers_have_no_gaps_with_eight_concurrent_writers_and_readers_never_skip(engine: Engine) -> None:
    claimed = training_run(engine)
    first = len(sequence(engine, claimed.run_id))
    seen: list[int] = []

    def write(number: int) -> list[int]:
        return [append(engine, claimed, losses(number, number)) for _ in range(10)]

    def read() -> None:
        while len(seen) < first + 160:
            with reading(engine) as session:
                page = events.read_after(session, claimed.run_id, len(seen))
            seen.extend(event["seq"] for event in page)

    with ThreadPoolExecutor(9) as pool:
        reader = pool.submit(read)
        taken = sorted(seq for mine in pool.map(write, range(8)) for seq in mine)
        reader.result(30)
    assert taken == [first + 2 * (index + 1) for index in range(80)]
    assert seen == sequence(engine, claimed.run_id) == list(range(1, first + 161))


def test_nan_and_inf_come_back_as_marked_text_and_never_as_null(engine: Engine) -> None:
    claimed = training_run(engine)
    values = [0.5, math.nan, math.inf, -math.inf, 0.25]
    append(engine, claimed, [metric("x", step, value) for step, value in enumerate(values)])
    with reading(engine) as session:
        every = events.read_after(session, claimed.run_id, 0)
    stored = [event["values"]["x"] for event in every if event["kind"] == "metrics"]
    assert (
        [value for _, value in points_of(engine, claimed.run_id, "x")]
        == stored
        == [0.5, "NaN", "Infinity", "-Infinity", 0.25]
    )
    summary = read_run(engine, claimed.run_id).metrics["x"]
    assert summary == {"last": 0.25, "last_step": 4, "min": 0.25, "min_step": 4, "max": 0.5, "max_step": 0}


def test_nan_in_a_threshold_and_a_score_survives_too(engine: Engine) -> None:
    claimed = training_run(engine)
    change = ComponentChange(module=0, component=1, score=math.nan, order=12)
    prune = PruneEvent(step=20, budget=11, total=12, threshold=math.nan, final=False, pruned=[change], regrown=[])
    append(engine, claimed, [modules(), prune])
    with reading(engine) as session:
        (line,) = snapshots.ledger(session, claimed.run_id)
    assert (line["score"], line["threshold"], line["change"]) == ("NaN", "NaN", "pruned")


def test_events_change_what_the_list_of_runs_shows(engine: Engine) -> None:
    claimed = training_run(engine)
    snapshot = {"budget": 11, "modules": 4, "width": 3, "mask": "/w8=", "scores": ""}
    append(
        engine,
        claimed,
        [
            modules(),
            RanksEvent(step=0, live=12, **snapshot),
            *losses(10),
            RanksEvent(step=15, live=12, **snapshot),
            RanksEvent(step=20, live=11, pruning=True, **snapshot),
            CheckpointEvent(step=20, size_bytes=99),
        ],
    )
    run = read_run(engine, claimed.run_id)
    assert (run.live, run.budget, run.n_modules, run.width, run.total_steps, run.step) == (11, 11, 4, 3, 100, 20)
    with reading(engine) as session:
        found = runs.checkpoints_of(session, run.id, {(1, 20), (1, 21), (2, 20)})
    assert [(row.attempt, row.step, row.size_bytes) for row in found] == [(1, 20, 99)]


def test_resume_cuts_the_view_at_its_step_and_numbers_go_on(engine: Engine) -> None:
    first = training_run(engine)
    append(engine, first, losses(*range(10)))
    with writing(engine) as session:
        queue.reap(session, now=1000, max_lost_workers=3)
    second = claim(engine, now=1001)
    assert second is not None
    append(engine, second, [WarningEvent(code="x", message="before the child has loaded")])
    begin(engine, second, start_step=5, now=1002)
    append(engine, second, [metric("train_loss", step, 100 + step) for step in (6, 7)])
    shown = points_of(engine, first.run_id, "train_loss")
    numbers = sequence(engine, first.run_id)
    assert [step for step, _ in shown] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [value for _, value in shown[-2:]] == [106, 107]
    assert numbers == list(range(1, len(numbers) + 1))
    run = read_run(engine, first.run_id)
    assert (run.status, run.step, run.attempt_start_step) == (RunStatus.running, 7, 5)
    assert run.metrics["train_loss"]["min_step"] == 5
    assert run.metrics["train_loss"]["max_step"] == 7


def test_a_step_is_replaced_exactly_when_the_view_hides_it(engine: Engine) -> None:
    """Attempts begin at 0, 5 and 2; each makes the six steps that follow. The view shows the same steps as the rule."""
    starts = {1: 0, 2: 5, 3: 2}
    training_run(engine)
    made: set[tuple[int, int]] = set()
    for number, start_step in starts.items():
        claimed = queue.Claim(run_id := _only_run(engine), number, {})
        if number > 1:
            with writing(engine) as session:
                queue.reap(session, now=1000.0 * number, max_lost_workers=9)
            assert claim(engine, now=1000.0 * number + 1)
            begin(engine, claimed, start_step=start_step)
        steps = range(start_step + 1, start_step + 7)
        append(engine, claimed, [metric("x", step, number) for step in steps])
        made |= {(number, step) for step in steps}
    shown = {(value, step) for step, value in points_of(engine, run_id, "x")}
    assert shown == {(attempt, step) for attempt, step in made if not events.is_replaced(starts, attempt, step)}


def _only_run(engine: Engine) -> str:
    with reading(engine) as session:
        (run,) = run_list.list_runs(session, run_list.Filter()).runs
        return run.id


def test_a_complete_batch_is_found_again_and_nothing_else(engine: Engine) -> None:
    claimed = training_run(engine)
    before = len(sequence(engine, claimed.run_id))
    batch = [*losses(1, 2), metric("x", 3, math.nan), modules()]
    with reading(engine) as session:
        assert events.find_batch(session, claimed.run_id, 1, batch, after=0) is None
    last = append(engine, claimed, batch)
    append(engine, claimed, losses(4))
    with reading(engine) as session:
        assert events.find_batch(session, claimed.run_id, 1, batch, after=before) == last
        assert events.find_batch(session, claimed.run_id, 1, batch, after=before + 1) is None
        assert events.find_batch(session, claimed.run_id, 2, batch, after=before) is None
        assert events.find_batch(session, claimed.run_id, 1, [*batch, *losses(5)], after=before) is None
        assert events.find_batch(session, claimed.run_id, 1, batch[1:3], after=before) == before + 3


def test_reduced_series_keeps_ends_extremes_and_what_is_not_finite() -> None:
    values = np.sin(np.arange(10_000) / 50)
    values[1234], values[4321] = 50.0, math.nan
    kept = points.reduced(values, 400).tolist()
    assert len(kept) <= 410
    assert kept == sorted(kept)
    assert {0, 9999, 1234, 4321} <= set(kept)
    assert points.reduced(values[:100], 400).tolist() == list(range(100))


def test_thinned_frames_keep_prunings_and_the_last_one(engine: Engine) -> None:
    claimed = training_run(engine)
    snapshot = {"budget": 12, "live": 12, "modules": 4, "width": 3, "mask": "", "scores": ""}
    prune = {"budget": 12, "total": 12, "threshold": 0.0, "final": False, "pruned": [], "regrown": []}
    append(engine, claimed, [RanksEvent(step=step, pruning=step in (33, 77), **snapshot) for step in range(101)])
    append(engine, claimed, [PruneEvent(step=step, **prune) for step in (33, 77)])
    with reading(engine) as session:
        frames, total = snapshots.rank_frames(session, claimed.run_id, limit=10)
        inside, _ = snapshots.rank_frames(session, claimed.run_id, from_step=40, to_step=42)
    steps = [frame["step"] for frame in frames]
    assert total == 101
    assert len(steps) == 10
    assert steps == sorted(steps)
    assert {33, 77, 100} <= set(steps)
    assert [frame["step"] for frame in inside] == [40, 41, 42]


def test_unknown_run_is_named(engine: Engine) -> None:
    with reading(engine) as session, pytest.raises(NotFound, match="nobody"):
        events.last_seq(session, "nobody")


def test_best_evaluation_counts_only_from_the_final_mask_on_also_after_a_resume(engine: Engine) -> None:
    def accuracy(step: int, value: float) -> MetricsEvent:
        return metric("eval_accuracy", step, value)

    def final_mask(step: int) -> PruneEvent:
        return PruneEvent(step=step, budget=8, total=12, threshold=0.1, final=True, pruned=[], regrown=[])

    first = training_run(engine)
    append(engine, first, [accuracy(5, 0.9), accuracy(8, 0.8)])
    assert read_run(engine, first.run_id).metrics["eval_accuracy"]["max"] == 0.9
    append(engine, first, [final_mask(10), accuracy(10, 0.6), accuracy(15, 0.7)])
    run = read_run(engine, first.run_id)
    assert (run.metrics["eval_accuracy"]["max"], run.metrics["eval_accuracy"]["min"], run.settled_step) == (
        0.7,
        0.6,
        10,
    )

    with writing(engine) as session:
        queue.reap(session, now=1000, max_lost_workers=3)
    second = claim(engine, now=1001)
    assert second is not None
    begin(engine, second, start_step=12, now=1002)
    assert read_run(engine, first.run_id).metrics["eval_accuracy"]["max"] == 0.6
    with writing(engine) as session:
        queue.reap(session, now=2000, max_lost_workers=3)
    third = claim(engine, now=2001)
    assert third is not None
    begin(engine, third, start_step=7, now=2002)
    run = read_run(engine, first.run_id)
    assert (run.metrics["eval_accuracy"]["max"], run.settled_step) == (0.9, None)
