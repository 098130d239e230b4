"""An API server in a thread, and a small catalogue that needs no torch."""

import asyncio
import json
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from sqlmodel import delete

from rankscope.app import create_app
from rankscope.contract.experiments.tables import Experiment, Trial, TrialRows
from rankscope.contract.sweeps.tables import Sweep, SweepTrial
from rankscope.contract.tables import Job, Probe, Run, Worker
from rankscope.serve import server_config
from rankscope.settings import Settings
from rankscope.store.database.engine import writing
from tests.conftest import Broker
from tests.stack import TOKEN, wait_for
from tests.tiny import make_reviews

CONFIG: dict[str, Any] = {
    "model": {"id": "local:tiny"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 10},
    "training": {"max_steps": 100, "batch_size": 8},
}


def config_with(**changes: Any) -> dict[str, Any]:
    """CONFIG with dotted changes: `config_with(**{"method.target_rank": 0})`."""
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    for path, value in changes.items():
        *parents, name = path.split(".")
        part = config
        for parent in parents:
            part = part[parent]
        part[name] = value
    return config


def make_tiny_model(folder: Path, *, blocks: int = 2, size: int = 8) -> None:
    """Writes the parts of a model that the server reads: config.json, a vocabulary and a safetensors file's header."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "num_hidden_layers": blocks,
        "hidden_size": size,
        "num_attention_heads": 1,
        "vocab_size": 8,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\nfilm\n")
    header: dict[str, Any] = {}
    for block in range(blocks):
        for kind in ("query", "value"):
            begin = len(header) * size * size * 4
            header[f"encoder.layer.{block}.attention.self.{kind}.weight"] = {
                "dtype": "F32",
                "shape": [size, size],
                "data_offsets": [begin, begin + size * size * 4],
            }
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + bytes(len(header) * size * size * 4)
    )


def fill_catalogue(settings: Settings) -> Settings:
    """Adds model local:tiny and data set local:reviews."""
    make_tiny_model(settings.models_dir / "tiny")
    make_reviews(settings.datasets_dir / "reviews.csv")
    return settings


@pytest.fixture
def catalogue(settings: Settings) -> Settings:
    """The settings of an installation that has a model and a data set."""
    return fill_catalogue(settings)


PAGE = Path(__file__).parent / "page"
"""Served by every test server, so that no answer depends on whether the real page has been built."""


@dataclass
class Server:
    """A running API server."""

    app: FastAPI
    url: str
    _uvicorn: uvicorn.Server
    _thread: threading.Thread
    _loop: asyncio.AbstractEventLoop

    def client(self, token: str | None = TOKEN) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # verify: reading the certificate store takes longer than a test, and there is no TLS.
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, verify=False)

    @property
    def settings(self) -> Settings:
        settings: Settings = self.app.state.resources.settings
        return settings

    def forget_everything(self) -> None:
        """Removes all runs, their files, jobs, workers, and failed sign-ins; streams end with their runs."""
        resources = self.app.state.resources
        with writing(resources.engine) as session:
            for table in (Run, Job, Probe, Worker, TrialRows, Trial, Experiment, SweepTrial, Sweep):
                session.execute(delete(table))
        self._loop.call_soon_threadsafe(resources.feeds.ring)
        wait_for("all streams to end", lambda: len(resources.feeds) == 0, deadline_s=10, every_s=0.01)
        shutil.rmtree(self.settings.runs_dir, ignore_errors=True)
        resources.attempt_limit.forget()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.app.state.resources.feeds.close)
            self._uvicorn.should_exit = True
            self._thread.join(20)
            assert not self._thread.is_alive()


def start_server(
    settings: Settings,
    *,
    static_dir: Path | None = None,
    port: int = 0,
    listener: socket.socket | None = None,
    extra_routers: Sequence[APIRouter] = (),
) -> Server:
    app = create_app(settings, static_dir=static_dir or PAGE, extra_routers=extra_routers)
    config = server_config(app, settings, connections=1000)
    config.port = port
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listener] if listener else None)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="api")
    thread.start()
    wait_for("the API to start", lambda: server.started or not thread.is_alive(), deadline_s=20, every_s=0.01)
    assert server.started
    port = (listener or server.servers[0].sockets[0]).getsockname()[1]
    return Server(app, f"http://127.0.0.1:{port}", server, thread, loops[0])


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, and stops them at the end of the test."""
    servers: list[Server] = []

    def start(settings: Settings, **options: Any) -> Server:
        servers.append(start_server(settings, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def shared_server(
    tmp_path_factory: pytest.TempPathFactory, shared_broker: Broker, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Server]]:
    """Starts one server for each kind of database, on first use: starting and stopping one takes 0.3 s."""
    servers: dict[str, Server] = {}

    def of(kind: str) -> Server:
        if kind not in servers:
            url = request.getfixturevalue("new_postgres")() if kind == "postgresql" else ""
            folder = tmp_path_factory.mktemp(f"server-{kind}")
            settings = Settings(
                _env_file=None, data_dir=folder, database_url=url, broker_url=shared_broker.url, token=TOKEN
            )
            servers[kind] = start_server(fill_catalogue(settings))
        return servers[kind]

    yield of
    for server in servers.values():
        server.stop()


@pytest.fixture
def server(shared_server: Callable[[str], Server], database_kind: str) -> Iterator[Server]:
    """A running server with a model, a data set, and no runs."""
    server = shared_server(database_kind)
    yield server
    server.forget_everything()


@pytest.fixture
def api(server: Server) -> Iterator[httpx.Client]:
    """A client signed in by bearer token."""
    with server.client() as client:
        yield client


@pytest.fixture
def launch(api: httpx.Client) -> Callable[..., str]:
    """Launches CONFIG with the given changes, and returns the run's id."""

    def launch(**fields: Any) -> str:
        answer = api.post("/api/v1/runs", json={"config": CONFIG, **fields})
        assert answer.status_code == 201, answer.text
        run_id: str = answer.json()["id"]
        return run_id

    return launch


def attempt_file(settings: Settings, run_id: str, name: str, text: str, attempt: int = 1) -> Path:
    """Writes a file of an attempt, as a worker would."""
    path = settings.attempt_dir(run_id, attempt) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
