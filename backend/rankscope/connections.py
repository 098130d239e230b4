"""Limits on the server's connections: their number, and how long a client may take.

Anyone can open connections without sending anything; the sign-in is checked only for a request. A thousand of them would use
up the process's open files and block everyone else. So a request's head must be complete within 10 s, its body must make
progress every 30 s, and if all connections are in use, the one that has been idle the longest is closed.
"""

import asyncio
import json
import logging
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from rankscope.api.shapes.problems import MEDIA_TYPE, SAFE_HEADERS

_log = logging.getLogger(__name__)

_MAX_CONNECTIONS = 4096
_MAX_OPEN_FILES = 65_536
_RESERVED_FILES = 200
"""For the database, the broker, logs and downloads."""

_WARN_EVERY_S = 60.0


def allow_open_files() -> int:
    """Raises the soft limit of open files as far as permitted. Returns the number of connections that it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # macOS rejects some numbers below `hard`
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    allowed = _MAX_OPEN_FILES if soft == resource.RLIM_INFINITY else soft
    return max(16, min(_MAX_CONNECTIONS, allowed - _RESERVED_FILES))


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with a limit on connections and with timeouts. `bounded` creates a subclass with limits."""

    max_connections = _MAX_CONNECTIONS
    head_timeout_s = 10.0
    body_timeout_s = 30.0

    _silent_until = 0.0
    """Time of the next permitted warning, shared by all connections."""
    _timer: asyncio.TimerHandle | None = None
    _quiet_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._quiet_since = self.loop.time()
        self._close_in(self.head_timeout_s)
        if len(self.connections) > self.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_busy = self._is_busy
        super().data_received(data)
        if self._is_busy:
            self._quiet_since = self.loop.time()
            self._stop_timer()
            if self.cycle.more_body:
                self._close_in(self.body_timeout_s)
        elif was_busy or self._timer is None:
            self._close_in(self.head_timeout_s)
        # Otherwise it is part of a head: the timer keeps running, so that single bytes don't keep the connection open.

    def on_response_complete(self) -> None:
        self._quiet_since = self.loop.time()
        self._close_in(self.head_timeout_s)
        super().on_response_complete()  # may start the next request if it has already arrived
        if self._is_busy:
            self._stop_timer()
            if self.cycle.more_body:
                self._close_in(self.body_timeout_s)

    def send_400_response(self, msg: str) -> None:
        """Responds to invalid HTTP with a problem in the format of this API."""
        error = sys.exc_info()[1]
        status = HTTPStatus(getattr(error, "error_status_hint", 400))
        problem = {
            "type": "about:blank",
            "title": status.phrase,
            "status": status,
            "errors": [],
            "detail": f"Invalid HTTP request: {error or msg}.",
            "next_step": "Send a shorter request line and shorter headers." if status == 431 else "Use HTTP/1.1.",
        }
        body = json.dumps(problem).encode()
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **SAFE_HEADERS,
        }
        parts: list[h11.Event] = [
            h11.Response(status_code=status, headers=list(headers.items()), reason=status.phrase.encode()),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ]
        with suppress(h11.LocalProtocolError):  # a response has already started
            self.transport.write(b"".join(self.conn.send(part) or b"" for part in parts))
        self.transport.close()

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_in(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> None:
        """Closes the longest idle connection, or this one if all others are busy."""
        others = [other for other in self.connections if isinstance(other, BoundedProtocol) and other is not self]
        quiet = _quietest(other for other in others if not other._is_busy)
        # Requests whose body does not arrive, and responses that are not read.
        stuck = quiet or _quietest(other for other in others if other.cycle.more_body or other.flow.write_paused)
        closed = stuck or self
        self._warn()
        self.connections.discard(closed)
        closed.transport.abort()

    def _warn(self) -> None:
        cls = type(self)
        if self.loop.time() >= cls._silent_until:
            cls._silent_until = self.loop.time() + _WARN_EVERY_S
            _log.warning("All %d connections are in use; closing idle ones.", self.max_connections)


def _quietest(connections: Iterable[BoundedProtocol]) -> BoundedProtocol | None:
    return min(connections, key=lambda connection: connection._quiet_since, default=None)


def bounded(max_connections: int, *, head_timeout_s: float = 10.0, body_timeout_s: float = 30.0) -> type[H11Protocol]:
    """Returns a protocol class with these limits for `uvicorn.Config(http=...)`."""
    limits = {
        "max_connections": max_connections,
        "head_timeout_s": head_timeout_s,
        "body_timeout_s": body_timeout_s,
    }
    return type("Bounded", (BoundedProtocol,), limits)
