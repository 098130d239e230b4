"""Checks every request before a route sees it: host name, sign-in and right, same origin, kind and size of the body.

As ASGI middleware, so that it fails closed: a route under /api is behind it wherever it is mounted. Response bodies pass
through untouched (streams stay streams).
"""

from typing import Protocol
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankscope.api.guard.access import JSON, Access, AccessTable, BodyRule
from rankscope.api.guard.auth import AttemptLimit, Gatekeeper
from rankscope.api.guard.hosts import is_address, normal_host, own_names
from rankscope.api.guard.sessions import Sessions, cookie_name, cookies_named
from rankscope.api.shapes.problems import SAFE_HEADERS, problem_response
from rankscope.contract.errors import Forbidden, NotSignedIn, RankScopeError, TooLarge, WrongMediaType

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SIGN_IN = ("/api/v1/session", "POST")


class SignInState(Protocol):
    """What decides whether a request is signed in; part of the server's resources."""

    @property
    def gatekeeper(self) -> Gatekeeper: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def attempt_limit(self) -> AttemptLimit: ...


class Gate:
    def __init__(self, app: ASGIApp, allowed_hosts: list[str], listening_on: str, access: AccessTable) -> None:
        self._app = app
        self._access = access
        self._allowed_hosts = frozenset(map(normal_host, allowed_hosts)) | own_names(listening_on)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # the API has none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    answered.setdefault(name, value)  # a response may set stricter ones itself
            await send(message)

        access = self._access.find(scope["method"], scope["path"])
        try:
            self._check(scope, headers, access)
        except RankScopeError as error:
            await problem_response(error)(scope, receive, send_safely)
            return
        await self._app(scope, _limited(receive, access.body), send_safely)

    def _check(self, scope: Scope, headers: Headers, access: Access) -> None:
        self._check_host(scope, headers)
        path, method = scope["path"], scope["method"]
        if not is_api(path):
            return
        state: SignInState = scope["app"].state.resources
        by_bearer, by_cookie = signed_in_by(headers, state)
        if not (by_bearer or by_cookie):
            # A sign-in has its token in the body, where it is counted.
            if bearer_token(headers) is not None and (path, method) != _SIGN_IN:
                state.attempt_limit.count_failure(client_address(scope))
            if access.right is not None:
                raise NotSignedIn(
                    "You must sign in first.",
                    "Open the link that RankScope printed when it started, or send the header Authorization: Bearer TOKEN.",
                )
        elif access.right is not None and access.right not in state.gatekeeper.rights:
            raise Forbidden(
                f"This sign-in does not have the right {access.right!r}.", "Ask the server's administrator for it."
            )
        if method in _SAFE_METHODS:
            return
        # Only programs send a token in the header. A browser sends the cookie with requests that other sites trigger.
        if not by_bearer and not is_same_origin(headers):
            raise Forbidden("This request comes from another site.", "Use RankScope's page, or a bearer token.")
        _check_body(headers, access.body)

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        given = headers.getlist("host")
        host = normal_host(given[0]) if len(given) == 1 else ""
        if host and ("*" in self._allowed_hosts or host in self._allowed_hosts):
            return
        # The address of this connection is ours; no foreign name can be spelled like it.
        server = scope.get("server")
        if host and server and is_address(host) and normal_host(str(server[0])) == host:
            return
        raise Forbidden(
            f"This server does not accept the host name {host or ', '.join(given)!r}.",
            "Use http://127.0.0.1 with its port, or add the name to RANKSCOPE_ALLOWED_HOSTS.",
        )


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def signed_in_by(headers: Headers, state: SignInState) -> tuple[bool, bool]:
    """Whether the bearer token is right, and whether the cookie is."""
    token = bearer_token(headers)
    by_bearer = token is not None and state.gatekeeper.knows_token(token)
    return by_bearer, any(map(state.sessions.knows, session_cookies(headers)))


def bearer_token(headers: Headers) -> str | None:
    """The request's bearer token, right or wrong; None if it has none."""
    scheme, _, given = headers.get("authorization", "").strip().partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def session_cookies(headers: Headers) -> list[str]:
    """Values of our cookie, valid or not; another program on this host may have set one of the same name."""
    name = cookie_name(headers.get("host", ""))
    return [value for header in headers.getlist("cookie") for value in cookies_named(header, name)]


def client_address(scope: Scope) -> str:
    """The address to count wrong tokens for: the connection's, or the one that a trusted proxy reports."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def is_same_origin(headers: Headers) -> bool:
    """Whether the request is from this origin. Browsers send its origin; programs without one can't be misused by a site."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    # The scheme is ignored: behind a proxy that terminates TLS it is unknown.
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def _check_body(headers: Headers, rule: BodyRule) -> None:
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > rule.max_bytes:
        raise _too_large(rule)
    has_body = length not in ("", "0") or "transfer-encoding" in headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type not in rule.media_types:
        wanted = " or ".join(rule.media_types)
        raise WrongMediaType(
            f"The body has the type {media_type!r}." if media_type else "The body has no content type.",
            "Send JSON with the header Content-Type: application/json."
            if wanted == JSON
            else f"Send the header Content-Type: {wanted}.",
        )


def _limited(receive: Receive, rule: BodyRule) -> Receive:
    """Counts the bytes of a body without a length; raises within the route that reads it."""
    seen = 0

    async def receive_limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > rule.max_bytes:
                # FastAPI would report any other error as a body that is not JSON.
                raise HTTPException(TooLarge.status, _too_large(rule).detail)
        return message

    return receive_limited


def _too_large(rule: BodyRule) -> TooLarge:
    return TooLarge(
        f"The body is larger than {rule.max_bytes:,} bytes, the limit of this route.", "Send a smaller body."
    )
