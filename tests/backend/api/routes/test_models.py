"""Models over the API: the details of each, and deletion."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.store.database.engine import writing
from tests.backend.conftest import Server, config_with, make_tiny_model
from tests.model_folders import HIDDEN, SHAPES, make_folder

Launch = Callable[..., str]


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def listed(api: httpx.Client, model: str) -> dict[str, Any] | None:
    items: list[dict[str, Any]] = api.get("/api/v1/models").raise_for_status().json()["items"]
    return next((item for item in items if item["id"] == model), None)


def path_of(model: str) -> str:
    return f"/api/v1/models/{model}"


def test_a_model_is_listed_with_its_licence_type_modules_and_last_run(
    server: Server, api: httpx.Client, launch: Launch
) -> None:
    folder = server.settings.models_dir / "described"
    make_tiny_model(folder)
    before = listed(api, "local:described")
    assert before is not None
    assert (before["license"], before["n_runs"], before["last_run"]) == (None, 0, None)
    (folder / "LICENSE").write_text("\n   Apache License\n  Version 2.0, January 2004\n")
    first = listed(api, "local:described")
    assert first is not None
    assert first["license"] == "apache-2.0"
    (folder / "README.md").write_text('---\nlanguage: en\nlicense: "cc-by-4.0"\n---\n# A model\nlicense: mit\n')
    config = config_with(**{"model.id": "local:described"})
    launch(config=config)
    run_id = launch(config=config)
    found = listed(api, "local:described")
    assert found is not None
    assert (found["license"], found["dtype"], found["is_deletable"]) == ("cc-by-4.0", "F32", True)
    assert found["modules_by_kind"] == [
        {"name": name, "count": 2, "parameters": 128, "shapes": ["8 x 8"]} for name in ("query", "value")
    ]
    assert (found["n_runs"], found["n_active_runs"], found["last_run"]["id"]) == (2, 2, run_id)


def test_a_model_is_deleted_once_no_unfinished_run_needs_it(server: Server, api: httpx.Client, launch: Launch) -> None:
    folder = server.settings.models_dir / "used"
    make_tiny_model(folder)
    run_id = launch(config=config_with(**{"model.id": "local:used"}))
    refused = api.delete(path_of("local:used"))
    assert refused.status_code == 409
    assert f"it is used by {run_id} (queued)" in refused.json()["detail"]
    assert (folder / "config.json").is_file()
    with writing(server.app.state.resources.engine) as session:
        stored = session.get(Run, run_id)
        assert stored is not None
        stored.status = RunStatus.failed
    assert api.delete(path_of("local:used")).status_code == 204
    assert listed(api, "local:used") is None
    names = [path.name for path in server.settings.models_dir.iterdir()]
    assert not [name for name in names if name == "used" or name.startswith(".")]
    assert api.get(f"/api/v1/runs/{run_id}").status_code == 200
    assert api.delete(path_of("local:used")).status_code == 404


def test_only_a_folder_or_link_in_the_models_folder_is_deleted(server: Server, api: httpx.Client) -> None:
    models_dir = server.settings.models_dir
    elsewhere = server.settings.data_dir / "elsewhere"
    make_tiny_model(elsewhere)
    (models_dir / "linked").symlink_to(elsewhere)
    (models_dir / "broken").mkdir()
    (models_dir / "loose.gguf").write_bytes(b"GGUF")
    for name in ("minilm", "local:", "local:.", "local:..", "local:%2e%2e%2ftoken", "local:..%2Fdatasets", "tiny"):
        assert api.delete(path_of(name)).status_code == 404, name
    assert api.delete(path_of("local:loose.gguf")).status_code == 409
    for name in ("linked", "broken"):
        assert api.delete(path_of(f"local:{name}")).status_code == 204
    assert (elsewhere / "config.json").is_file()
    assert (server.settings.datasets_dir / "reviews.csv").is_file()
    (models_dir / "loose.gguf").unlink()


def test_a_download_is_requested_once_listed_and_cancelled(api: httpx.Client) -> None:
    path = "/api/v1/model-downloads"
    first = api.post(path, json={"hub_id": "team/tiny"})
    assert first.status_code == 202
    assert api.post(path, json={"hub_id": "team/tiny", "revision": "main"}).json()["id"] == first.json()["id"]
    other = api.post(path, json={"hub_id": "team/tiny", "revision": "v1"}).json()
    (newest, oldest) = api.get(path).json()["items"]
    assert (newest["id"], oldest["id"]) == (other["id"], first.json()["id"])
    assert (oldest["status"], oldest["message"]) == ("waiting", "No worker is online.")
    assert api.post(f"{path}/{other['id']}/cancel").status_code == 204
    assert api.post(f"{path}/{other['id']}/cancel").status_code == 404
    assert [item["id"] for item in api.get(path).json()["items"]] == [first.json()["id"]]


@pytest.mark.parametrize(
    "body",
    [
        {"hub_id": "http://169.254.169.254/latest"},
        {"hub_id": "../../etc"},
        {"hub_id": "team/tiny/more"},
        {"hub_id": "team/tiny?x=1"},
        {"hub_id": "team/tiny", "revision": "../main"},
        {"hub_id": "team/tiny", "revision": "a b"},
    ],
)
def test_a_name_that_no_hub_has_is_refused_by_field(api: httpx.Client, body: dict[str, str]) -> None:
    answer = api.post("/api/v1/model-downloads", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == ("revision" if "revision" in body else "hub_id")


def test_every_linear_layer_is_listed_with_a_name_that_target_modules_takes(server: Server, api: httpx.Client) -> None:
    make_folder(server.settings.models_dir / "layers", shapes=SHAPES | {"pooler.dense.weight": (HIDDEN, HIDDEN)})
    items: list[dict[str, Any]] = api.get(f"{path_of('local:layers')}/modules").raise_for_status().json()["items"]
    assert [(item["name"], item["stack"], item["layer"], item["kind"]) for item in items] == [
        ("encoder.layer.0.attention.self.query", "encoder", 0, "attention.query"),
        ("encoder.layer.0.attention.self.value", "encoder", 0, "attention.value"),
        ("encoder.layer.0.intermediate.dense", "encoder", 0, "intermediate"),
        ("pooler.dense", "", None, "pooler.dense"),
    ]
    for item in items:
        method = {"name": "lora", "rank": 3, "target_modules": [item["name"]]}
        config = config_with(**{"model.id": "local:layers"}) | {"method": method}
        plan = api.post("/api/v1/runs/validate", json={"config": config}).raise_for_status().json()["plan"]
        assert (plan["n_modules"], plan["initial_rank"]) == (1, 3)
        head = 2 * HIDDEN + 2
        assert plan["trained_parameters"] == head + 3 * (item["out_features"] + item["in_features"])
    missing = api.get(f"{path_of('local:nope')}/modules")
    assert missing.status_code == 404
    assert missing.json()["next_step"]
