"""What every request passes before a route sees it: host name, sign-in, same origin, kind and size of the body.

As ASGI middleware, so that it fails closed: a route under /api is behind it without saying so. Response bodies pass
through untouched (streams stay streams).
"""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankscope.api.auth import COOKIE, Gatekeeper
from rankscope.api.problems import SAFE_HEADERS, problem_response
from rankscope.contract.errors import Forbidden, NotSignedIn, RankScopeError, TooLarge, WrongMediaType
from rankscope.deps import Resources

MAX_BODY_BYTES = 2_000_000
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Reachable without sign-in; health then says only its one word.
_OPEN_PATHS = frozenset({"/api/v1/session", "/api/v1/system/health"})


class Gate:
    def __init__(self, app: ASGIApp, allowed_hosts: list[str]) -> None:
        self._app = app
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    answered.setdefault(name, value)  # an answer may be stricter by itself
            await send(message)

        try:
            self._check(scope, headers)
        except RankScopeError as error:
            await problem_response(error)(scope, receive, send_safely)
            return
        await self._app(scope, _limited(receive), send_safely)

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = host_name(headers.get("host", ""))
        if "*" not in self._allowed_hosts and host not in self._allowed_hosts:
            raise Forbidden(
                f"This server does not answer to the host name {host!r}.",
                "Use http://127.0.0.1 with its port, or add the name to RANKSCOPE_ALLOWED_HOSTS.",
            )
        path, method = scope["path"], scope["method"]
        if not is_api(path):
            return
        resources: Resources = scope["app"].state.resources
        by_bearer, by_cookie = signed_in_by(headers, resources.gatekeeper)
        if path not in _OPEN_PATHS and not (by_bearer or by_cookie):
            raise NotSignedIn(
                "This needs a sign-in.",
                "Open the link that RankScope printed at its start, or send the header Authorization: Bearer TOKEN.",
            )
        if method in _SAFE_METHODS:
            return
        # A token in a header was put there by a program; a cookie is sent by any page that asks the browser to.
        if not by_bearer and not is_same_origin(headers):
            raise Forbidden("This request comes from another site.", "Use RankScope's own page, or a bearer token.")
        _check_body(headers)


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def signed_in_by(headers: Headers, gatekeeper: Gatekeeper) -> tuple[bool, bool]:
    """Whether the bearer token is right, and whether the cookie is."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    by_bearer = scheme.lower() == "bearer" and gatekeeper.knows_token(given.strip())
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        morsel = None
    return by_bearer, morsel is not None and gatekeeper.knows_cookie(morsel.value)


def is_same_origin(headers: Headers) -> bool:
    """Browsers say where a request comes from; programs that say nothing do not hold another site's visitor's cookie."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    # The scheme is left out: behind a proxy that ends TLS we cannot know it.
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def host_name(host: str) -> str:
    """`Host` without its port; an IPv6 address keeps its brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]


def _check_body(headers: Headers) -> None:
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    has_body = length not in ("", "0") or "transfer-encoding" in headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type != "application/json":
        raise WrongMediaType(
            f"The body has the type {media_type!r}." if media_type else "The body does not say what it is.",
            "Send JSON with the header Content-Type: application/json.",
        )


def _limited(receive: Receive) -> Receive:
    """Counts a body that came without its length; raises within the route that reads it."""
    seen = 0

    async def receive_limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                # FastAPI would take any other error for a body that is no JSON.
                raise HTTPException(TooLarge.status, _too_large().detail)
        return message

    return receive_limited


def _too_large() -> TooLarge:
    return TooLarge(f"The body is above {MAX_BODY_BYTES:,} bytes.", "Send less at once.")
