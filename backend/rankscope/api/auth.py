"""Who may come in: one sign-in token for the installation, and a session cookie derived from it.

The cookie's value is an HMAC of a fixed label keyed by the token: the server keeps no sessions, every process of an
installation knows the same one, and a new token ends them all.
"""

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from rankscope.settings import Settings, write_atomically

COOKIE = "rankscope_session"
COOKIE_MAX_AGE_S = 30 * 24 * 3600
_LABEL = b"rankscope session 1"


def load_or_create_token(settings: Settings) -> str:
    """The sign-in token: from the settings, else from data_dir/token, which the first start makes for its owner alone."""
    if settings.token:
        return settings.token
    path = settings.data_dir / "token"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()


@dataclass(frozen=True)
class Gatekeeper:
    """Compares in constant time; bytes, because a person may type any character."""

    token: str

    @property
    def cookie_value(self) -> str:
        return hmac.new(self.token.encode(), _LABEL, sha256).hexdigest()

    def knows_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def knows_cookie(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.cookie_value.encode())


@dataclass
class AttemptLimit:
    """At most `limit` failed sign-ins in `window_s` seconds from one address."""

    limit: int = 10
    window_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, deque[float]] = field(default_factory=dict)

    def is_reached(self, address: str) -> bool:
        times = self._failures.get(address)
        if times is None:
            return False
        while times and times[0] <= self.clock() - self.window_s:
            times.popleft()
        if not times:
            del self._failures[address]
        return len(times) >= self.limit

    def forget(self) -> None:
        self._failures.clear()

    def count_failure(self, address: str) -> None:
        if len(self._failures) >= 10_000:  # forget rather than grow without end
            self.forget()
        self._failures.setdefault(address, deque(maxlen=self.limit)).append(self.clock())
