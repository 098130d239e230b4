"""The gate in front of every route: however the path is spelt, it is closed without a sign-in."""

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from fastapi.routing import APIRoute

from rankscope.api.guard.hosts import normal_host
from rankscope.api.routes import page
from rankscope.app import _ROUTERS
from rankscope.serve import bound_socket, outward_address, sign_in_link
from rankscope.settings import Settings
from tests.backend.conftest import Server
from tests.stack import TOKEN

PUBLIC = {
    ("GET", "/api/v1/session"),
    ("POST", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
    ("GET", "/api/v1/system/health"),
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
SECRETS = re.compile(rb"local:tiny|database|broker|\"paths\"|rankscope_worker|sqlite|bert")


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def ask(
    server: Server, method: str, target: str, headers: dict[str, str] | None = None, host: str | None = None
) -> tuple[int, bytes]:
    """Sends the target exactly as written: other clients normalise it first."""
    port = int(server.url.rsplit(":", 1)[1])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or f"127.0.0.1:{port}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()


def routes(server: Server) -> Iterator[str]:
    for path in server.app.openapi()["paths"]:
        yield re.sub(r"\{[^}]+\}", "abc123", path)


def test_the_test_covers_every_route_of_the_api(server: Server) -> None:
    paths = set(routes(server))
    assert len(paths) > 30
    # Routes that are in no OpenAPI document would be missing here.
    for module in _ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            assert route.include_in_schema, route.path
    assert [route.path for route in page.router.routes if isinstance(route, APIRoute)] == ["/{path:page}"]


def test_every_route_with_every_method_is_closed_without_a_sign_in(server: Server) -> None:
    for path in [*routes(server), "/api/v1/openapi.json", "/api", "/api/", "/api/v1", "/api/v1/nothing"]:
        for method in METHODS:
            if (method, path) in PUBLIC or path in ("/api/v1/session", "/api/v1/system/health"):
                continue
            status, _ = ask(server, method, path)
            assert status in (401, 403), f"{method} {path}: {status}"


def test_the_open_paths_reveal_nothing_and_change_nothing(server: Server) -> None:
    for path in ("/api/v1/session", "/api/v1/system/health"):
        for method in METHODS:
            status, body = ask(server, method, path)
            assert status in (200, 401, 403, 405, 415, 422), f"{method} {path}"
            assert not SECRETS.search(body), body
    assert ask(server, "GET", "/api/v1/system/health")[1] in (b'{"status":"ok"}', b'{"status":"degraded"}')


VARIANTS = [
    "//api/v1/runs",
    "/./api/v1/runs",
    "/x/../api/v1/runs",
    "/api/v1/../v1/runs",
    "/api/v1/session/../runs",
    "/api/v1/runs/",
    "/api/v1/session/",
    "/api/v1/session/runs",
    "/api//v1/runs",
    "/api/v1//runs",
    "/API/v1/runs",
    "/Api/V1/Runs",
    "/%61pi/v1/runs",
    "/api%2Fv1%2Fruns",
    "/api%2fv1/runs",
    "/api/v1%2Fruns",
    "/api/v1/session%2F..%2Fruns",
    "/api;x/v1/runs",
    "/api/v1/runs;x",
    "/api/v1/runs%00",
    "/api/v1/runs?token=x",
    "/api/v1/system/health/../../runs",
    "/api/v1/system/health%2F..",
    "/metrics",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/assets/../../token",
    "/..%2f..%2ftoken",
    "/%2e%2e/%2e%2e/token",
    "/assets/%2e%2e%2f%2e%2e%2ftoken",
    "/static/../token",
    "http://127.0.0.1/api/v1/runs",
    "/\\api\\v1\\runs",
]


@pytest.mark.parametrize("target", VARIANTS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "DELETE"])
def test_no_spelling_of_a_path_bypasses_the_gate(server: Server, launched: str, target: str, method: str) -> None:
    status, body = ask(server, method, target)
    assert launched.encode() not in body
    assert TOKEN.encode() not in body
    assert not SECRETS.search(body)
    assert status < 500, f"{status} {body[:200]!r}"


@pytest.fixture
def launched(launch: Callable[..., str]) -> str:
    return launch()


def test_websocket_is_not_opened(server: Server) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/api/v1/runs", "/api/v1/runs/abc123/events/stream", "/ws"):
        status, body = ask(server, "GET", path, headers)
        assert status != 101
        assert not SECRETS.search(body)


def test_two_host_headers_are_refused(server: Server) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(
            b"GET /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        )
        assert re.match(rb"HTTP/1.1 (400|403)", raw.makefile("rb").read())


@pytest.mark.parametrize("listening_on", ["0.0.0.0", "127.0.0.1", "localhost", "::", "[::1]"])
def test_printed_link_has_a_host_that_is_accepted(
    settings: Settings, serve: Callable[..., Server], listening_on: str
) -> None:
    if ":" in listening_on and not socket.has_ipv6:
        pytest.skip("This machine has no IPv6.")
    settings = settings.model_copy(update={"host": listening_on})
    with bound_socket(listening_on, 0) as listener:
        link = sign_in_link(settings, listener)
        server = serve(settings, listener=listener)
        try:
            host, port = re.match(r"http://(.+):(\d+)/\?token=", link).groups()  # type: ignore[union-attr]
            with closing(http.client.HTTPConnection(host.strip("[]"), int(port), timeout=20)) as connection:
                connection.request("GET", f"/?token={TOKEN}", headers={"Host": f"{host}:{port}"})
                answer = connection.getresponse()
                assert (answer.status, answer.getheader("location")) == (303, "/")
            if listening_on == "[::1]":
                return
            expected = 200 if listening_on in ("0.0.0.0", "::") else 403
            assert ask(server, "GET", "/api/v1/session", host=f"{socket.gethostname()}:{port}")[0] == expected
            assert ask(server, "GET", "/api/v1/session", host=f"evil.example:{port}")[0] == 403
        finally:
            server.stop()


def test_the_outward_address_is_one_of_this_machine() -> None:
    with socket.socket() as probe:
        probe.bind((outward_address(with_ipv6=False), 0))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Host.Example.", "host.example"),
        ("host:80", "host"),
        ("[::0001]:8", "::1"),
        ("::1", "::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("[::1]x", ""),
        ("host:x", ""),
        ("", ""),
    ],
)
def test_a_host_has_one_form_to_be_compared_in(given: str, name: str) -> None:
    assert normal_host(given) == name
