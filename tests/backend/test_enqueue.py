"""Nudges reach the queue, and a broker that is down fails nobody."""

import json
import socket
import time
from collections.abc import Callable

import pytest
import redis

from rankscope.embedded import free_port
from rankscope.enqueue import QUEUE, TASK, Nudger
from rankscope.settings import Settings
from rankscope.store.doorbell import Doorbell
from tests.backend.conftest import CONFIG, Server
from tests.conftest import Broker


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


def test_broker_that_is_down_or_silent_is_given_up_within_seconds() -> None:
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
