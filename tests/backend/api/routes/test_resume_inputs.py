"""A resume is refused immediately if the model or the data set is not the one that the run was launched with."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from rankscope.catalog import Catalog
from rankscope.settings import Settings
from tests.backend.conftest import CONFIG, Server


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def api(catalogue: Settings, serve: Callable[..., Server]) -> Iterator[httpx.Client]:
    """A client of a server whose files a test may change."""
    with serve(catalogue).client() as client:
        yield client


@pytest.fixture
def stopped(api: httpx.Client) -> str:
    run_id: str = api.post("/api/v1/runs", json={"config": CONFIG}).json()["id"]
    assert api.post(f"/api/v1/runs/{run_id}/stop").json()["status"] == "stopped"
    return run_id


@pytest.mark.parametrize("action", ["resume", "retry"])
def test_changed_data_file_is_refused_with_both_fingerprints_until_it_is_restored(
    api: httpx.Client, stopped: str, catalogue: Settings, action: str
) -> None:
    path = catalogue.datasets_dir / "reviews.csv"
    data = path.read_bytes()
    before = Catalog(catalogue).dataset("local:reviews.csv").fingerprint
    path.write_bytes(data + data.splitlines(keepends=True)[-1])
    now = Catalog(catalogue).dataset("local:reviews.csv").fingerprint
    answer = api.post(f"/api/v1/runs/{stopped}/{action}")
    assert answer.status_code == 409, answer.text
    problem = answer.json()
    assert "data set local:reviews.csv has changed" in problem["detail"]
    assert before[:12] in problem["detail"]
    assert now[:12] in problem["detail"]
    assert problem["next_step"].startswith("Restore the file and resume the run")
    assert api.get(f"/api/v1/runs/{stopped}").json()["status"] == "stopped"
    path.write_bytes(data)
    assert api.post(f"/api/v1/runs/{stopped}/{action}").json()["status"] == "queued"


def test_changed_model_is_refused_with_both_fingerprints_until_it_is_restored(
    api: httpx.Client, stopped: str, catalogue: Settings
) -> None:
    path = catalogue.models_dir / "tiny" / "model.safetensors"
    data = path.read_bytes()
    before = Catalog(catalogue).model("local:tiny").fingerprint
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    now = Catalog(catalogue).model("local:tiny").fingerprint
    problem = api.post(f"/api/v1/runs/{stopped}/resume").json()
    assert problem["status"] == 409
    assert "model local:tiny has changed" in problem["detail"]
    assert before[:15] in problem["detail"]
    assert now[:15] in problem["detail"]
    assert problem["next_step"].startswith("Restore the model's files")
    path.write_bytes(data)
    assert api.post(f"/api/v1/runs/{stopped}/resume").json()["status"] == "queued"


def test_missing_inputs_are_left_to_the_worker(api: httpx.Client, stopped: str, catalogue: Settings) -> None:
    (catalogue.datasets_dir / "reviews.csv").unlink()
    assert api.post(f"/api/v1/runs/{stopped}/resume").json()["status"] == "queued"
