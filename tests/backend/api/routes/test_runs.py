"""Launch, find, change, stop, resume and delete over HTTP, on both databases."""

from collections.abc import Callable

import httpx
import jsonschema
import pytest

from rankscope.contract.config import RunConfig
from rankscope.contract.events import ArtifactEvent
from rankscope.contract.presets import presets
from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs
from rankscope.store.database.engine import writing
from tests.backend.conftest import CONFIG, Server, config_with
from tests.backend.store_setup import append, begin, claim, losses, modules, read_run

Launch = Callable[..., str]


def test_launched_run_is_stored_fully_resolved_and_waits(api: httpx.Client) -> None:
    answer = api.post("/api/v1/runs", json={"config": CONFIG, "name": "first", "tags": ["a"], "priority": 2})
    assert answer.status_code == 201
    run = answer.json()
    assert answer.headers["location"] == f"/api/v1/runs/{run['id']}"
    assert api.get(answer.headers["location"]).json() == run
    assert (run["status"], run["name"], run["tags"], run["priority"]) == ("queued", "first", ["a"], 2)
    assert (run["queue_position"], run["total_steps"], run["last_seq"]) == (1, 100, 1)
    assert run["config"]["method"]["initial_rank"] == 3
    assert run["config"]["task"]["text_columns"] == ["text"]
    assert run["environment"]["model_fingerprint"]
    assert run["planned_budget"][0] == {"step": 0, "budget": 12}
    assert run["planned_budget"][-1] == {"step": 100, "budget": 8}
    assert run["pruning_steps"] == [15, 25, 35, 45, 50]


def test_validate_returns_the_plan_and_launches_nothing(api: httpx.Client) -> None:
    plan = api.post("/api/v1/runs/validate", json={"config": CONFIG}).json()["plan"]
    assert (plan["total_steps"], plan["n_modules"], plan["pruning_steps"]) == (100, 4, [15, 25, 35, 45, 50])
    assert any("learning rate" in warning for warning in plan["warnings"])
    assert api.get("/api/v1/runs").json()["total"] == 0


def test_pages_cover_every_run_once_and_say_when_they_end(api: httpx.Client, launch: Launch) -> None:
    wanted = {launch(name=f"run {number}") for number in range(7)}
    seen: list[str] = []
    cursor = None
    while True:
        query: dict[str, str | int] = {"limit": 3, "sort": "name"}
        if cursor:
            query["cursor"] = cursor
        page = api.get("/api/v1/runs", params=query).json()
        assert page["total"] == 7
        seen += [run["id"] for run in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == 7
    assert set(seen) == wanted


def test_list_filters_by_status_tag_method_and_search(api: httpx.Client, launch: Launch) -> None:
    tagged = launch(tags=["x"], name="with tag")
    lora = launch(config=config_with(method={"name": "lora", "rank": 2}))
    stopped = launch()
    api.post(f"/api/v1/runs/{stopped}/stop")

    def ids(**query: str | list[str]) -> set[str]:
        return {run["id"] for run in api.get("/api/v1/runs", params=query).json()["items"]}

    assert ids(tag="x") == {tagged}
    assert ids(method="lora") == {lora}
    assert ids(status="stopped") == {stopped}
    assert ids(status=["stopped", "queued"]) == {tagged, lora, stopped}
    assert ids(search="WITH") == {tagged}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"cursor": "never-made-here"}, "cursor"),
        ({"sort": "notes"}, "sort"),
        ({"status": "sleeping"}, "status.0"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_invalid_query_names_its_field(api: httpx.Client, query: dict[str, str], field: str) -> None:
    answer = api.get("/api/v1/runs", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_patch_changes_only_what_is_given(api: httpx.Client, launch: Launch) -> None:
    run_id = launch(tags=["keep"], notes="old")
    changed = api.patch(f"/api/v1/runs/{run_id}", json={"name": "new", "priority": 7}).json()
    assert (changed["name"], changed["priority"], changed["tags"], changed["notes"]) == ("new", 7, ["keep"], "old")
    assert api.patch(f"/api/v1/runs/{run_id}", json={"notes": "", "tags": []}).json()["tags"] == []
    assert api.get(f"/api/v1/runs/{run_id}").json()["notes"] == ""


def test_waiting_run_stops_immediately_and_resumes(api: httpx.Client, launch: Launch) -> None:
    run_id = launch()
    stopped = api.post(f"/api/v1/runs/{run_id}/stop").json()
    assert (stopped["status"], stopped["queue_position"]) == ("stopped", None)
    again = api.post(f"/api/v1/runs/{run_id}/stop", json={"save": True})
    assert (again.status_code, again.json()["title"]) == (409, "The run's status does not allow this")
    assert api.post(f"/api/v1/runs/{run_id}/resume").json()["status"] == "queued"
    assert api.post(f"/api/v1/runs/{run_id}/resume").status_code == 409


def test_running_run_can_be_stopped_but_not_deleted(api: httpx.Client, server: Server, launch: Launch) -> None:
    run_id, engine = launch(), server.app.state.resources.engine
    claimed = claim(engine)
    assert claimed
    begin(engine, claimed)
    assert api.delete(f"/api/v1/runs/{run_id}").status_code == 409
    assert api.post(f"/api/v1/runs/{run_id}/stop", json={"save": False}).json()["status"] == "stopping"
    with writing(engine) as session:
        assert queue.renew_lease(session, run_id, 1, lease_s=30, now=5) == "now"


def test_deleted_run_is_removed_with_its_files(api: httpx.Client, launch: Launch, server: Server) -> None:
    run_id = launch()
    folder = server.settings.attempt_dir(run_id, 1)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("x")
    assert api.delete(f"/api/v1/runs/{run_id}").status_code == 204
    assert api.get(f"/api/v1/runs/{run_id}").status_code == 404
    assert not folder.parent.exists()


def test_detail_of_a_training_run_has_its_modules_attempt_and_honest_eta(
    api: httpx.Client, server: Server, launch: Launch
) -> None:
    run_id, engine = launch(), server.app.state.resources.engine
    claimed = claim(engine)
    assert claimed
    now = api.get("/api/v1/system/health").json()["time"]
    begin(engine, claimed, now=now - 60)
    append(engine, claimed, [modules(), *losses(5)], now=now)
    assert api.get(f"/api/v1/runs/{run_id}").json()["eta_s"] is None
    append(engine, claimed, losses(20), now=now)
    run = api.get(f"/api/v1/runs/{run_id}").json()
    assert run["eta_s"] == pytest.approx(4 * 60, rel=0.1)
    assert [module["name"] for module in run["modules"]] == [f"layer.{index}.query" for index in range(4)]
    assert (run["width"], run["n_modules"], run["mean_rank"], run["worker"]) == (3, 4, None, "w")
    assert [attempt["number"] for attempt in run["attempts"]] == [1]
    assert run["metrics"]["train_loss"]["last_step"] == 20


def test_comparison_shows_differences_and_what_makes_runs_incomparable(
    api: httpx.Client, server: Server, launch: Launch
) -> None:
    dynamic, lora = launch(), launch(config=config_with(method={"name": "lora", "rank": 2}))
    wide = launch(config=config_with(**{"method.target_rank": 3}))
    full = launch(config=config_with(method={"name": "full"}))

    def compare(*run_ids: str) -> dict[str, object]:
        body: dict[str, object] = api.get("/api/v1/compare", params={"runs": list(run_ids)}).json()
        return body

    def cautions(*run_ids: str) -> dict[str, list[str]]:
        return {one["kind"]: one["values"] for one in compare(*run_ids)["cautions"]}  # type: ignore[attr-defined]

    same_budget = compare(dynamic, lora)
    assert cautions(dynamic, lora) == {"unfinished": ["queued at step 0 of 100"] * 2}
    assert {"field": "method.name", "values": ["dynamic_rank", "lora"]} in same_budget["differences"]  # type: ignore[operator]
    assert {"field": "method.beta", "values": [0.9, None]} in same_budget["differences"]  # type: ignore[operator]
    assert cautions(dynamic, wide)["budget"] == ["8 components", "12 components"]
    assert cautions(dynamic, full)["budget"] == ["8 components", "unknown"]
    twice = api.get("/api/v1/compare", params={"runs": [dynamic, launch()], "group": "seed"}).json()
    assert [group["seeds"] for group in twice["groups"]] == [[0, 0]]
    assert "same_seed" in [one["kind"] for one in twice["cautions"]]
    odd = launch(config=config_with(**{"data.split_seed": 1, "training.max_length": 16, "training.batch_size": 4}))
    assert {"split", "evaluation", "length"} <= cautions(dynamic, odd).keys()
    assert not {"model", "data", "task", "budget"} & cautions(dynamic, odd).keys()
    assert [run["id"] for run in api.get(f"/api/v1/compare?runs={wide},{lora}").json()["runs"]] == [wide, lora]
    assert api.get("/api/v1/compare", params={"runs": dynamic}).json()["errors"][0]["field"] == "runs"
    assert api.get(f"/api/v1/compare?runs={dynamic},zzz").status_code == 404
    assert read_run(server.app.state.resources.engine, full).kept_parameters is None


def test_many_runs_are_compared_in_at_most_twenty_groups(api: httpx.Client, server: Server) -> None:
    ids: dict[tuple[int, int], str] = {}
    with writing(server.app.state.resources.engine) as session:
        for rate in range(1, 22):
            for seed in range(2):
                config = RunConfig.model_validate(
                    config_with(**{"training.learning_rate": rate / 1000, "training.seed": seed})
                )
                ids[rate, seed] = runs.create_run(session, config, now=1.0).id

    def compare(group: str, rates: int) -> httpx.Response:
        wanted = [ids[rate, seed] for rate in range(1, rates + 1) for seed in range(2)]
        return api.get("/api/v1/compare", params={"runs": ",".join(wanted), "group": group})

    assert [len(group["run_ids"]) for group in compare("seed", 20).json()["groups"]] == [2] * 20
    for refused, what in ((compare("run", 11), "22 runs"), (compare("seed", 21), "42 runs in 21 groups")):
        assert refused.status_code == 422
        assert what in refused.json()["detail"]
        assert "at most 20" in refused.json()["next_step"]
    assert "has 101 runs" in api.get("/api/v1/compare?runs=" + ",".join(f"r{n}" for n in range(101))).json()["detail"]


def test_two_full_runs_compare_by_their_parameters(api: httpx.Client, server: Server, launch: Launch) -> None:
    engine = server.app.state.resources.engine
    ids = [launch(config=config_with(method={"name": "full"})) for _ in range(2)]
    for _ in ids:
        claimed = claim(engine)
        assert claimed
        begin(engine, claimed)
        append(engine, claimed, [ArtifactEvent(name="model", step=100, size_bytes=1, kept_parameters=7)])
        with writing(engine) as session:
            runs.transition(session, runs.get_run(session, claimed.run_id), RunStatus.done, now=5)
    assert api.get("/api/v1/compare", params={"runs": ids}).json()["cautions"] == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_every_preset_fits_the_schema_that_the_form_is_drawn_from(api: httpx.Client) -> None:
    schema = api.get("/api/v1/config-schema").json()
    shown = api.get("/api/v1/presets").json()["items"]
    assert [preset["key"] for preset in shown] == [preset.key for preset in presets()]
    for preset in shown:
        jsonschema.validate(preset["config"], schema)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_catalogue_lists_models_and_data_sets_by_id(api: httpx.Client) -> None:
    (model,) = [item for item in api.get("/api/v1/models").json()["items"] if item["id"] == "local:tiny"]
    assert (model["n_modules"], model["module_kinds"], model["layers"]) == (4, ["query", "value"], 2)
    (data,) = [item for item in api.get("/api/v1/datasets").json()["items"] if item["id"] == "local:reviews.csv"]
    assert (data["short_id"], data["problem"], data["n_classes"]) == ("local:reviews", None, 2)
    assert (data["rows"], data["labels"]) == (240, {"fresh": 120, "rotten": 120})
    preview = api.get("/api/v1/datasets/local:reviews/preview?rows=3").json()
    assert (preview["columns"], len(preview["rows"]), preview["total_rows"]) == (["text", "label"], 3, 240)
    assert api.get("/api/v1/datasets/local:nope/preview").status_code == 404
