"""Who may sign in, from where, and the cookies and headers of responses."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from rankscope.api.guard.auth import Gatekeeper
from rankscope.api.guard.sessions import COOKIE_MAX_AGE_S, Sessions, cookie_name
from rankscope.settings import Settings
from rankscope.store.database.engine import writing
from rankscope.store.workers import heartbeat, register
from tests.backend.conftest import Server
from tests.stack import TOKEN


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def visitor(server: Server) -> Iterator[httpx.Client]:
    """Without any token."""
    with server.client(token=None) as client:
        yield client


@contextmanager
def signed_in(server: Server) -> Iterator[httpx.Client]:
    with server.client(token=None) as client:
        assert client.post("/api/v1/session", json={"token": TOKEN}).status_code == 200
        yield client


@pytest.mark.parametrize("path", ["runs", "openapi.json", "models", "workers", "runs/abc/events/stream", "nothing"])
def test_everything_needs_a_sign_in(visitor: httpx.Client, path: str) -> None:
    answer = visitor.get(f"/api/v1/{path}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["next_step"]


def test_unknown_operation_is_not_even_read_without_sign_in(visitor: httpx.Client) -> None:
    assert visitor.post("/api/v1/runs", content=b"{").status_code == 401


def test_bearer_token_opens_and_a_wrong_one_does_not(server: Server) -> None:
    with server.client() as right, server.client("wrong") as wrong:
        assert right.get("/api/v1/runs").status_code == 200
        assert wrong.get("/api/v1/runs").status_code == 401
        odd = wrong.get("/api/v1/runs", headers={b"Authorization": "Bearer wröng".encode()})
        assert odd.status_code == 401


def test_sign_in_sets_a_strict_cookie_that_opens_and_sign_out_removes_it(server: Server) -> None:
    with signed_in(server) as client:
        assert client.get("/api/v1/session").json() == {"signed_in": True}
        assert client.get("/api/v1/runs").status_code == 200
        answer = client.post("/api/v1/session", json={"token": TOKEN})
        cookie = answer.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/"))
        assert TOKEN not in cookie
        client.delete("/api/v1/session")
        assert client.get("/api/v1/runs").status_code == 401
        assert client.get("/api/v1/session").json() == {"signed_in": False}


def test_link_signs_in_and_removes_the_token_from_the_address(server: Server, visitor: httpx.Client) -> None:
    answer = visitor.get(f"/runs/abc?tab=log&token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/abc?tab=log")
    assert visitor.get("/api/v1/runs").status_code == 200
    with server.client(token=None) as other:
        answer = other.get("/?token=wrong")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?error=token")
        assert other.get("/api/v1/runs").status_code == 401


def test_link_never_leads_to_another_site(server: Server) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"//evil.example/x?token={TOKEN}")
    location = connection.getresponse().getheader("location") or ""
    connection.close()
    assert not location.startswith("//")


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}]
)
def test_a_page_of_another_site_neither_signs_in_nor_counts(server: Server, headers: dict[str, str]) -> None:
    """`<img src="http://127.0.0.1:8123/?token=x">` on any page: twelve such requests once locked the owner out."""
    with server.client(token=None) as client:
        for _ in range(12):
            assert client.get("/?token=x", headers=headers).headers["location"] == "/sign-in?error=site"
            assert client.post("/api/v1/session", json={"token": "x"}, headers=headers).status_code == 403
        assert client.get(f"/?token={TOKEN}", headers=headers).headers["location"] == "/sign-in?error=site"
        assert not client.cookies
        assert client.post("/api/v1/session", json={"token": "wrong"}).status_code == 401, "they were counted"


def test_new_token_ends_every_session(tmp_path: Path) -> None:
    old, new = Sessions("one", tmp_path), Sessions("two", tmp_path)
    cookie = old.open()
    assert old.knows(cookie)
    assert not new.knows(cookie)


def test_session_ends_after_a_month_and_cannot_be_lengthened(tmp_path: Path) -> None:
    sessions = Sessions("one", tmp_path)
    cookie = sessions.open(now=1000)
    assert sessions.knows(cookie, now=1000 + COOKIE_MAX_AGE_S - 1)
    assert not sessions.knows(cookie, now=1000 + COOKIE_MAX_AGE_S)
    identity, expires, signature = cookie.split(".")
    assert not sessions.knows(f"{identity}.{int(expires) + 1}.{signature}", now=1000)


def test_copied_cookie_ends_with_the_sign_out_also_in_other_processes_and_after_a_restart(
    catalogue: Settings, serve: Callable[..., Server]
) -> None:
    first, second = serve(catalogue), serve(catalogue)
    with signed_in(first) as client, signed_in(first) as other:
        copied = dict(client.cookies)
        assert client.delete("/api/v1/session").status_code == 200
        (value,) = copied.values()
        for server in (first, second, serve(catalogue)):
            name = cookie_name(server.url.removeprefix("http://"))
            with server.client(token=None) as thief:
                assert thief.get("/api/v1/runs", headers={"Cookie": f"{name}={value}"}).status_code == 401
        assert other.get("/api/v1/runs").status_code == 200, "another browser's session goes on"
        assert other.delete("/api/v1/session?everywhere=true").status_code == 200


def test_sign_out_everywhere_ends_all_sessions_and_needs_one(server: Server, visitor: httpx.Client) -> None:
    with signed_in(server) as one, signed_in(server) as another:
        assert visitor.delete("/api/v1/session?everywhere=true").status_code == 401
        assert another.get("/api/v1/runs").status_code == 200
        assert one.delete("/api/v1/session?everywhere=true").json() == {"signed_in": False}
        assert another.get("/api/v1/runs").status_code == 401


def test_two_installations_on_a_host_keep_their_sessions_apart(
    settings: Settings, tmp_path: Path, serve: Callable[..., Server]
) -> None:
    """A browser keeps cookies by host, without the port."""
    one = serve(settings)
    two = serve(settings.model_copy(update={"data_dir": tmp_path / "two", "database_url": ""}))
    with httpx.Client(verify=False) as browser:
        for server in (one, two):
            assert browser.post(f"{server.url}/api/v1/session", json={"token": TOKEN}).status_code == 200
        browser.delete(f"{two.url}/api/v1/session")
        assert browser.get(f"{two.url}/api/v1/runs").status_code == 401
        assert browser.get(f"{one.url}/api/v1/runs").status_code == 200


def test_cookies_of_other_programs_on_the_host_do_no_harm(server: Server) -> None:
    with signed_in(server) as client:
        ((name, value),) = client.cookies.items()
    with server.client(token=None) as client:
        cookie = f'odd={{"a": 1}}; other=a b; {name}=stranger; {name}={value}; last="'
        assert client.get("/api/v1/runs", headers={"Cookie": cookie}).status_code == 200


@pytest.mark.parametrize("forwarded", ["203.0.113.7", "203.0.113.8, 10.0.0.1", "127.0.0.1"])
def test_correct_token_is_accepted_after_any_number_of_wrong_ones(
    server: Server, visitor: httpx.Client, forwarded: str
) -> None:
    statuses = [visitor.post("/api/v1/session", json={"token": f"guess {number}"}).status_code for number in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    # The address is that of the connection, whatever a header says.
    answer = visitor.post("/api/v1/session", json={"token": "guess"}, headers={"X-Forwarded-For": forwarded})
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "Wrong sign-in token" in answer.json()["detail"]
    assert visitor.get("/?token=guess").headers["location"] == "/sign-in?error=attempts"
    with server.client() as program:
        assert program.get("/api/v1/runs").status_code == 200
    with server.client(token=None) as browser:
        assert browser.get(f"/?token={TOKEN}").headers["location"] == "/"
        assert browser.get("/api/v1/runs").status_code == 200
    assert visitor.post("/api/v1/session", json={"token": TOKEN}).status_code == 200


def test_wrong_bearer_tokens_are_counted_wherever_they_are_sent(server: Server) -> None:
    with signed_in(server) as browser, server.client("wrong") as wrong:
        paths = ["runs", "session", "system/health", "nothing", "openapi.json"] * 2
        assert 429 not in [wrong.get(f"/api/v1/{path}").status_code for path in paths]
        assert {wrong.get(f"/api/v1/{path}").status_code for path in paths} == {429}
        assert browser.get("/api/v1/runs", headers={"Authorization": "Bearer wrong"}).status_code == 200


def test_trusted_proxy_tells_the_address_and_the_scheme(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(settings.model_copy(update={"trusted_proxies": ["127.0.0.1"]}))
    with server.client(token=None) as client:
        for number in range(12):
            headers = {"X-Forwarded-For": f"198.51.100.{number}"}
            assert client.post("/api/v1/session", json={"token": "x"}, headers=headers).status_code == 401
        # Addresses claimed by a client are further left than the one that the proxy adds.
        for number in range(11):
            headers = {"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.200"}
            status = client.post("/api/v1/session", json={"token": "x"}, headers=headers).status_code
        assert status == 429
        headers = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https"}
        answer = client.post("/api/v1/session", json={"token": TOKEN}, headers=headers)
        assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "SELF"}, 422),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_cookie_works_only_from_the_same_origin(server: Server, headers: dict[str, str], status: int) -> None:
    headers = {name: server.url if value == "SELF" else value for name, value in headers.items()}
    with signed_in(server) as client:
        assert client.post("/api/v1/runs", json={}, headers=headers).status_code == status


def test_bearer_token_works_from_anywhere(api: httpx.Client) -> None:
    assert api.post("/api/v1/runs", json={}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 422


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("", 403),
        ("LocalHost.", 200),
        ("[0:0:0:0:0:0:0:1]:80", 200),
        ("::1", 200),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:80", 403),
        ("evil.example:127.0.0.1", 403),
        ("localhost:x@evil.example", 403),
        ("[::1]evil.example", 403),
        ("*", 403),
        ("127.0.0.2", 403),
        ("user@localhost", 403),
        ("localhost,evil.example", 403),
    ],
)
def test_only_known_host_names_are_answered(visitor: httpx.Client, host: str, status: int) -> None:
    assert visitor.get("/api/v1/session", headers={"Host": host}).status_code == status


def test_health_without_sign_in_returns_only_the_status(visitor: httpx.Client, api: httpx.Client) -> None:
    assert visitor.get("/api/v1/system/health").json() == {"status": "degraded"}
    health = api.get("/api/v1/system/health").json()
    assert (health["database"]["ok"], health["broker"]["ok"], health["workers"]["ok"]) == (True, True, False)


def test_health_names_the_workers_that_run_code_from_before_an_upgrade(server: Server, api: httpx.Client) -> None:
    with writing(server.app.state.resources.engine) as session:
        for name in ("new", "old-1", "old-2"):
            register(session, name=name, host="h", pid=1, version="1", slots=1, gpus=[], now=time.time())
            is_outdated = name != "new"
            heartbeat(session, name, now=time.time(), gpus=[], is_draining=False, is_outdated=is_outdated)
    state = api.get("/api/v1/system/health").json()["workers"]
    assert (state["ok"], "They take no new runs or jobs: old-1, old-2." in state["message"]) == (False, True)
    assert "Restart each of them." in state["next_step"]


@pytest.mark.parametrize("path", ["/", "/api/v1/session", "/api/v1/runs"])
def test_every_response_has_the_security_headers(visitor: httpx.Client, path: str) -> None:
    headers = visitor.get(path).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_empty_token_opens_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        Gatekeeper("")


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer ", "bearer\t", "Basic Og==", "Bearer null", "Bearer token"]
)
def test_bearer_without_the_token_is_rejected(server: Server, authorization: str) -> None:
    with closing(http.client.HTTPConnection(server.url.removeprefix("http://"))) as connection:
        connection.request("GET", "/api/v1/runs", headers={"Authorization": authorization})
        assert connection.getresponse().status == 401


@pytest.mark.parametrize("query", ["token=", "token", "token=%00", "token=null", f"token={TOKEN[:-1]}"])
def test_link_without_the_token_is_rejected(visitor: httpx.Client, query: str) -> None:
    assert visitor.get(f"/?{query}").headers["location"] == "/sign-in?error=token"
    assert visitor.get("/api/v1/runs").status_code == 401


def test_half_a_surrogate_pair_is_a_wrong_token(visitor: httpx.Client) -> None:
    answer = visitor.post(
        "/api/v1/session", content=b'{"token": "\\ud800"}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (401, 422)


def test_session_survives_a_restart_of_the_server(catalogue: Settings, serve: Callable[..., Server]) -> None:
    first = serve(catalogue)
    with signed_in(first) as client:
        (cookie,) = client.cookies.values()
    first.stop()
    second = serve(catalogue)
    with second.client(token=None) as client:
        client.cookies.set(cookie_name(second.url), cookie)
        assert client.get("/api/v1/runs").status_code == 200
