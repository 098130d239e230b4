"""Connections to a real server that send nothing, little or garbage: other clients still get their responses."""

import contextlib
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from rankscope.connections import bounded
from rankscope.embedded import free_port
from tests.conftest import Broker
from tests.stack import TOKEN, wait_for
from tests.wide import wide

HEAD = b"GET /api/v1/system/health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LONG_BODY = b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def open_files() -> Iterator[None]:
    """Allows 1,100 sockets in the test's process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


Start = Callable[[int], int]


@pytest.fixture
def start_api(tmp_path: Path, shared_broker: Broker, open_files: None) -> Iterator[Start]:
    """Starts `rankscope api` with a limit of open files, and returns its port."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(open_files: int) -> int:
        port = free_port()
        environment = {
            "RANKSCOPE_DATA_DIR": str(tmp_path / "data"),
            "RANKSCOPE_TOKEN": TOKEN,
            "RANKSCOPE_PORT": str(port),
            "RANKSCOPE_BROKER_URL": shared_broker.url,
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
        }
        processes.append(
            subprocess.Popen(
                ["bash", "-c", f"ulimit -n {open_files}; exec {sys.executable} -m rankscope api"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        )
        wait_for("the API to answer", lambda: answers(port), deadline_s=120)
        return port

    yield start
    for process in processes:
        process.terminate()
        process.wait(60)


def answers(port: int) -> bool:
    try:
        return ask(port, timeout=2).is_success
    except httpx.TransportError:
        return False


def ask(port: int, timeout: float = 30) -> httpx.Response:
    return httpx.get(
        f"http://127.0.0.1:{port}/api/v1/runs",
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=timeout,
        verify=False,
    )


@contextlib.contextmanager
def connected(port: int, say: list[bytes]) -> Iterator[list[socket.socket]]:
    """Opens a connection for each of these, and sends only these bytes."""
    with contextlib.ExitStack() as stack:
        opened = []
        for text in say:
            opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)))
            with contextlib.suppress(ConnectionError):  # closed by now, to make room
                opened[-1].sendall(text)
        yield opened


@pytest.mark.parametrize("open_files", [400, *wide(1024)])
def test_a_thousand_silent_connections_keep_nobody_from_being_answered(start_api: Start, open_files: int) -> None:
    port = start_api(open_files)
    with connected(port, [b""] * 500 + [HEAD] * 300 + [LONG_BODY] * 300):
        for _ in range(3):
            assert ask(port).status_code == 200
        with connected(port, [b""] * 300):
            assert ask(port).status_code == 200


def read_until(connection: socket.socket, end: bytes) -> None:
    read = b""
    while end not in read:
        part = connection.recv(65_536)
        assert part, read
        read += part


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(65_536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@contextlib.contextmanager
def served(app: Any, **limits: Any) -> Iterator[int]:
    """An application behind the bounded protocol, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=bounded(**limits), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for("the server to start", lambda: server.started, deadline_s=20, every_s=0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body; the response to /stream never ends."""
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begin", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    body = str(length).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


def test_connection_with_an_unfinished_request_is_closed_but_a_stream_is_not() -> None:
    with served(echo, max_connections=100, head_timeout_s=0.3, body_timeout_s=0.3) as port:
        stream = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
        with connected(port, [stream, b"", b"GET / HT", LONG_BODY]) as (streaming, *unfinished):
            read_until(streaming, b"begin")
            for connection in unfinished:
                wait_for("the connection to be closed", partial(is_closed, connection), deadline_s=20)
            assert not is_closed(streaming)


def test_body_that_arrives_slowly_but_steadily_is_read_completely() -> None:
    with (
        served(echo, max_connections=100, head_timeout_s=0.5, body_timeout_s=0.5) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False, timeout=20) as client,
    ):
        pause = threading.Event()

        def parts() -> Iterator[bytes]:
            for _ in range(8):
                pause.wait(0.1)
                yield b"x" * 10

        assert client.post("/", content=parts()).text == "80"
        for length in (0, 5, 70_000):  # the same connection again, whose timer was reset
            assert client.post("/", content=b"x" * length).text == str(length)


def test_the_newest_connection_is_refused_if_all_are_busy() -> None:
    stream = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
    with served(echo, max_connections=5) as port, connected(port, [stream] * 5) as streaming:
        for connection in streaming:
            read_until(connection, b"begin")
        with connected(port, [b""]) as (newest,):
            wait_for("the newest to be closed", lambda: is_closed(newest), deadline_s=20)
        assert not any(is_closed(connection) for connection in streaming)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (HEAD + b"X: " + b"y" * 200_000, 431),
        (b"GET /" + b"a" * 200_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    ],
)
def test_invalid_http_is_answered_with_a_problem(said: bytes, status: int) -> None:
    with served(echo, max_connections=5) as port, connected(port, [said]) as (connection,):
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65_536):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"application/problem+json" in head
        assert f'"status": {status}'.encode() in body
