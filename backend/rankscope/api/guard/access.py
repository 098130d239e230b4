"""Access of each route: the right that it needs, and the type and size of its body. Enforced before the route runs.

There is one token, which has every right. Creating an application with an undeclared route fails.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from fastapi.routing import APIRoute
from starlette.routing import compile_path

Right = Literal["read", "launch", "admin"]
"""read: view everything. launch: start, change and stop runs. admin: delete data permanently."""
RIGHTS: frozenset[Right] = frozenset({"read", "launch", "admin"})

JSON = "application/json"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True)
class BodyRule:
    max_bytes: int
    media_types: tuple[str, ...] = (JSON,)


NO_BODY = BodyRule(1_000)
"""For routes without a body: a client may send `{}`."""
SMALL_JSON = BodyRule(250_000)
"""Fits names, tags and notes of maximum length with every character escaped."""
LARGE_JSON = BodyRule(2_000_000)
"""A configuration, or texts to classify."""


def upload(max_bytes: int, *media_types: str) -> BodyRule:
    """A body that is not JSON, for example `upload(10**9, "multipart/form-data")`. The route reads it as a stream."""
    return BodyRule(max_bytes, media_types or ("multipart/form-data", "application/octet-stream"))


@dataclass(frozen=True)
class Access:
    right: Right | None
    """None: no sign-in is needed."""
    body: BodyRule


UNDECLARED = Access("read", LARGE_JSON)
"""For addresses without a route, which return 404 or 405 after the sign-in check."""


def needs(right: Right, body: BodyRule = NO_BODY) -> Callable[[Endpoint], Endpoint]:
    """Declares the right and the body of a route. Put it below the router's decorator."""
    return _declare(Access(right, body))


def open_to_all(body: BodyRule = NO_BODY) -> Callable[[Endpoint], Endpoint]:
    """Declares a route that works without a sign-in."""
    return _declare(Access(None, body))


def _declare(access: Access) -> Callable[[Endpoint], Endpoint]:
    def decorate(endpoint: Endpoint) -> Endpoint:
        endpoint.__access__ = access  # type: ignore[attr-defined]
        return endpoint

    return decorate


class AccessTable:
    """The declarations of all routes, found by method and path in the order in which requests are routed."""

    def __init__(self, prefix: str, routes: Iterable[Any]) -> None:
        self._rows = [(_methods(route), compile_path(prefix + route.path)[0], _declared(route)) for route in routes]

    def find(self, method: str, path: str) -> Access:
        for methods, pattern, access in self._rows:
            if method in methods and pattern.match(path):
                return access
        return UNDECLARED


def _methods(route: Any) -> frozenset[str]:
    return frozenset(route.methods or ())


def _declared(route: Any) -> Access:
    access = getattr(route.endpoint, "__access__", None) if isinstance(route, APIRoute) else None
    if not isinstance(access, Access):
        raise ValueError(f"The route {route.path} does not declare what it needs: add @needs(...) below its decorator.")
    return access
