"""Data sets over the API: a folder full of junk, what a plan says about the data, and files read concurrently."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import httpx
import pytest

from rankscope.catalog.data import datasets
from rankscope.catalog.data.profiles import read_profile
from rankscope.contract.tasks import TASKS
from tests.backend.conftest import CONFIG, Server, config_with
from tests.junk import fill_with_junk
from tests.stack import wait_for
from tests.tiny import make_reviews


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def write(server: Server) -> Iterator[Callable[[str, str], None]]:
    """Writes data files, and restores the folder afterwards."""
    folder = server.settings.datasets_dir

    def write(name: str, content: str) -> None:
        (folder / name).write_text(content, encoding="utf-8")

    yield write
    shutil.rmtree(folder)
    make_reviews(folder / "reviews.csv")


def listed(api: httpx.Client) -> dict[str, dict[str, Any]]:
    def items() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api.get("/api/v1/datasets").raise_for_status().json()["items"]
        return found if all(item["problem"] or item["rows"] is not None for item in found) else []

    return {item["id"]: item for item in wait_for("all files to be read", items)}


def validate(api: httpx.Client, **changes: Any) -> dict[str, Any]:
    answer = api.post("/api/v1/runs/validate", json={"config": config_with(**changes)})
    verdict: dict[str, Any] = answer.raise_for_status().json()
    return verdict


@pytest.mark.usefixtures("write")
def test_junk_in_the_folder_is_explained_and_affects_no_list_and_no_run(server: Server, api: httpx.Client) -> None:
    fill_with_junk(server.settings.datasets_dir)
    items = listed(api)
    assert len(items) > 50
    assert all(item["problem"].strip() and item["next_step"].strip() for item in items.values() if item["problem"])
    assert sum(item["problem"] is not None for item in items.values()) >= 45
    assert validate(api)["problems"] == []
    assert api.post("/api/v1/runs", json={"config": CONFIG}).status_code == 201
    assert "a folder" in items.pop("local:reviews (2)")["problem"]  # the short id is that of the good file
    for dataset_id, item in items.items():
        verdict = validate(api, **{"data.id": dataset_id}) if len(dataset_id) <= 200 else None
        if item["problem"] and verdict:
            assert verdict["plan"] is None
            assert verdict["problems"][0]["field"] == "config.data.id"
            assert verdict["problems"][0]["next_step"]
            preview = api.get(f"/api/v1/datasets/{quote(dataset_id, safe='')}/preview")
            assert preview.status_code == 422
            assert preview.json()["errors"][0]["next_step"] == item["next_step"]


def test_the_plan_shows_which_data_is_used(api: httpx.Client, write: Callable[[str, str], None]) -> None:
    rows = "".join(f"{n};good text {n};{'xyz'[n % 3] if n % 10 else ''}\n" for n in range(300))
    write("mixed.csv", f"nr;Text ;Label\n{rows}300; ;x\n")
    plan = validate(api, **{"data.id": "local:mixed"})["plan"]
    data = plan["data"]
    shown = {name: value for name, value in data.items() if name not in ("classes", "left_out")}
    assert shown == {
        "id": "local:mixed.csv",
        "rows": 301,
        "text_columns": ["Text"],
        "label_column": "Label",
        "target_column": "Label",
        "group_column": None,
        "split": {
            "column": None,
            "parts": [],
            "groups": None,
            "equal_texts": {"eval_rows": 0, "texts": 0, "examples": []},
        },
        "separator": ";",
        "encoding": "UTF-8",
        "n_classes": 3,
    }
    assert data["left_out"] == [
        {"reason": "no label in column 'Label'", "rows": 30, "first_lines": [2, 12, 22, 32, 42]},
        {"reason": "no text in column 'Text'", "rows": 1, "first_lines": [302]},
    ]
    assert {each["label"]: each["train_rows"] + each["eval_rows"] for each in data["classes"]} == {
        "x": 90,
        "y": 90,
        "z": 90,
    }
    assert (sum(each["train_rows"] for each in data["classes"]), plan["config"]["data"]["id"]) == (
        plan["train_rows"],
        data["id"],
    )
    item = listed(api)["local:mixed.csv"]
    assert (item["rows"], item["labels"], item["n_classes"]) == (301, {"x": 90, "y": 90, "z": 90}, 3)
    assert item["left_out"] == data["left_out"]


def test_the_plan_warns_of_equal_texts_on_both_sides(api: httpx.Client, write: Callable[[str, str], None]) -> None:
    rows = [f"good text {n % 200},{'xy'[n % 2]},{'train' if n < 200 else 'dev'}" for n in range(220)]
    write("parts.csv", "text,label,split\n" + "\n".join(rows) + "\nlast,x,test\n")
    assert listed(api)["local:parts.csv"]["split_column"] == "split"
    plan = validate(api, **{"data.id": "local:parts", "data.split": "parts"})["plan"]
    split = plan["data"]["split"]
    assert [(part["name"], part["side"]) for part in split["parts"]] == [
        ("train", "train"),
        ("dev", "evaluation"),
        ("test", None),
    ]
    assert (split["equal_texts"]["eval_rows"], len(split["equal_texts"]["examples"])) == (20, 3)
    (warning,) = [each for each in plan["warnings"] if "same text" in each]
    assert warning.startswith("20 of 20 evaluation rows (100.0%)")
    # The resolved configuration determines the split.
    chosen = plan["config"]["data"]
    assert (chosen["split_column"], chosen["train_parts"], chosen["eval_parts"]) == ("split", ["train"], ["dev"])
    options = {"data.id": "local:parts", "data.split": "parts", "data.drop_equal_texts": True}
    without = validate(api, **options)["plan"]
    assert (without["train_rows"], without["eval_rows"]) == (180, 20)
    assert not any("same text" in each for each in without["warnings"])


def test_many_classes_are_counted_and_the_largest_are_shown(
    api: httpx.Client, write: Callable[[str, str], None]
) -> None:
    write("many.csv", "text,label\n" + "".join(f"text {n},class {n % 300}\n" for n in range(3001)))
    data = validate(api, **{"data.id": "local:many.csv"})["plan"]["data"]
    assert (len(data["classes"]), data["n_classes"]) == (50, 300)
    assert data["classes"][0]["label"] == "class 0"
    item = listed(api)["local:many.csv"]
    assert (len(item["labels"]), item["n_classes"]) == (50, 300)


def test_twenty_files_are_read_once_and_a_validation_reads_only_its_file(
    server: Server, api: httpx.Client, write: Callable[[str, str], None]
) -> None:
    for number in range(20):
        write(f"file {number}.csv", "text,label\n" + "".join(f"text {n},{'xy'[n % 2]}\n" for n in range(200)))
    with patch.object(datasets, "read_profile", wraps=read_profile) as reading:
        with ThreadPoolExecutor(16) as pool:
            verdicts = list(pool.map(lambda _: validate(api, **{"data.id": "local:file 7.csv"}), range(16)))
        assert all(verdict["problems"] == [] for verdict in verdicts)
        assert reading.call_count == 1
        for _ in range(3):
            assert len(listed(api)) >= 21
        assert reading.call_count <= 22


def test_an_old_id_of_a_data_set_still_works_for_runs_and_forks(api: httpx.Client, launch: Callable[..., str]) -> None:
    run = api.get(f"/api/v1/runs/{launch()}").json()
    assert (run["data_id"], run["config"]["data"]["id"]) == ("local:reviews.csv", "local:reviews.csv")
    assert api.get("/api/v1/datasets/local:reviews/preview").json()["total_rows"] == 240


def test_tasks_describe_the_metrics_and_the_one_that_stands_for_a_run(api: httpx.Client) -> None:
    items = api.get("/api/v1/tasks").json()["items"]
    assert [item["name"] for item in items] == list(TASKS)
    for item in items:
        metrics = {metric["name"]: metric for metric in item["metrics"]}
        assert metrics[item["headline"]]["group"] == "evaluation"
        assert set(item["best_by"]) <= metrics.keys()
    run = api.post("/api/v1/runs", json={"config": CONFIG}).json()
    assert run["task"] == items[0]["name"]
    assert run["headline"] | {"title": ""} == {
        "name": items[0]["headline"],
        "title": "",
        "lower_is_better": False,
        "best": None,
        "best_step": None,
        "last": None,
    }
    by_headline = api.get("/api/v1/runs", params={"sort": "-headline"}).json()["items"]
    assert [one["headline"] for one in by_headline if one["id"] == run["id"]] == [run["headline"]]
