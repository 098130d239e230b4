"""The built page's files, and index.html for every address of the page."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from rankscope.settings import Settings
from tests.backend.conftest import Server


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>RankScope</title>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-1a2b.js").write_text("x;" * 2000)
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def page(catalogue: Settings, serve: Callable[..., Server], built: Path) -> Iterator[httpx.Client]:
    with serve(catalogue, static_dir=built).client(token=None) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/sign-in", "/runs/abc", "/compare?runs=a,b", "/apiary"])
def test_every_address_of_the_page_returns_the_index_without_caching(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    assert "<title>RankScope" in answer.text


def test_hashed_files_are_cached_forever_and_sent_compressed(page: httpx.Client) -> None:
    answer = page.get("/assets/index-1a2b.js")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["content-encoding"] == "gzip"
    assert page.get("/favicon.svg").headers["cache-control"] == "no-cache"
    assert page.head("/").status_code == 200


def test_missing_asset_is_not_answered_with_the_index(page: httpx.Client) -> None:
    assert page.get("/assets/old-9z.js").status_code == 404


@pytest.mark.parametrize("path", ["/..%2Fsecret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/a%00b"])
def test_no_address_leaves_the_folder(page: httpx.Client, path: str) -> None:
    assert page.get(path).text != "secret"


def test_missing_build_explains_how_to_build_it(
    catalogue: Settings, serve: Callable[..., Server], tmp_path: Path
) -> None:
    with serve(catalogue, static_dir=tmp_path / "nowhere").client() as client:
        answer = client.get("/")
        assert answer.status_code == 503
        assert "npm run build" in answer.text
        assert client.get("/api/v1/runs").status_code == 200
