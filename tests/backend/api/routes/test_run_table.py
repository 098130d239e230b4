"""The runs table: chosen columns, what changes, groups, labels with undo, saved views, and help with filters."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from rankscope.contract.events import MetricsEvent
from rankscope.store.database.engine import writing
from rankscope.store.history import events
from tests.backend.conftest import Server, config_with

Launch = Callable[..., str]


@pytest.fixture
def engine(server: Server) -> Engine:
    found: Engine = server.app.state.resources.engine
    return found


def record(engine: Engine, run_id: str, step: int, **values: float) -> None:
    with writing(engine) as session:
        events.append_unfenced(session, run_id, [MetricsEvent(step=step, values=values)], now=5.0)


def get(api: httpx.Client, path: str, **query: Any) -> Any:
    answer = api.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def launched(api: httpx.Client, name: str, **changes: Any) -> str:
    body = {"config": config_with(**changes), "name": name}
    return str(api.post("/api/v1/runs", json=body).json()["id"])


def test_rows_have_the_chosen_columns_alone(api: httpx.Client, launch: Launch, engine: Engine) -> None:
    run_id = launch(name="first", tags=["b", "a"])
    record(engine, run_id, 5, eval_loss=0.75, eval_accuracy=0.25)
    record(engine, run_id, 10, eval_loss=0.5, eval_accuracy=0.75, odd=math.nan)
    columns = (
        "config.training.batch_size,metrics.eval_loss.best,metrics.odd.last,config.training.epochs,mean_rank,created,"
        "metrics.eval_loss.at_10,metrics.eval_accuracy.at_5,metrics.eval_loss.at_20"
    )
    table = get(api, "/runs/table", columns=columns)
    (row,) = table["rows"]
    assert [column["name"] for column in table["columns"]] == columns.split(",")
    assert row["cells"] == [8, 0.5, None, None, None, row["created_at"], 0.5, 0.25, None]
    assert get(api, "/runs/fields")["steps"] == [5, 10]
    assert (row["id"], row["tags"], row["archived"], row["step"]) == (run_id, ["b", "a"], False, 10)
    assert row["headline"] == {"title": "accuracy", "lower_is_better": False, "best": 0.75, "best_step": 10}
    assert (table["total"], table["queue"], table["baseline"]) == (1, [run_id], None)
    assert get(api, "/runs/table", columns="name", baseline=run_id)["baseline"]["cells"] == ["first"]
    refused = api.get("/api/v1/runs/table", params={"columns": "config.training.batch_sise"})
    assert refused.status_code == 422
    assert "config.training.batch_size" in refused.json()["next_step"]


def test_pages_of_any_order_join_without_gaps(api: httpx.Client, launch: Launch, engine: Engine) -> None:
    ids = [launch(name=str(number)) for number in range(7)]
    for place, run_id in enumerate(ids[:5]):
        record(engine, run_id, 1, eval_loss=[0.3, 0.1, 0.3, 0.2, 0.1][place])
    query = {"sort": "metrics.eval_loss.min", "limit": 2}
    shown: list[str] = []
    cursor: str | None = None
    while True:
        page = get(api, "/runs/table", **query, **({"cursor": cursor} if cursor else {}))
        shown += [row["id"] for row in page["rows"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    values = {run_id: [0.3, 0.1, 0.3, 0.2, 0.1, 9, 9][place] for place, run_id in enumerate(ids)}
    assert shown == sorted(ids, key=lambda run_id: (values[run_id], run_id))


def test_sparklines_have_the_runs_with_a_curve(api: httpx.Client, launch: Launch, engine: Engine) -> None:
    ids = [launch() for _ in range(2)]
    for step, value in ((0, 0.5), (10, 0.25)):
        record(engine, ids[0], step, train_loss=value)
    (line,) = get(api, "/runs/sparklines", runs=",".join([*ids, "unknown"]))["items"]
    assert (line["id"], line["first"], line["last"]) == (ids[0], 0.5, 0.25)
    assert (line["levels"][0], line["levels"][-1]) == (99, 0)
    assert get(api, "/runs/sparklines", runs=ids, metric="no_such")["items"] == []
    refused = api.get("/api/v1/runs/sparklines", params={"runs": ",".join(f"r{n}" for n in range(101))})
    assert refused.status_code == 422


def test_a_reader_of_changes_ends_with_the_table(api: httpx.Client, launch: Launch, engine: Engine) -> None:
    query = {"filter": "not tag = hidden", "columns": "metrics.eval_loss.last"}
    first, second = launch(name="first"), launch(name="second")
    table = get(api, "/runs/table", **query)
    seen, cursor = {row["id"]: row for row in table["rows"]}, table["changes"]

    def read() -> Any:
        nonlocal cursor
        found = get(api, "/runs/changes", since=cursor, **query)
        cursor = found["cursor"]
        assert not found["reset"]
        for row in found["rows"]:
            seen[row["id"]] = row
        for run_id in found["gone"]:
            seen.pop(run_id, None)
        now = get(api, "/runs/table", **query)
        assert seen == {row["id"]: row for row in now["rows"]}
        if found["total"] is not None:
            assert found["total"] == now["total"]
        return found

    assert (read()["rows"], read()["total"]) == ([], None)
    record(engine, first, 3, eval_loss=0.25)
    assert [row["cells"] for row in read()["rows"]] == [[0.25]]
    api.patch(f"/api/v1/runs/{second}", json={"tags": ["hidden"]})
    assert read()["gone"] == [second]
    third = launch(name="third")
    assert [row["id"] for row in read()["rows"]] == [third]
    api.patch(f"/api/v1/runs/{second}", json={"tags": []})
    assert [row["id"] for row in read()["rows"]] == [second]
    # The run with the newest number is deleted: numbers must not be reused.
    assert api.delete(f"/api/v1/runs/{second}").status_code == 204
    record(engine, first, 4, eval_loss=0.5)
    found = read()
    assert (found["gone"], [row["id"] for row in found["rows"]]) == ([second], [first])
    api.post("/api/v1/runs/labels", json={"run_ids": [third], "archived": True})
    assert read()["gone"] == [third]
    assert read()["rows"] == []


def test_a_cursor_that_is_too_old_or_from_elsewhere_asks_to_read_again(api: httpx.Client, launch: Launch) -> None:
    launch()
    number, time = map(int, get(api, "/runs/table")["changes"].split("-"))
    assert get(api, "/runs/changes", since=f"{number}-{time - 90_000}")["reset"]
    assert get(api, "/runs/changes", since=f"{number + 10**9}-{time}")["reset"]
    for wrong in ("", "x", "1", "1-x", "9" * 40 + "-1"):
        assert api.get("/api/v1/runs/changes", params={"since": wrong}).status_code == 422


def test_groups_have_mean_and_sd_over_seeds(api: httpx.Client, engine: Engine) -> None:
    scores = {2: [0.5, 0.6, 0.9], 4: [0.7], 8: []}
    for rank, values in scores.items():
        for seed in range(max(1, len(values))):
            run_id = launched(api, f"{rank}/{seed}", **{"method.target_rank": rank, "training.seed": seed})
            if values:
                record(engine, run_id, 1, eval_accuracy=values[seed])
    groups = get(api, "/runs/groups")
    assert groups["total"] == 3
    for by in ("setup", "config.method.target_rank"):
        found = get(api, "/runs/groups", by=by, of="metrics.eval_accuracy.max,config.training.seed")["items"]
        assert [group["size"] for group in found] == [1, 3, 1]
        assert [group["name"] for group in found] == ["4/0", "2/0", "8/0"]
        if by != "setup":
            assert [group["keys"] for group in found] == [[4], [2], [8]]
        spreads = [group["spreads"][0] for group in found]
        assert spreads[0] == {"n": 1, "mean": 0.7, "sd": None, "min": 0.7, "max": 0.7}
        assert spreads[1]["mean"] == pytest.approx(statistics.fmean(scores[2]))
        assert spreads[1]["sd"] == pytest.approx(statistics.stdev(scores[2]))
        assert (spreads[2]["n"], spreads[2]["mean"]) == (0, None)
    assert api.get("/api/v1/runs/groups", params={"of": "name"}).status_code == 422


def test_labels_of_several_runs_change_together_and_come_back(api: httpx.Client, launch: Launch) -> None:
    first, second = launch(tags=["x", "y"]), launch(tags=["z"])
    body = {
        "run_ids": [first, second],
        "add_tags": ["new", "x"],
        "remove_tags": ["y"],
        "project": "p",
        "archived": True,
    }
    before = api.post("/api/v1/runs/labels", json=body).json()["before"]

    def labels() -> list[tuple[Any, ...]]:
        found = [get(api, f"/runs/{run_id}") for run_id in (first, second)]
        return [(run["tags"], run["project"], run["archived_at"] is not None) for run in found]

    assert labels() == [(["x", "new"], "p", True), (["z", "new", "x"], "p", True)]
    assert get(api, "/runs/table")["total"] == 0
    assert get(api, "/runs/table", filter="archived = true and project = p")["total"] == 2
    restored = api.post("/api/v1/runs/labels/restore", json={"items": before})
    assert restored.status_code == 200, restored.text
    assert labels() == [(["x", "y"], "", False), (["z"], "", False)]
    missing = api.post("/api/v1/runs/labels", json=body | {"run_ids": [first, "missing"]})
    assert missing.status_code == 404
    many = api.post("/api/v1/runs/labels", json={"run_ids": [first], "add_tags": [f"t{n}" for n in range(49)]})
    assert many.status_code == 422
    assert labels() == [(["x", "y"], "", False), (["z"], "", False)]


def test_views_are_saved_replaced_and_deleted(api: httpx.Client) -> None:
    query = "filter=tag%20%3D%20a&sort=-metrics.eval_loss.best"
    saved = api.post("/api/v1/views", json={"name": "mine", "query": query}).json()
    assert [(view["name"], view["query"]) for view in get(api, "/views")["items"]] == [("mine", query)]
    again = api.post("/api/v1/views", json={"name": "mine", "query": "sort=name"}).json()
    assert (again["id"], again["query"]) == (saved["id"], "sort=name")
    assert api.post("/api/v1/views", json={"name": "", "query": ""}).status_code == 422
    assert api.delete(f"/api/v1/views/{saved['id']}").status_code == 204
    assert api.delete(f"/api/v1/views/{saved['id']}").status_code == 404
    assert get(api, "/views")["items"] == []


COMPLETED = [
    ("", "status", "and"),
    ("targ", "config.method.target_rank", "status"),
    ("metrics.eval_l", "metrics.eval_loss.best", "metrics.eval_accuracy.best"),
    ("metrics.eval_loss.at", "metrics.eval_loss.at_1", "metrics.eval_accuracy.at_1"),
    ("status ", "=", "status"),
    ("live ", "<=", "~"),
    ("tag ", "~", "<="),
    ("status = ", "running", "<"),
    ("status in (run", "running", "done"),
    ("status in (done, ", "running", "="),
    ("tag = ", '"two words"', "running"),
    ('tag = "two', '"two words"', "b"),
    ("config.method.target_rank = ", "2", "name"),
    ("config.method.compact = ", "true", "2"),
    ("created >= ", "-7d", "true"),
    ("tag = a ", "and", "status"),
    ("tag = a and ", "status", "or"),
    ("tag is ", "null", "and"),
    ("not (st", "status", "live"),
]
"""A filter, a valid continuation, and an invalid one."""


def test_a_filter_is_completed(api: httpx.Client, launch: Launch, engine: Engine) -> None:
    record(engine, launch(tags=["b", "two words"]), 1, eval_loss=1.0, eval_accuracy=0.5)
    for text, expected, unexpected in COMPLETED:
        answer = get(api, "/runs/filter", text=text)
        found = [each["text"] for each in answer["suggestions"]]
        assert expected in found, text
        assert unexpected not in found, text
        completed = text[: answer["start"]] + expected
        problem = get(api, "/runs/filter", text=completed)["problem"]
        assert problem is None or problem["message"] == "ends too early", completed


def test_problems_of_a_filter_have_their_place(api: httpx.Client) -> None:
    problem = get(api, "/runs/filter", text="tag = a and statis = done")["problem"]
    assert (problem["start"], problem["end"]) == (12, 18)
    assert "status" in problem["next_step"]
    refused = api.get("/api/v1/runs/table", params={"filter": "tag = a and statis = done"})
    assert refused.status_code == 422
    assert "at character 13" in refused.json()["detail"]
    assert get(api, "/runs/filter", text="tag = a")["problem"] is None
    fields = get(api, "/runs/fields")
    assert {"status", "config.method.target_rank"} <= {field["name"] for field in fields["items"]}
