"""Every response about a run has a bounded size, for any configuration and any length of run."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, insert, update
from sqlmodel import col

from rankscope.contract.events import ComponentChange, PruneEvent, RanksEvent, RunEvent
from rankscope.contract.tables import Attempt, Checkpoint, Run
from rankscope.store.database.engine import writing
from tests.backend.conftest import Server, config_with
from tests.backend.store_setup import append, begin, claim, losses, modules, queued_run

Launch = Callable[..., str]
ANSWER_BYTES = 200_000


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


def largest() -> dict[str, Any]:
    """The largest configuration that is accepted, with all its related data."""
    config = config_with(
        **{
            "method.prune_interval": 1,
            "method.warmup_ratio": 0.0,
            "method.prune_end_ratio": 1.0,
            "training.max_steps": 10_000_000,
        }
    )
    config["steering"] = [
        {"step": 1 + 9_000 * place, "action": "target", "target_rank": 1 + place % 3} for place in range(1000)
    ]
    # A name that ends in "query" fits; each has the maximum length.
    config["method"]["target_modules"] = ["query"] + ["value"] * 400
    return {
        "config": config,
        "name": "🎈" * 200,
        "tags": [f"{tag:02}" + "🎈" * 48 for tag in range(50)],
        "notes": "🎈" * 15_000,
    }


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_largest_run_that_is_taken_is_answered_in_200_kilobytes(api: httpx.Client) -> None:
    made = api.post("/api/v1/runs", json=largest())
    assert made.status_code == 201, made.text[:500]
    run = made.json()
    assert len(made.content) <= ANSWER_BYTES
    assert run["pruning_count"] == 10_000_000
    assert len(run["planned_budget"]) <= 500
    assert len(run["pruning_steps"]) <= 500
    verdict = api.post("/api/v1/runs/validate", json={"config": largest()["config"]})
    assert verdict.json()["plan"]["pruning_count"] == 10_000_000
    for path in (f"/runs/{run['id']}", "/runs", "/queue", f"/runs/{run['id']}/tree", f"/runs/{run['id']}/health"):
        assert len(api.get(f"/api/v1{path}").content) <= ANSWER_BYTES
    # Twice as much is too large, and the error reports its size.
    over = largest()["config"] | {"steering": []}
    over["method"] |= {"name": "control", "rank_pattern": {f"layer.{place}.{'x' * 250}": 1 for place in range(1000)}}
    for name in set(over["method"]) - {"name", "rank_pattern"}:
        del over["method"][name]
    refused = api.post("/api/v1/runs", json={"config": over})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "config")
    assert "at most 100,000" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "x" * 201}, "name"),
        ({"name": "\x1b[31mred"}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"tags": ["x"] * 51}, "tags"),
        ({"tags": ["x" * 51]}, "tags.0"),
        ({"tags": ["nul \x00"]}, "tags.0"),
        ({"notes": "x" * 15_001}, "notes"),
        ({"notes": "bell \x07"}, "notes"),
        ({"priority": 10**30}, "priority"),
        ({"config": config_with(**{"data.text_columns": ["x" * 501]})}, "config.task.text_columns.0"),
        ({"config": config_with(**{"data.split_seed": 2**53})}, "config.data.split_seed"),
        ({"config": config_with(**{"training.eval_every": 10**400})}, "config.training.eval_every"),
        ({"config": config_with(**{"method.target_modules": ["query"] * 1001})}, "config.method.target_modules"),
        ({"config": config_with(**{"method.target_modules": ["q" * 301]})}, "config.method.target_modules.0"),
        ({"config": config_with(**{"method.name": "x" * 500_000})}, "config.method"),
    ],
)
def test_too_long_values_are_refused_by_field_in_a_short_response(
    api: httpx.Client, changes: dict[str, Any], field: str
) -> None:
    answer = api.post("/api/v1/runs", json={"config": config_with(), **changes})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_of_a_thousand_problems_a_hundred_are_listed(api: httpx.Client) -> None:
    config = config_with(method={"name": "control", "rank_pattern": {f"m{place}": -1 for place in range(1000)}})
    errors = api.post("/api/v1/runs", json={"config": config}).json()["errors"]
    assert len(errors) == 101
    assert errors[-1]["message"] == "900 more problems are not listed"


def test_a_run_can_be_steered_up_to_the_limit_of_its_configuration(
    api: httpx.Client, launch: Launch, engine: Engine
) -> None:
    run_id = launch()
    claimed = claim(engine)
    assert claimed is not None
    begin(engine, claimed)
    entries = [{"step": 1, "action": "target", "target_rank": 1 + place % 2} for place in range(999)]
    with writing(engine) as session:
        config = claimed.config | {"steering": entries}
        session.execute(update(Run).where(col(Run.id) == run_id).values(config=config))
    target = {"action": "target", "target_rank": 2}
    assert api.post(f"/api/v1/runs/{run_id}/steer", json=target).status_code == 202
    refused = api.post(f"/api/v1/runs/{run_id}/steer", json=target)
    assert (refused.status_code, "1,000 times" in refused.json()["detail"]) == (409, True)
    assert api.get(f"/api/v1/runs/{run_id}").status_code == 200


def test_attempts_and_checkpoints_of_a_long_life_are_the_newest_and_those_that_are_kept(
    api: httpx.Client, launch: Launch, engine: Engine, server: Server
) -> None:
    run_id = launch()
    with writing(engine) as session:
        attempts = [{"run_id": run_id, "number": number, "worker": "w", "started_at": 1.0} for number in range(1, 301)]
        session.execute(insert(Attempt), attempts)
        session.execute(
            insert(Checkpoint),
            [
                {"run_id": run_id, "attempt": 1, "step": step, "created_at": 1.0, "size_bytes": 1}
                for step in range(5000)
            ],
        )
    for name in ("step-4998", "step-4999", "step-9", "step-x", f"step-{10**30}", ".step-4"):
        (server.settings.attempt_dir(run_id, 1) / "checkpoints" / name).mkdir(parents=True)
    shown = api.get(f"/api/v1/runs/{run_id}").json()["attempts"]
    assert [shown[0]["number"], shown[-1]["number"], len(shown)] == [101, 300, 200]
    kept = api.get(f"/api/v1/runs/{run_id}/checkpoints").json()["items"]
    assert [one["step"] for one in kept] == [9, 4998, 4999]


def test_queue_and_tree_show_a_thousand_runs_and_say_that_there_are_more(api: httpx.Client, engine: Engine) -> None:
    parent = queued_run(engine, now=0.5, run_id="parent")
    with writing(engine) as session:
        row = session.get(Run, parent)
        assert row is not None
        fields = row.model_dump() | {"parent_id": parent, "parent_step": 1}
        session.execute(insert(Run), [fields | {"id": f"child{number}", "created_at": 1.0} for number in range(1003)])
    queue = api.get("/api/v1/queue").json()
    assert (len(queue["items"]), queue["total"]) == (1000, 1004)
    tree = api.get(f"/api/v1/runs/{parent}/tree").json()
    assert (len(tree["items"]), tree["items"][0]["id"], tree["is_complete"]) == (1000, parent, False)
    assert api.get("/api/v1/runs/child5/tree").json()["items"][0]["id"] == parent


def snapshot(step: int, characters: int) -> RanksEvent:
    return RanksEvent(
        step=step,
        budget=1,
        live=1,
        modules=4,
        width=3,
        mask=base64.b64encode(bytes(2)).decode(),
        scores="A" * characters,
    )


def test_a_page_of_events_ends_early_where_they_are_large_and_nothing_is_left_out(
    api: httpx.Client, launch: Launch, engine: Engine
) -> None:
    run_id = launch()
    claimed = claim(engine)
    assert claimed is not None
    begin(engine, claimed)
    for step in range(1, 8):
        append(engine, claimed, [snapshot(step, 3_000_000)])
    seqs: list[int] = []
    pages = 0
    has_more = True
    while has_more:
        answer = api.get(f"/api/v1/runs/{run_id}/events", params={"after": seqs[-1] if seqs else 0, "limit": 5000})
        assert len(answer.content) < 12_000_000
        seqs += [event["seq"] for event in answer.json()["items"]]
        has_more, pages = answer.json()["has_more"], pages + 1
    assert seqs == list(range(1, answer.json()["last_seq"] + 1))
    assert pages == 4


def test_the_ledger_has_its_newest_ten_thousand_lines(api: httpx.Client, launch: Launch, engine: Engine) -> None:
    run_id = launch()
    claimed = claim(engine)
    assert claimed is not None
    begin(engine, claimed)
    changes = [ComponentChange(module=0, component=1, score=0.5, order=place) for place in range(4000)]
    prunings: list[RunEvent] = [
        PruneEvent(step=step, budget=1, total=9, threshold=0.1, final=False, pruned=changes, regrown=[])
        for step in (1, 2, 3)
    ]
    append(engine, claimed, [modules(), *losses(1, 2, 3), *prunings])
    ledger = api.get(f"/api/v1/runs/{run_id}/ranks/ledger").json()
    assert (len(ledger["items"]), ledger["total"]) == (10_000, 12_000)
    assert [ledger["items"][place]["step"] for place in (0, -1)] == [1, 3]
    assert ledger["items"][0]["order"] == 2000


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_run_of_an_older_version_above_todays_limits_is_still_shown(
    api: httpx.Client, launch: Launch, engine: Engine, tmp_path: Path
) -> None:
    run_id = launch()
    with writing(engine) as session:
        session.execute(update(Run).where(col(Run.id) == run_id).values(notes="x" * 100_000, name="\x1b[31m\nred"))
    run = api.get(f"/api/v1/runs/{run_id}").json()
    assert (len(run["notes"]), run["name"]) == (100_000, "\x1b[31m\nred")
    assert api.patch(f"/api/v1/runs/{run_id}", json={"tags": ["new"]}).status_code == 200
