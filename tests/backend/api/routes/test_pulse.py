"""The server's heartbeat, and which page it serves."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rankscope.settings import Settings
from tests.backend.conftest import Server
from tests.backend.store_setup import append, losses, training_run
from tests.stack import TOKEN


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def build(folder: Path, entry: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text(
        f'<script src="/first.js"></script><script type="module" crossorigin src="{entry}"></script>', encoding="utf-8"
    )


def test_the_pulse_names_the_build_that_is_served_now(
    catalogue: Settings, serve: Callable[..., Server], tmp_path: Path
) -> None:
    static = tmp_path / "static"
    server = serve(catalogue, static_dir=static)
    with server.client() as api:
        assert api.get("/api/v1/system/pulse").json()["page"] is None
        build(static, "/assets/index-one.js")
        assert api.get("/api/v1/system/pulse").json()["page"] == "/assets/index-one.js"
        build(static, "/assets/index-two.js")
        os.utime(static / "index.html", ns=(1, 1))  # a different modification time on any file system
        assert api.get("/api/v1/system/pulse").json()["page"] == "/assets/index-two.js"
    with server.client(token=None) as visitor:
        assert visitor.get("/api/v1/system/pulse").status_code == 401


def test_a_stream_sends_pulses_only_on_request(server: Server) -> None:
    engine = server.app.state.resources.engine
    claimed = training_run(engine)
    append(engine, claimed, losses(1))
    address = f"{server.url}/api/v1/runs/{claimed.run_id}/events/stream"
    assert _named(address, {"pulse": True}, count=3) == [
        "pulse",
        "message",
        "message",
        "message",
        "message",
        "pulse",
        "pulse",
    ]
    assert _named(address, {}, count=0) == ["message"] * 4


def _named(address: str, query: dict[str, Any], count: int) -> list[str]:
    """Names of the events up to the fourth of the run and the `count`-th pulse."""
    names: list[str] = []
    with httpx.stream(
        "GET", address, params=query, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20, verify=False
    ) as answer:
        name = "message"
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                names.append(name)
                data = json.loads(line[6:])
                assert (name == "pulse") == ("page" in data)
                name = "message"
                if names.count("message") == 4 and names.count("pulse") >= count:
                    return names
    raise AssertionError(names)
