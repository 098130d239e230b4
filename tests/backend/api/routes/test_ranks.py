"""Snapshots as charts read them: columns by module, components of one module, and the recorded form."""

import base64
from collections.abc import Callable, Sequence
from typing import Any, cast

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rankscope.contract.events import PruneEvent, RanksEvent
from rankscope.contract.stored import StoredRanks
from rankscope.store.history.rank_columns import component_columns, module_columns
from tests.backend.conftest import Server
from tests.backend.store_setup import append, claim, metric, modules

MODULES, WIDTH = 5, 3


def packed(mask: Any, scores: Any, raw: Any = None) -> StoredRanks:
    def half(of: Any) -> str:
        return base64.b64encode(np.asarray(of).astype("<f2").tobytes()).decode()

    bits = base64.b64encode(np.packbits(mask, bitorder="little").tobytes()).decode()
    frame = {"mask": bits, "scores": half(scores)} | ({} if raw is None else {"raw_scores": half(raw)})
    return cast(StoredRanks, frame)


def unpacked(text: str, dtype: str, *shape: int) -> Any:
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


Masks = arrays.arrays(np.bool_, (4, MODULES, WIDTH))
Scores = st.floats(-1, 1, width=16) | st.sampled_from([np.nan, np.inf, -np.inf, 65504.0])
Halves = arrays.arrays(np.float16, (4, MODULES, WIDTH), elements=Scores)


@given(mask=Masks, scores=Halves, module=st.integers(0, MODULES - 1))
def test_columns_equal_a_naive_unpacking(mask: Any, scores: Any, module: int) -> None:
    frames = [packed(*one) for one in zip(mask, scores, strict=True)]
    columns = module_columns(frames, MODULES, WIDTH)
    for frame in range(len(mask)):
        for row in range(MODULES):
            live = [float(scores[frame, row, at]) for at in range(WIDTH) if mask[frame, row, at]]
            mean, high = _mean_and_max(live)
            assert columns.ranks[frame, row] == len(live)
            np.testing.assert_allclose(columns.mean[frame, row], mean, rtol=1e-3, atol=1e-6)
            np.testing.assert_array_equal(columns.max[frame, row], high)
    lanes = component_columns(frames, MODULES, WIDTH, module)
    np.testing.assert_equal(lanes.live, mask[:, module])
    np.testing.assert_equal(lanes.scores, scores[:, module])
    assert lanes.raw_scores is None


def _mean_and_max(live: Sequence[float]) -> tuple[np.float16, np.float16]:
    with np.errstate(all="ignore"):
        if not live:
            return np.float16(0), np.float16(0)
        total = np.float32(0)
        for score in live:
            total += np.float32(score)
        high = np.nan if np.isnan(live).any() else max(live)
        return np.float16(total / np.float32(len(live))), np.float16(high)


@pytest.fixture
def run_id(server: Server, launch: Callable[..., str]) -> str:
    """A run with five modules and six snapshots, the last three with raw scores."""
    run_id = launch()
    engine = server.app.state.resources.engine
    claimed = claim(engine)
    assert claimed
    append(engine, claimed, [modules(MODULES, WIDTH), metric("loss", 0, 1.0)])
    for step in range(6):
        mask, scores = _snapshot(step)
        frame = packed(mask, scores, scores / 2 if step > 2 else None)
        event = RanksEvent(
            step=step,
            budget=15,
            live=int(mask.sum()),
            modules=MODULES,
            width=WIDTH,
            pruning=step == 4,
            threshold=float("nan") if step else None,
            mask=frame["mask"],
            scores=frame["scores"],
            raw_scores=frame.get("raw_scores"),
        )
        append(engine, claimed, [event])
    prune = PruneEvent(step=4, budget=15, total=15, threshold=0.0, final=False, pruned=[], regrown=[])
    append(engine, claimed, [prune])
    return run_id


def _snapshot(step: int) -> tuple[Any, Any]:
    random = np.random.default_rng(step)
    return random.random((MODULES, WIDTH)) < 0.6, random.random((MODULES, WIDTH)).astype(np.float16)


def test_ranks_are_returned_in_columns_and_as_recorded(api: httpx.Client, run_id: str) -> None:
    history = api.get(f"/api/v1/runs/{run_id}/ranks").json()
    assert (len(history["modules"]), history["width"], history["total_frames"], history["is_reduced"]) == (
        5,
        3,
        6,
        False,
    )
    assert (history["steps"], history["attempts"]) == ([0, 1, 2, 3, 4, 5], [1] * 6)
    assert (history["threshold"], history["pruning"]) == ([None, *["NaN"] * 5], [False] * 4 + [True, False])
    ranks = unpacked(history["ranks"], "<u2", 6, MODULES)
    mean = unpacked(history["importance_mean"], "<f2", 6, MODULES)
    high = unpacked(history["importance_max"], "<f2", 6, MODULES)
    for step in range(6):
        mask, scores = _snapshot(step)
        assert ranks[step].tolist() == mask.sum(axis=1).tolist()
        assert history["live"][step] == mask.sum()
        for row in range(MODULES):
            expected = _mean_and_max(scores[row][mask[row]].tolist())
            np.testing.assert_allclose((mean[step, row], high[step, row]), expected, rtol=1e-3)
    thinned = api.get(f"/api/v1/runs/{run_id}/ranks?frames=2&from=1").json()
    assert (thinned["steps"], thinned["total_frames"], thinned["is_reduced"]) == ([4, 5], 5, True)
    frames = api.get(f"/api/v1/runs/{run_id}/ranks/frames?to=3").json()
    assert [frame["step"] for frame in frames["frames"]] == [0, 1, 2, 3]
    assert [frame["raw_scores"] is None for frame in frames["frames"]] == [True, True, True, False]
    assert frames["frames"][2]["mask"] == packed(*_snapshot(2))["mask"]
    assert api.get(f"/api/v1/runs/{run_id}/ranks/frames?frames=201").status_code == 422


def test_components_of_a_module_are_its_rows(api: httpx.Client, run_id: str) -> None:
    lanes = api.get(f"/api/v1/runs/{run_id}/ranks/components?module=3").json()
    assert (lanes["module"], lanes["name"], lanes["width"]) == (3, "layer.3.query", WIDTH)
    bits = np.unpackbits(unpacked(lanes["mask"], "u1", -1), bitorder="little", count=6 * WIDTH).reshape(6, WIDTH)
    scores = unpacked(lanes["scores"], "<f2", 6, WIDTH)
    raw = unpacked(lanes["raw_scores"], "<f2", 6, WIDTH)
    for step in range(6):
        mask, expected = _snapshot(step)
        assert bits[step].tolist() == mask[3].tolist()
        assert scores[step].tolist() == expected[3].tolist()
        np.testing.assert_equal(raw[step], expected[3] / 2 if step > 2 else np.full(WIDTH, np.nan))
    problem = api.get(f"/api/v1/runs/{run_id}/ranks/components?module=5")
    assert problem.status_code == 404
    assert "has no module 5; it has 5, numbered from 0" in problem.json()["detail"]


def test_ranks_are_empty_before_the_model_is_loaded(api: httpx.Client, launch: Callable[..., str]) -> None:
    run_id = launch()
    history = api.get(f"/api/v1/runs/{run_id}/ranks").json()
    assert (history["modules"], history["steps"], history["ranks"], history["last_seq"]) == ([], [], "", 1)
    assert api.get(f"/api/v1/runs/{run_id}/ranks/frames").json()["frames"] == []
