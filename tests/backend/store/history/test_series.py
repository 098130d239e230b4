"""Series from chunks have the same points as the events, for any sequence of records, resumes and requests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Phase_
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select
from sqlmodel import col, delete

from rankscope.contract.events import MetricsEvent, PhaseEvent, PruneEvent, RunEvent
from rankscope.contract.status import Phase
from rankscope.contract.tables import Chunk, Event, Run
from rankscope.store import queue
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import chunks, events
from rankscope.store.history.points import Points, marked, pack, smoothed, unpack
from rankscope.store.history.rebuild import rebuild_metrics
from rankscope.store.history.series import Curve, Steps, read_curves
from tests.backend.store_setup import append, begin, claim, metric, points_of, read_run, training_run
from tests.wide import wide

NAMES = ["eval_accuracy", "loss", "rare"]
ODD = [math.nan, math.inf, -math.inf]
Numbers = st.one_of(st.integers(-5, 5).map(float), st.sampled_from(ODD), st.floats(-1e6, 1e6))


@dataclass(frozen=True)
class Life:
    """One attempt: where it begins, and the events of each append; (step ahead, values) or None for another event."""

    start_step: int
    batches: list[list[tuple[int, dict[str, float]] | None]]


@st.composite
def lives(draw: st.DrawFn) -> list[Life]:
    values = st.dictionaries(st.sampled_from(NAMES), Numbers, min_size=1)
    event = st.one_of(st.tuples(st.integers(0, 2), values), st.tuples(st.just(1), values), st.none())
    batches = st.lists(st.lists(event, min_size=1, max_size=12), min_size=1, max_size=6)
    return draw(st.lists(st.builds(Life, st.integers(0, 30), batches), min_size=1, max_size=4))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of few events, whose reduced form leaves points out."""
    monkeypatch.setattr(chunks, "EVENTS_A_CHUNK", 7)
    monkeypatch.setattr(chunks, "_MAX_EVENTS", 9)
    monkeypatch.setattr(chunks, "REDUCED_POINTS", 4)
    monkeypatch.setattr("rankscope.store.history.series.REDUCED_POINTS", 4)


def live(engine: Engine, every: list[Life], first: Sequence[RunEvent] = ()) -> str:
    """Records these lives as the attempts of one run, after the events `first`, and returns its id."""
    with writing(engine) as session:
        session.execute(delete(Run))
    claimed = training_run(engine)
    if first:
        append(engine, claimed, first)
    for number, life in enumerate(every, start=1):
        mine = queue.Claim(claimed.run_id, number, {})
        if number > 1:
            with writing(engine) as session:
                queue.reap(session, now=1000.0 * number, max_lost_workers=99)
            assert claim(engine, now=1000.0 * number + 1)
            begin(engine, mine, start_step=life.start_step)
        step = life.start_step if number > 1 else 0
        for index, batch in enumerate(life.batches):
            made: list[RunEvent] = []
            for one in batch:
                if one is None:
                    made.append(PhaseEvent(phase=Phase.training))
                else:
                    step += one[0]
                    made.append(MetricsEvent(step=step, values=one[1]))
            append(engine, mine, made, now=1000.0 * number + 10 + index)
    return claimed.run_id


Plain = dict[int, list[tuple[int, float, float]]]
"""Attempt -> (step, time, value) in the order of events."""


def plain(engine: Engine, run_id: str, *, is_ghost: bool = False) -> dict[str, Plain]:
    """Name -> attempt -> (step, time, value) from the events themselves; those that are shown, or those that are not."""
    with reading(engine) as session:
        recorded = events.read_after(session, run_id, 0, limit=1_000_000)
        cuts = events.cuts(session, run_id)
    found: dict[str, Plain] = {}
    for event in recorded:
        if event["kind"] != "metrics":
            continue
        cut = cuts[event["attempt"]]
        if (cut is not None and event["step"] > cut) == is_ghost:
            for name, value in event["values"].items():
                point = (event["step"], event["time"], float(value))
                found.setdefault(name, {}).setdefault(event["attempt"], []).append(point)
    return found


def rows(of: Points) -> list[tuple[int, float, str]]:
    return [
        (step, time, str(value))
        for step, time, value in zip(of.steps.tolist(), of.times.tolist(), of.values.tolist(), strict=True)
    ]


def expected(of: Plain, within: Steps) -> list[tuple[int, float, str]]:
    every = [point for attempt in sorted(of) for point in of[attempt] if within.first <= point[0] <= within.last]
    return [(step, time, str(value)) for step, time, value in sorted(every, key=lambda point: point[0])]


def curves(engine: Engine, run_id: str, names: list[str] | None = None, **asked: object) -> dict[str, Curve]:
    with reading(engine) as session:
        return read_curves(session, run_id, names, **asked)  # type: ignore[arg-type]


EXAMPLES = 25
ON_EACH_DATABASE = pytest.mark.parametrize(
    ("database_kind", "examples"), [("sqlite", EXAMPLES), ("postgresql", 8), *wide(("postgresql", EXAMPLES))]
)
SETTINGS = settings(
    max_examples=EXAMPLES,
    phases=[Phase_.explicit, Phase_.reuse, Phase_.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@ON_EACH_DATABASE
def test_series_through_chunks_and_tail_equal_the_events(small_chunks: None, engine: Engine, examples: int) -> None:
    @settings(SETTINGS, max_examples=examples)
    @given(every=lives(), first=st.integers(0, 40), length=st.integers(0, 40), weight=st.sampled_from([0.0, 0.5, 0.99]))
    def holds(every: list[Life], first: int, length: int, weight: float) -> None:
        run_id = live(engine, every)
        shown, hidden = plain(engine, run_id), plain(engine, run_id, is_ghost=True)
        within = Steps(first, first + length)
        for steps in (Steps(), within):
            found = curves(engine, run_id, within=steps, with_ghosts=True, smooth=weight)
            assert list(found) == sorted(shown)
            for name, curve in found.items():
                assert rows(curve.points) == expected(shown[name], steps)
                assert curve.total == len(curve.points)
                ghosts = {attempt: rows(ghost) for attempt, ghost in curve.ghosts}
                wanted = {attempt: expected({attempt: of}, steps) for attempt, of in hidden.get(name, {}).items()}
                assert ghosts == {attempt: of for attempt, of in wanted.items() if of}
                if weight:
                    whole = expected(shown[name], Steps())
                    average = naive_average([float(value) for _, _, value in whole], weight)
                    inside = [
                        one
                        for (step, _, _), one in zip(whole, average, strict=True)
                        if steps.first <= step <= steps.last
                    ]
                    assert curve.smoothed is not None
                    np.testing.assert_allclose(curve.smoothed, inside, rtol=1e-9, atol=1e-9)

    holds()


@pytest.mark.parametrize("database_kind", ["sqlite", *wide("postgresql")])  # points are left out in Python
@SETTINGS
@given(every=lives(), limit=st.integers(4, 40), first=st.integers(0, 40), length=st.integers(0, 40))
def test_a_reduced_series_keeps_ends_extremes_and_what_is_not_finite(
    small_chunks: None, engine: Engine, every: list[Life], limit: int, first: int, length: int
) -> None:
    run_id = live(engine, every)
    shown = plain(engine, run_id)
    for steps in (Steps(), Steps(first, first + length)):
        for name, curve in curves(engine, run_id, limit=limit, within=steps).items():
            whole, kept = expected(shown[name], steps), rows(curve.points)
            assert curve.total == len(whole)
            assert not set(kept) - set(whole)
            values, of_kept = [[float(value) for _, _, value in some] for some in (whole, kept)]
            odd = [value for value in values if not math.isfinite(value)]
            assert sorted(map(str, odd)) == sorted(str(value) for value in of_kept if not math.isfinite(value))
            finite = [value for value in values if math.isfinite(value)]
            if finite:
                assert (min(finite), max(finite)) == (
                    min(filter(math.isfinite, of_kept)),
                    max(filter(math.isfinite, of_kept)),
                )
            assert kept[:1] + kept[-1:] == whole[:1] + whole[-1:]
            assert len(kept) <= limit + 4 + len(odd)
            if len(whole) <= limit:
                assert kept == whole


@ON_EACH_DATABASE
def test_rebuilt_summaries_equal_incremental_ones(small_chunks: None, engine: Engine, examples: int) -> None:
    """For a run with one attempt, of which nothing is replaced."""

    @settings(SETTINGS, max_examples=examples)
    @given(every=lives(), settled_step=st.none() | st.integers(0, 40))
    def holds(every: list[Life], settled_step: int | None) -> None:
        final = PruneEvent(step=settled_step or 0, budget=1, total=1, threshold=0.0, final=True, pruned=[], regrown=[])
        run_id = live(engine, every[:1], first=[] if settled_step is None else [final])
        before = read_run(engine, run_id).metrics
        with writing(engine) as session:
            rebuild_metrics(session, run_id)
        assert read_run(engine, run_id).metrics == before

    holds()


def naive_average(values: list[float], weight: float) -> list[float]:
    average, total, found = 0.0, 0.0, []
    for value in values:
        if math.isfinite(value):
            average = weight * average + (1 - weight) * value
            total = weight * total + (1 - weight)
        found.append(average / total if total else math.nan)
    return found


@pytest.mark.parametrize("weight", [0.1, 0.6, 0.9, 0.999, 0.99999])
def test_smoothing_equals_a_naive_loop_over_many_blocks(weight: float) -> None:
    values = np.random.default_rng(0).normal(3, 1, 3000)
    values[[0, 1, 500]] = math.nan, math.inf, -math.inf
    np.testing.assert_allclose(smoothed(values, weight), naive_average(values.tolist(), weight), rtol=1e-9)
    assert np.isnan(smoothed(np.array([math.nan, math.nan]), weight)).all()


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.floats(0, 2e9), st.floats(width=64)), max_size=50))
def test_packed_points_come_back_to_the_bit(every: list[tuple[int, float, float]]) -> None:
    steps, times, values = ([one[column] for one in every] for column in range(3))
    of = Points(np.array(steps, np.int32), np.array(times, np.float64), np.array(values, np.float64))
    back = unpack(pack(of))
    assert len(pack(of)) == 20 * len(every)
    for column in ("steps", "times", "values"):
        assert getattr(back, column).tobytes() == getattr(of, column).tobytes()


def test_curves_are_read_from_chunks_and_only_the_newest_events(engine: Engine) -> None:
    """Without the packed events, the series is still complete; a narrow range is exact."""
    claimed = training_run(engine)
    for begin_at in range(1, 10_001, 500):
        append(engine, claimed, [metric("loss", step, math.sin(step)) for step in range(begin_at, begin_at + 500)])
    run = read_run(engine, claimed.run_id)
    assert run.last_seq - chunks.EVENTS_A_CHUNK < run.chunked_seq < run.last_seq
    with writing(engine) as session:
        session.execute(delete(Event).where(col(Event.seq) <= run.chunked_seq))
        assert session.scalar(select(func.count()).select_from(Chunk)) == 6
    whole = [(step, math.sin(step)) for step in range(1, 10_001)]
    assert points_of(engine, claimed.run_id, "loss") == whole
    for limit, within, is_exact in (
        (100, Steps(), False),
        (100, Steps(3000, 3099), True),
        (100, Steps(3000, 6000), False),
    ):
        (curve,) = curves(engine, claimed.run_id, ["loss"], limit=limit, within=within).values()
        inside = [point for point in whole if within.first <= point[0] <= within.last]
        kept = list(zip(curve.points.steps.tolist(), marked(curve.points.values), strict=True))
        assert curve.total == len(inside)
        assert set(kept) <= set(inside)
        assert (kept == inside) == is_exact
        assert max(value for _, value in kept) == max(value for _, value in inside)
    assert curves(engine, claimed.run_id, ["nothing"])["nothing"].total == 0


def test_chunks_are_deleted_with_their_run(engine: Engine) -> None:
    claimed = training_run(engine)
    append(engine, claimed, [metric("loss", step, 1.0) for step in range(3000)])
    with writing(engine) as session:
        assert session.scalar(select(func.count()).select_from(Chunk))
        session.execute(delete(Run))
        assert session.scalar(select(func.count()).select_from(Chunk)) == 0
