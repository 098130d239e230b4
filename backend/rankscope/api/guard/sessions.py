"""Session cookies, signed with the sign-in token. Signing out ends one session.

The server stores only which sessions have ended: each as a file named after its id, in `sessions/ended` of the data
folder. A change of `sessions/generation` ends all sessions. So all processes of an installation agree, sessions
survive a restart, and signing out also invalidates copies of the cookie.
"""

import contextlib
import hmac
import os
import re
import secrets
import threading
import time
from hashlib import sha256
from pathlib import Path

from rankscope.contract.errors import ServiceDown
from rankscope.settings import write_atomically

COOKIE = "rankscope_session"
COOKIE_MAX_AGE_S = 30 * 24 * 3600
_VALUE = re.compile(r"([0-9a-f]{32})\.([0-9]{1,12})\.([0-9a-f]{64})")
_MAX_COOKIES = 50


def cookie_name(host: str) -> str:
    """Browsers share cookies between the ports of a host: the port is in the name, so that installations stay separate."""
    port = host.rpartition("]")[2].rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isascii() and port.isdecimal() else COOKIE


def cookies_named(header: str, name: str) -> list[str]:
    """All values with this name. Parsed by hand: Python's parser stops at the first malformed cookie of another program."""
    pairs = (part.strip().partition("=") for part in header.split(";")[:_MAX_COOKIES])
    return [value.strip().strip('"') for key, sign, value in pairs if sign and key.strip() == name]


class Sessions:
    """Creates, verifies and ends sessions. `folder` is created on first use."""

    def __init__(self, token: str, folder: Path) -> None:
        self._key = token.encode()
        self._generation_file = folder / "generation"
        self._ended_folder = folder / "ended"
        self._ended: set[str] = set()
        """Sessions that this process ended or found ended at its start: they stay ended if the folder disappears."""
        self._generation = ""
        self._lock = threading.Lock()
        with contextlib.suppress(OSError):
            self._forget_old()

    def open(self, now: float | None = None) -> str:
        """Returns the cookie's value for a new session."""
        identity = secrets.token_hex(16)
        expires = int((time.time() if now is None else now) + COOKIE_MAX_AGE_S)
        return f"{identity}.{expires}.{self._signature(identity, expires)}"

    def knows(self, value: str, now: float | None = None) -> bool:
        """Whether the value belongs to a session that has not ended."""
        identity = self._identity(value, time.time() if now is None else now)
        return identity is not None and not self._has_ended(identity)

    def end(self, value: str, now: float | None = None) -> None:
        """Ends the session with this value, also for copies of the cookie; does nothing if there is none."""
        identity = self._identity(value, time.time() if now is None else now)
        if identity is None:
            return
        with self._lock:
            self._ended.add(identity)
        try:
            self._ended_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(self._ended_folder / identity, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "wb"):
                pass
        except OSError as error:
            raise _not_stored(error) from error

    def end_all(self) -> None:
        """Ends every session."""
        try:
            self._ended_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(self._generation_file, secrets.token_hex(16))
        except OSError as error:
            raise _not_stored(error) from error

    def _identity(self, value: str, now: float) -> str | None:
        match = _VALUE.fullmatch(value)
        if match is None:
            return None
        identity, expires, signature = match[1], int(match[2]), match[3]
        is_ours = hmac.compare_digest(signature, self._signature(identity, expires))
        return identity if is_ours and expires > now else None

    def _signature(self, identity: str, expires: int) -> str:
        label = f"rankscope session 2|{self._read_generation()}|{identity}|{expires}"
        return hmac.new(self._key, label.encode(), sha256).hexdigest()

    def _read_generation(self) -> str:
        # Keep the last known one while the folder is unreachable.
        with contextlib.suppress(OSError, UnicodeDecodeError):
            self._generation = self._generation_file.read_text(encoding="utf-8")
        return self._generation

    def _has_ended(self, identity: str) -> bool:
        if identity in self._ended:
            return True
        try:
            (self._ended_folder / identity).lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True  # unknown: treat it as ended
        return True

    def _forget_old(self) -> None:
        """Deletes the records of ended sessions whose cookies have expired."""
        for entry in os.scandir(self._ended_folder):
            if entry.stat(follow_symlinks=False).st_mtime < time.time() - COOKIE_MAX_AGE_S:
                os.unlink(entry)
            else:
                self._ended.add(entry.name)


def _not_stored(error: OSError) -> ServiceDown:
    return ServiceDown(
        f"The sign-out can't be stored ({error.strerror}), so a copy of the cookie may work again after a restart.",
        "Check that the data folder can be written to, then sign out again.",
    )
