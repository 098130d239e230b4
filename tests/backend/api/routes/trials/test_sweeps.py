"""Sweeps over the API: the plan, the first runs, results, and what is refused."""

import csv
import json
from typing import Any

import httpx
import pytest

from rankscope.contract.events import MetricsEvent
from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs
from rankscope.store.database.engine import writing
from rankscope.store.history import events
from tests import sweep_recording
from tests.backend.conftest import CONFIG, Server, config_with

ASKED: dict[str, Any] = {
    "config": CONFIG,
    "parameters": {
        "training.learning_rate": {"low": 0.001, "high": 0.1, "scale": "log", "count": 3},
        "method.target_rank": {"values": [1, 2]},
    },
    "search": {"kind": "grid"},
    "seeds": [0, 1],
}


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def finish_all(server: Server, values: list[float]) -> None:
    """Acts as a worker that runs all waiting runs, which end with these accuracies."""
    for value in values:
        with writing(server.app.state.resources.engine) as session:
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=30, now=3.0)
            assert claim is not None
            queue.begin_training(session, claim.run_id, claim.attempt, start_step=0, now=3.0)
            happened = [MetricsEvent(step=100, values={"eval_accuracy": value})]
            events.append(session, claim.run_id, claim.attempt, happened, now=4.0)
            runs.transition(session, runs.get_run(session, claim.run_id), RunStatus.done, now=5.0)


def test_the_plan_says_how_many_points_and_runs_and_launches_nothing(api: httpx.Client) -> None:
    found = api.post("/api/v1/sweeps/validate", json=ASKED).json()
    assert found["problems"] == []
    plan = found["plan"]
    assert (plan["points"], plan["trials"], plan["metric"]["name"]) == (6, 12, "eval_accuracy")
    assert plan["examples"][:3] == [
        {"training.learning_rate": 0.001, "method.target_rank": 1},
        {"training.learning_rate": 0.001, "method.target_rank": 2},
        {"training.learning_rate": 0.01, "method.target_rank": 1},
    ]
    assert api.get("/api/v1/sweeps").json()["items"] == []
    assert api.get("/api/v1/runs").json()["items"] == []


def test_a_sweep_is_launched_paused_resumed_and_read(api: httpx.Client, server: Server) -> None:
    made = api.post("/api/v1/sweeps", json=ASKED | {"name": "Rates"})
    assert made.status_code == 201, made.text
    body, url = made.json(), made.headers["Location"]
    assert (body["name"], body["status"], body["trials"]["running"]) == ("Rates", "running", 12)
    paused = api.post(f"{url}/pause").json()
    assert (paused["status"], paused["trials"]["planned"], paused["trials"]["running"]) == ("paused", 12, 0)
    assert api.get("/api/v1/runs").json()["items"] == []
    assert api.post(f"{url}/pause").status_code == 409
    assert api.post(f"{url}/resume").json()["trials"]["running"] == 12
    finish_all(server, [0.5, 0.7, 0.6, 0.6, 0.8, 0.9])
    stopped = api.post(f"{url}/stop").json()["trials"]  # the server may already have noticed the end of some of them
    assert (stopped["planned"], stopped["running"] + stopped["done"]) == (6, 6)
    assert api.post(f"{url}/resume").json()["trials"]["done"] == 6
    board = api.get(f"{url}/leaderboard?limit=2").json()
    assert board["total"] == 6
    best, second = board["items"]
    assert best["values"] == {"training.learning_rate": 0.01, "method.target_rank": 1}
    assert (best["rank"], best["n"], best["min"], best["max"]) == (1, 2, 0.8, 0.9)
    assert best["mean"] == best["median"] == pytest.approx(0.85)
    assert best["sd"] == pytest.approx(0.1 / 2**0.5)
    assert [one["value"] for one in best["trials"]] == [0.8, 0.9]
    assert (second["rank"], second["mean"]) == (2, 0.6)
    (listed,) = api.get("/api/v1/sweeps").json()["items"]
    assert listed["best"] == {name: best[name] for name in ("point", "values", "mean", "sd", "n")}
    query = {"filter": f'sweep = "{body["id"]}" and status = done'}
    assert len(api.get("/api/v1/runs", params=query).json()["items"]) == 6
    lines = api.get(f"{url}/table?rows=method.target_rank&columns=training.learning_rate&format=markdown").text
    assert lines.splitlines() == [
        "| target rank | learning rate 0.001 | learning rate 0.01 |",
        "| --- | --- | --- |",
        "| 1 | 60.00 ± 14.14 | 85.00 ± 7.07 |",
        "| 2 | 60.00 ± 0.00 |  |",
    ]
    assert (
        r"1 & 60.00 $\pm$ 14.14 & 85.00 $\pm$ 7.07 \\"
        in api.get(f"{url}/table?rows=method.target_rank&columns=training.learning_rate&format=latex").text.splitlines()
    )
    points = list(csv.DictReader(api.get(f"{url}/table").text.splitlines()))
    assert [(one["point"], float(one["mean"])) for one in points] == [
        ("3", pytest.approx(0.85)),
        ("1", 0.6),
        ("2", 0.6),
    ]
    assert api.get(f"{url}/table?rows=budget").json()["errors"][0]["field"] == "rows"
    assert api.patch(url, json={"name": "Rates and ranks"}).json()["name"] == "Rates and ranks"
    assert api.delete(url).status_code == 204
    assert api.get(url).status_code == 404


def test_the_recorded_answers_of_the_page_tests_are_those_of_today(api: httpx.Client, server: Server) -> None:
    recorded = json.loads(sweep_recording.FILE.read_text(encoding="utf-8"))
    assert sweep_recording.record(api, server.app) == recorded, "run `make recordings` and look at the difference"
    analysis = recorded["done"]["analysis"]
    pairs = [(line["values"][0], line["value"]) for line in analysis["lines"]]
    (correlation,) = analysis["correlations"]
    assert (correlation["name"], correlation["n"]) == ("training.learning_rate", 12)
    assert correlation["rho"] == pytest.approx(spearman(pairs))
    first, second = analysis["importance"]
    assert (first["name"], second["name"]) == ("training.learning_rate", "method.score")
    assert first["share"] + second["share"] == pytest.approx(1)


def spearman(pairs: list[tuple[float, float]]) -> float:
    """Spearman correlation of values without ties: 1 - 6 sum d^2 / (n (n^2 - 1))."""
    n = len(pairs)
    ranks = [[sorted(side).index(value) for value in side] for side in zip(*pairs, strict=True)]
    distances: list[int] = [abs(one - other) for one, other in zip(*ranks, strict=True)]
    return 1 - 6 * sum(one * one for one in distances) / (n * (n * n - 1))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"parameters": {}}, "parameters"),
        ({"parameters": {"training.learningrate": {"values": [1]}}}, "parameters.training.learningrate"),
        ({"parameters": {"training.seed": {"values": [1]}}}, "parameters.training.seed"),
        ({"parameters": {"method.score": {"low": 1, "high": 2, "count": 2}}}, "parameters.method.score.low"),
        ({"parameters": {"method.score": {"values": ["typo"]}}}, "parameters.method.score"),
        ({"parameters": {"training.learning_rate": {"values": [0.1, -1]}}}, "parameters.training.learning_rate"),
        ({"parameters": {"training.learning_rate": {"low": 1, "high": 0.1}}}, "parameters.training.learning_rate.high"),
        ({"parameters": {"training.weight_decay": {"low": 0, "high": 1}}}, "parameters.training.weight_decay.count"),
        (
            {"parameters": {"training.batch_size": {"low": 1.5, "high": 4, "count": 2}}},
            "parameters.training.batch_size.low",
        ),
        ({"parameters": {"budget": {"values": ["two"]}}}, "parameters.budget"),
        ({"parameters": {"budget": {"low": 0, "high": 4, "count": 2}}}, "parameters.budget"),
        (
            {"parameters": {"budget": {"values": [2]}, "method.target_rank": {"values": [2]}}},
            "parameters.method.target_rank",
        ),
        ({"parameters": {"method.name": {"values": ["lora", "loro"]}}}, "parameters.method.name"),
        (
            {"parameters": {"method.beta": {"values": [0.5]}, "method.name": {"values": ["full"]}}},
            "parameters.method.beta",
        ),
        (
            {"parameters": {f"method.{name}": {"low": 0.1, "high": 0.2, "count": 50} for name in ("beta", "eta")}},
            "parameters",
        ),
        ({"parameters": {"model.id": {"values": ["local:none"]}}}, "parameters.model.id"),
        ({"search": {"kind": "grid", "points": 3}}, "search.points"),
        ({"search": {"kind": "walk"}}, "search.kind"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"metric": "eval_bleu"}, "metric"),
        ({"config": config_with(**{"model.id": "local:none"})}, "config.model.id"),
        ({"seed": [1]}, "seed"),
    ],
)
def test_a_wrong_request_is_refused_at_its_field_by_both_routes(
    api: httpx.Client, changes: dict[str, Any], field: str
) -> None:
    checked = api.post("/api/v1/sweeps/validate", json=ASKED | changes).json()
    refused = api.post("/api/v1/sweeps", json=ASKED | changes | {"name": "x"})
    assert checked["plan"] is None
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == checked["problems"][0]["field"] == field
    assert checked["problems"][0]["next_step"]
