"""Nudges reach the queue, and an unreachable broker causes no failure."""

import json
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import redis
from sqlalchemy import make_url

from rankscope.embedded import free_port
from rankscope.launch.enqueue import QUEUE, TASK, Nudger
from rankscope.settings import Settings
from rankscope.store.doorbell import Doorbell
from tests.backend.conftest import CONFIG, Server
from tests.conftest import Broker
from tests.read_only import read_only


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def test_nudge_is_one_message_without_content(own_broker: Broker) -> None:
    nudger = Nudger(own_broker.url)
    assert nudger.nudge()
    with redis.Redis.from_url(own_broker.url) as client:
        (message,) = client.lrange(QUEUE, 0, -1)
    headers = json.loads(message)["headers"]
    assert (headers["task"], headers["argsrepr"], headers["kwargsrepr"]) == (TASK, "()", "{}")
    nudger.close()


def test_nudge_works_again_once_the_broker_is_back(own_broker: Broker) -> None:
    nudger = Nudger(own_broker.url)
    assert nudger.nudge()
    own_broker.stop()
    assert not nudger.nudge()
    own_broker.start()
    assert nudger.nudge()
    nudger.close()


def test_broker_that_is_down_or_silent_times_out_within_seconds() -> None:
    with socket.socket() as silent:  # accepts connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port in (free_port(), silent.getsockname()[1]):
            url = f"redis://127.0.0.1:{port}/0"
            begin = time.monotonic()
            nudger, bell = Nudger(url), Doorbell(url)
            assert not nudger.nudge()
            assert not bell.ping()
            bell.ring("abc", 1)
            assert time.monotonic() - begin < 5
            nudger.close()
            bell.close()


def test_run_is_accepted_without_a_broker_and_health_says_so(catalogue: Settings, serve: Callable[..., Server]) -> None:
    server = serve(catalogue.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port()}/0"}))
    with server.client() as client:
        assert client.post("/api/v1/runs", json={"config": CONFIG}).status_code == 201
        health = client.get("/api/v1/system/health").json()
    assert (health["status"], health["broker"]["ok"], health["database"]["ok"]) == ("degraded", False, True)
    assert health["broker"]["next_step"]


def test_health_reports_a_locked_database_and_a_nearly_full_disk(
    catalogue: Settings, serve: Callable[..., Server]
) -> None:
    server = serve(catalogue)
    database = str(make_url(catalogue.resolved_database_url).database)
    with server.client() as client, closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = client.get("/api/v1/system/health").json()
        other.execute("ROLLBACK")
        free = client.get("/api/v1/system/health").json()
    assert (locked["status"], locked["database"]["ok"]) == ("degraded", False)
    assert "locked by another program" in locked["database"]["message"]
    assert (free["database"]["ok"], free["disk"]["ok"]) == (True, True)
    short = serve(catalogue.model_copy(update={"low_disk": 1 << 60}))
    with short.client() as client:
        disk = client.get("/api/v1/system/health").json()["disk"]
    assert not disk["ok"]
    assert disk["message"].startswith("The disk is nearly full: ")
    assert "keep_checkpoints" in disk["next_step"]


def test_health_reports_what_cannot_be_written_to_with_a_next_step(
    catalogue: Settings, serve: Callable[..., Server]
) -> None:
    server = serve(catalogue)
    database = Path(str(make_url(catalogue.resolved_database_url).database))
    with server.client() as client:
        with read_only(database):
            health = client.get("/api/v1/system/health").json()
            visitor = httpx.get(f"{server.url}/api/v1/system/health").json()
        assert (health["status"], health["database"]["ok"], health["disk"]["ok"]) == ("degraded", False, True)
        assert "can't be written to" in health["database"]["message"]
        assert "Check the permissions" in health["database"]["next_step"]
        assert visitor == {"status": "degraded"}

        with read_only(catalogue.data_dir):
            health = client.get("/api/v1/system/health").json()
        assert (health["status"], health["disk"]["ok"]) == ("degraded", False)
        assert f"The data folder {catalogue.data_dir} can't be written to" in health["disk"]["message"]
        assert "RANKSCOPE_DATA_DIR" in health["disk"]["next_step"]

        health = client.get("/api/v1/system/health").json()
        assert (health["database"]["ok"], health["disk"]["ok"]) == (True, True)
