"""Small curves of runs: the shape of what was recorded, from events, chunks, and the newest attempt."""

import math
import statistics

import pytest
from sqlalchemy import Engine

from rankscope.store import queue
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import chunks
from rankscope.store.history.sparklines import LEVELS, Sparkline, read_sparklines
from tests.backend.store_setup import append, begin, claim, metric, queued_run, training_run


def lines(engine: Engine, *run_ids: str) -> dict[str, Sparkline]:
    with reading(engine) as session:
        return read_sparklines(session, run_ids, "loss")


def test_levels_are_the_means_of_equal_parts_of_the_steps(engine: Engine) -> None:
    claimed = training_run(engine)
    values = [math.cos(step) for step in range(2 * LEVELS)]
    append(engine, claimed, [metric("loss", step, value) for step, value in enumerate(values)])
    append(engine, claimed, [metric("other", 2 * LEVELS, 1e9), metric("loss", 2 * LEVELS, math.nan)])
    line = lines(engine, claimed.run_id, "unknown")[claimed.run_id]
    length = (2 * LEVELS - 1) / LEVELS
    means = [
        statistics.fmean(value for step, value in enumerate(values) if min(int(step / length), LEVELS - 1) == place)
        for place in range(LEVELS)
    ]
    low, high = min(means), max(means)
    assert line.levels == [round(99 * (mean - low) / (high - low)) for mean in means]
    assert line.first == pytest.approx(means[0], rel=1e-3)
    assert line.last == pytest.approx(means[-1], rel=1e-3)


def test_a_long_curve_keeps_its_shape_without_what_a_resume_replaced(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "EVENTS_A_CHUNK", 20)
    monkeypatch.setattr(chunks, "_MAX_EVENTS", 40)
    claimed = training_run(engine)
    waiting = queued_run(engine, now=5.0)
    for start in range(0, 900, 30):
        # After step 400, the first attempt diverges.
        append(
            engine,
            claimed,
            [metric("loss", step, 1000.0 - step if step <= 400 else 1e6) for step in range(start, start + 30)],
        )
    with writing(engine) as session:
        queue.reap(session, now=1000.0, max_lost_workers=9)
    resumed = queue.Claim(claimed.run_id, 2, {})
    again = claim(engine, now=1001.0)
    assert again
    assert again.run_id == claimed.run_id
    begin(engine, resumed, start_step=400)
    append(engine, resumed, [metric("loss", step, 1000.0 - step) for step in range(401, 1000)], now=1002.0)
    found_lines = lines(engine, claimed.run_id, waiting)
    assert set(found_lines) == {claimed.run_id}, "a run without points has no curve"
    expected = [99 - 99 * place / (LEVELS - 1) for place in range(LEVELS)]
    assert found_lines[claimed.run_id].levels == pytest.approx(expected, abs=4)
