"""Curves of several runs: thinned on any axis, and mean and spread over the seeds of a group."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from rankscope.comparison.curves import compared_curves, significant
from rankscope.comparison.groups import seed_groups, single_groups
from rankscope.contract.config import RunConfig
from rankscope.store import runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.schema import migrate
from rankscope.store.history import snapshots
from rankscope.store.history.rank_columns import module_columns, module_ranks
from tests.backend.store_setup import points_of
from tests.bench.finished_runs import FinishedRun, dynamic, lora, record

STEPS = 60


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, list[str]]]:
    """Three seeds of one configuration, and another run without prunings."""
    folder: Path = tmp_path_factory.mktemp("compared")
    engine = create_engine(f"sqlite:///{folder / 'a.db'}")
    migrate(engine)
    stories = [FinishedRun(f"dynamic, seed {seed}", dynamic(2), seed, width=4, mean_rank=2) for seed in range(3)]
    stories.append(FinishedRun("LoRA", lora(2), 0, width=2, mean_rank=2))
    small = {"steps": STEPS, "snapshots": 7, "modules": 6, "size": 8, "eval_every": 20}
    yield (
        engine,
        [record(engine, FinishedRun(**vars(one) | small), now=1e9 + 1000 * place) for place, one in enumerate(stories)],
    )
    engine.dispose()


def curves_of(filled: tuple[Engine, list[str]], name: str, axis: str, *, by_seed: bool = False, points: int = 400):  # type: ignore[no-untyped-def]
    engine, ids = filled
    with reading(engine) as session:
        found = runs.find_runs(session, ids)
        configs = [RunConfig.stored(run.config) for run in found]
        groups = (seed_groups if by_seed else single_groups)(found, configs)
        curves, unplaced = compared_curves(session, found, configs, groups, [name], axis, points=points)  # type: ignore[arg-type]
    return groups, curves, unplaced


def test_groups_are_runs_that_differ_only_in_their_seed(filled: tuple[Engine, list[str]]) -> None:
    groups, _, _ = curves_of(filled, "train_loss", "step", by_seed=True)
    assert [(group.name, group.members, group.seeds) for group in groups] == [
        ("dynamic", (0, 1, 2), (0, 1, 2)),
        ("LoRA", (3,), (0,)),
    ]


def test_mean_and_spread_equal_those_of_the_recorded_points(filled: tuple[Engine, list[str]]) -> None:
    engine, ids = filled
    _, (band, alone), _ = curves_of(filled, "eval_accuracy", "step", by_seed=True)
    each = np.array([[value for _, value in points_of(engine, run_id, "eval_accuracy")] for run_id in ids[:3]])
    assert band.x.tolist() == [20, 40, 60]
    np.testing.assert_allclose(band.values, each.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(band.sd, each.std(axis=0, ddof=1), rtol=1e-4)
    assert band.runs == [3, 3, 3]
    assert (alone.sd, alone.runs) == (None, None)


def test_runs_with_different_positions_are_averaged_in_bins(filled: tuple[Engine, list[str]]) -> None:
    # On a time axis, every run has its own positions.
    _, (band, _), _ = curves_of(filled, "train_loss", "time", by_seed=True, points=12)
    assert len(band.x) == 12
    assert band.x[0] == pytest.approx(3 + STEPS * 0.12 / 24, rel=0.1)
    engine, ids = filled
    every = [value for run_id in ids[:3] for _, value in points_of(engine, run_id, "train_loss")]
    assert np.average(band.values) == pytest.approx(np.mean([float(value) for value in every]), rel=0.02)


def test_a_mean_over_live_parameters_is_in_the_order_of_the_training(filled: tuple[Engine, list[str]]) -> None:
    _, (band, _), _ = curves_of(filled, "train_loss", "live_parameters", by_seed=True, points=12)
    assert band.x.tolist() == sorted(band.x, reverse=True)
    assert band.values[0] > band.values[-1]  # the loss falls


def test_axes_place_the_points_of_a_run(filled: tuple[Engine, list[str]]) -> None:
    engine, ids = filled

    def x_of(axis: str) -> list[float]:
        _, curves, unplaced = curves_of(filled, "eval_accuracy", axis)
        assert unplaced == []
        return [float(x) for x in curves[0].x]

    assert x_of("step") == [20, 40, 60]
    assert x_of("progress") == pytest.approx([1 / 3, 2 / 3, 1], rel=1e-5)
    assert x_of("rows") == [20 * 8, 40 * 8, 60 * 8]
    assert x_of("tokens") == [20 * 8 * 96, 40 * 8 * 96, 60 * 8 * 96]
    # The attempt began 3 s before the first step.
    assert x_of("time") == pytest.approx([3 + step * 0.12 for step in (20, 40, 60)], rel=1e-5)
    live = x_of("live_parameters")
    assert live == sorted(live, reverse=True)
    with reading(engine) as session:
        assert live[-1] == runs.get_run(session, ids[0]).kept_parameters


def test_a_run_without_a_count_of_its_tokens_says_why_it_is_not_drawn(filled: tuple[Engine, list[str]]) -> None:
    engine, ids = filled
    with writing(engine) as session:
        run = runs.get_run(session, ids[3])
        before, run.metrics = run.metrics, {name: one for name, one in run.metrics.items() if name != "tokens_seen"}
        session.add(run)
    _, curves, unplaced = curves_of(filled, "eval_accuracy", "tokens")
    assert len(curves) == 3
    assert [(one.run_id, "earlier version" in one.reason) for one in unplaced] == [(ids[3], True)]
    with writing(engine) as session:
        run = runs.get_run(session, ids[3])
        run.metrics = before
        session.add(run)


def test_a_thinned_curve_keeps_the_extremes(filled: tuple[Engine, list[str]]) -> None:
    engine, ids = filled
    _, curves, _ = curves_of(filled, "grad_norm", "step", points=12)
    every = [float(value) for _, value in points_of(engine, ids[0], "grad_norm")]
    assert len(curves[0].x) < len(every) == curves[0].total_points
    assert (max(curves[0].values), min(curves[0].values)) == pytest.approx((max(every), min(every)), rel=1e-5)


def test_smoothing_averages_over_all_points_before_thinning(filled: tuple[Engine, list[str]]) -> None:
    engine, ids = filled
    every = [float(value) for _, value in points_of(engine, ids[0], "train_loss")]
    average, weight = [], 0.0
    total = 0.0
    for value in every:
        total, weight = 0.9 * total + value, 0.9 * weight + 1
        average.append(total / weight)
    with reading(engine) as session:
        found = runs.find_runs(session, ids[:1])
        configs = [RunConfig.stored(run.config) for run in found]
        (curve,), _ = compared_curves(
            session, found, configs, single_groups(found, configs), ["train_loss"], "step", points=400, smooth=0.9
        )
    np.testing.assert_allclose(curve.values, average, rtol=1e-5)


def test_masks_without_scores_give_the_same_ranks(filled: tuple[Engine, list[str]]) -> None:
    engine, ids = filled
    with reading(engine) as session:
        event = snapshots.modules_event(session, ids[0])
        assert event
        frames, _ = snapshots.rank_frames(session, ids[0], limit=5)
        masks = snapshots.live_masks(session, ids[0], event, limit=5)
    assert [one["step"] for one in masks] == [frame["step"] for frame in frames]
    np.testing.assert_array_equal(module_ranks(masks, 6, 4), module_columns(frames, 6, 4).ranks)


def test_significant_digits_of_any_number() -> None:
    values = np.array([0.0, -1.23456789, 1e-12, 123456789.0, np.nan, np.inf, 1e300, 3e-300])
    expected = [float(f"{value:.6g}") for value in values]
    np.testing.assert_allclose(significant(values), expected, rtol=1e-12)
