"""Who may come in, from where, and what the browser is told."""

import http.client
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from rankscope.api.auth import COOKIE, AttemptLimit, Gatekeeper, load_or_create_token
from rankscope.settings import Settings
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
        odd = wrong.get("/api/v1/runs", headers={"Authorization": "Bearer wröng".encode()})
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


def test_link_signs_in_and_takes_the_token_out_of_the_address(server: Server, visitor: httpx.Client) -> None:
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


def test_new_token_ends_every_session() -> None:
    old, new = Gatekeeper("one"), Gatekeeper("two")
    assert old.knows_cookie(old.cookie_value)
    assert not new.knows_cookie(old.cookie_value)


def test_eleventh_wrong_token_in_a_minute_is_refused_unread(visitor: httpx.Client) -> None:
    statuses = [visitor.post("/api/v1/session", json={"token": f"guess {number}"}).status_code for number in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    answer = visitor.post("/api/v1/session", json={"token": TOKEN})
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert visitor.get(f"/?token={TOKEN}").headers["location"] == "/sign-in?error=token"


def test_limit_forgets_after_its_window_and_counts_addresses_apart() -> None:
    now = [0.0]
    limit = AttemptLimit(limit=2, window_s=60, clock=lambda: now[0])
    for _ in range(2):
        limit.count_failure("a")
    assert limit.is_reached("a")
    assert not limit.is_reached("b")
    now[0] = 60.0
    assert not limit.is_reached("a")


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
    ("host", "status"), [("evil.example", 403), ("127.0.0.1:1", 200), ("localhost", 200), ("[::1]:80", 200), ("", 403)]
)
def test_only_known_host_names_are_answered(visitor: httpx.Client, host: str, status: int) -> None:
    assert visitor.get("/api/v1/session", headers={"Host": host}).status_code == status


def test_health_without_sign_in_says_one_word(visitor: httpx.Client, api: httpx.Client) -> None:
    assert visitor.get("/api/v1/system/health").json() == {"status": "degraded"}
    health = api.get("/api/v1/system/health").json()
    assert (health["database"]["ok"], health["broker"]["ok"], health["workers"]["ok"]) == (True, True, False)


@pytest.mark.parametrize("path", ["/", "/api/v1/session", "/api/v1/runs"])
def test_every_answer_has_the_safe_headers(visitor: httpx.Client, path: str) -> None:
    headers = visitor.get(path).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_token_is_made_once_for_its_owner_alone(settings: Settings) -> None:
    fresh = settings.model_copy(update={"token": ""})
    token = load_or_create_token(fresh)
    assert len(token) == 32
    assert load_or_create_token(fresh) == token
    assert stat.S_IMODE((settings.data_dir / "token").stat().st_mode) == 0o600
    assert load_or_create_token(settings) == TOKEN


def test_session_survives_a_restart_of_the_server(catalogue: Settings, serve: Callable[..., Server]) -> None:
    first = serve(catalogue)
    with signed_in(first) as client:
        cookie = client.cookies[COOKIE]
    first.stop()
    with serve(catalogue).client(token=None) as client:
        client.cookies.set(COOKIE, cookie)
        assert client.get("/api/v1/runs").status_code == 200
