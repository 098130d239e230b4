"""Health over the API, on each kind of database: conditions of machine, loss and ranks that events cause."""

import base64
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine

from rankscope.contract.events import MetricsEvent, PhaseEvent, PruneEvent, RanksEvent, RunEvent, WarningEvent
from rankscope.contract.status import Phase
from rankscope.settings import Settings
from rankscope.store.database.engine import writing
from rankscope.store.queue import Claim, reap, renew_lease
from tests.backend.conftest import Server, config_with
from tests.backend.store_setup import append, begin, claim, modules, queued_run
from tests.stack import wait_for

LORA = config_with(method={"name": "lora", "rank": 3})


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


@pytest.fixture
def start(launch: Callable[..., str], engine: Engine) -> Callable[..., Claim]:
    """Launches a run that a worker claims and begins to train, by default just now."""

    def start(age_s: float = 0.0, **fields: Any) -> Claim:
        launch(**fields)
        then = time.time() - age_s
        claimed = claim(engine, worker="w1", now=then)
        assert claimed
        begin(engine, claimed, now=then)
        append(engine, claimed, [PhaseEvent(phase=Phase.training, step=0)], now=then)
        return claimed

    return start


def health(api: httpx.Client, run_id: str) -> dict[str, dict[str, Any]]:
    answer = api.get(f"/api/v1/runs/{run_id}/health")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert abs(body["checked_at"] - time.time()) < 60
    assert all(item["message"] and item["next_step"] for item in body["items"])
    return {item["code"]: item for item in body["items"]}


def snapshot(step: int, mask: list[list[int]], score: float | None = None, **fields: Any) -> RanksEvent:
    bits = np.array(mask, bool)
    scores = np.full(bits.shape, score) if score is not None else np.arange(1, bits.size + 1).reshape(bits.shape)
    known = {"budget": int(bits.sum()), "live": int(bits.sum())}
    return RanksEvent(
        step=step,
        modules=bits.shape[0],
        width=bits.shape[1],
        **{**known, **fields},
        mask=base64.b64encode(np.packbits(bits.reshape(-1), bitorder="little").tobytes()).decode(),
        scores=base64.b64encode(scores.astype("<f2").tobytes()).decode(),
    )


def losses(values: list[float]) -> list[RunEvent]:
    return [MetricsEvent(step=step, values={"train_loss": value}) for step, value in enumerate(values, start=1)]


WHOLE = [[1, 1, 1]] * 4


def test_a_waiting_or_healthy_run_has_no_findings(
    api: httpx.Client, launch: Callable[..., str], start: Callable[..., Claim], engine: Engine
) -> None:
    assert health(api, launch(priority=-1)) == {}
    run = start()
    append(engine, run, [modules(), snapshot(5, WHOLE), *losses([0.7, 0.6])], now=time.time())
    assert health(api, run.run_id) == {}
    assert api.get("/api/v1/runs/nothere/health").status_code == 404


def test_ranks_that_never_move_and_scores_that_are_equal(
    api: httpx.Client, start: Callable[..., Claim], engine: Engine
) -> None:
    run = start()
    append(engine, run, [modules(), snapshot(60, WHOLE, score=0.5, budget=8)], now=time.time())
    found = health(api, run.run_id)
    assert found.keys() == {"ranks_never_move", "budget_out_of_reach", "scores_equal"}
    assert found["ranks_never_move"]["severity"] == "error"
    assert "All 4 modules still have rank 3 at step 60: nothing has been pruned" in found["ranks_never_move"]["message"]
    assert "All 12 live components have the score 0.5 at step 60" in found["scores_equal"]["message"]
    assert found["budget_out_of_reach"]["message"].startswith("Pruning ended at step 50, and 12 components are live")


def test_more_components_than_the_budget_after_a_pruning(
    api: httpx.Client, start: Callable[..., Claim], engine: Engine
) -> None:
    run = start()
    mask = [[1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 0, 0]]
    change = {"module": 3, "component": 0, "score": 0.1, "order": 12}
    pruning = PruneEvent.model_validate(
        {"step": 40, "budget": 8, "total": 12, "threshold": 0.2, "final": False, "pruned": [change], "regrown": []}
    )
    append(engine, run, [modules(), snapshot(40, mask, budget=8, pruning=True), pruning], now=time.time())
    found = health(api, run.run_id)
    assert found.keys() == {"budget_out_of_reach", "module_at_rank_0"}
    assert (
        "9 components are live at step 40, and the budget of this step is 8" in found["budget_out_of_reach"]["message"]
    )
    assert "1 of 4 modules have rank 0 at step 40: layer.3.query" in found["module_at_rank_0"]["message"]


def test_scores_and_losses_that_are_nan(api: httpx.Client, start: Callable[..., Claim], engine: Engine) -> None:
    run = start()
    nan = float("nan")
    append(engine, run, [modules(), snapshot(5, WHOLE, score=nan), *losses([0.7, nan])], now=time.time())
    found = health(api, run.run_id)
    assert (found["scores_nan"]["step"], found["loss_nan"]["step"]) == (5, 2)
    assert found["loss_nan"]["message"] == "The loss is nan at step 2."
    words = WarningEvent(code="nan_loss", message="As the training says it.", next_step="Do this.", step=2)
    append(engine, run, [words], now=time.time())
    told = health(api, run.run_id)["loss_nan"]
    assert (told["message"], told["next_step"]) == ("As the training says it.", "Do this.")
    append(engine, run, [MetricsEvent(step=3, values={"train_loss": 0.6})], now=time.time())
    assert health(api, run.run_id)["loss_nan"]["severity"] == "info"


def test_a_loss_that_diverges_within_many_chunks(
    api: httpx.Client, start: Callable[..., Claim], engine: Engine
) -> None:
    run = start(config=LORA)
    falling = [0.7 / (1 + step / 200) + 0.05 * (-1) ** step for step in range(4000)]
    append(engine, run, losses(falling), now=time.time())
    assert health(api, run.run_id) == {}
    rising = [MetricsEvent(step=4001 + step, values={"train_loss": 0.1 + step / 500}) for step in range(1500)]
    append(engine, run, rising, now=time.time())
    found = health(api, run.run_id)
    assert found.keys() == {"loss_diverging"}
    assert found["loss_diverging"]["severity"] == "warning"


def test_a_collapsed_speed_and_a_stalled_training(
    api: httpx.Client, start: Callable[..., Claim], engine: Engine
) -> None:
    run = start(config=LORA)
    speeds = [4.0] * 30 + [0.8] * 6
    batch = [
        MetricsEvent(step=step, values={"train_loss": 0.5, "steps_per_second": speed})
        for step, speed in enumerate(speeds, start=1)
    ]
    append(engine, run, batch, now=time.time())
    slow = health(api, run.run_id)["throughput_collapse"]
    assert slow["message"].startswith("0.8 steps per second at step 36; the median of this attempt is 4")
    # The next attempt is not judged by the speeds of this one.
    with writing(engine) as session:
        assert reap(session, now=time.time() + 1000, max_lost_workers=3) == [run.run_id]
    again = claim(engine)
    assert again is not None
    assert again.run_id == run.run_id
    assert "throughput_collapse" not in health(api, run.run_id)
    still = start(age_s=25.0, config=LORA)
    append(engine, still, batch[:20], now=time.time() - 25)
    assert "throughput_collapse" not in health(api, still.run_id)
    long_ago = start(age_s=300.0, config=LORA)
    append(engine, long_ago, batch[:20], now=time.time() - 300)
    found = health(api, long_ago.run_id)
    assert found["throughput_collapse"]["message"].startswith("No step has ended for 30")


def test_a_worker_that_does_not_renew_its_lease_is_late_by_the_servers_own_clock(
    catalogue: Settings, serve: Callable[..., Server]
) -> None:
    server = serve(catalogue.model_copy(update={"lease_s": 14.0}))
    engine = server.app.state.resources.engine
    claims = []
    # The clocks of the two hosts: an hour fast, and an hour slow.
    for worker, offset_s in (("silent", 3600), ("renewing", -3600)):
        queued_run(engine)
        claimed = claim(engine, worker=worker, now=time.time() + offset_s)
        assert claimed
        begin(engine, claimed, now=time.time())
        claims.append(claimed)
    silent, renewing = claims
    with server.client() as api:

        def late() -> dict[str, Any] | None:
            with writing(engine) as session:
                renew_lease(session, renewing.run_id, renewing.attempt, lease_s=14.0, now=time.time() - 3600)
            assert "heartbeat_late" not in health(api, renewing.run_id)
            return health(api, silent.run_id).get("heartbeat_late")

        assert late() is None
        found = wait_for("the silent worker to be late", late, deadline_s=60, every_s=0.5)
        assert found is not None
        assert found["severity"] == "warning"
        assert found["message"].startswith("Worker silent last renewed its lease ")
