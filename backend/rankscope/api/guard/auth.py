"""Sign-in: one token for the installation, and a limit on wrong tokens that never locks out the correct one."""

import hmac
import ipaddress
import logging
import os
import secrets
import stat
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rankscope.api.guard.access import RIGHTS, Right
from rankscope.contract.errors import StartupError, TooManyAttempts
from rankscope.settings import Settings

logger = logging.getLogger(__name__)

MIN_TOKEN_LENGTH = 16
"""The correct token is always accepted, even while wrong ones are refused, so its length must prevent guessing."""
_MAX_TOKEN_BYTES = 4096
_MAX_ADDRESSES = 10_000


def load_or_create_token(settings: Settings) -> str:
    """Returns the sign-in token from the settings, or from data_dir/token, which the first start creates as a private file.

    Raises StartupError if it could be guessed, or if its file is a link or not a regular file.
    """
    if settings.token:
        return _checked(settings.token, "RANKSCOPE_TOKEN", "Set another one, or unset it to generate one.")
    path = settings.data_dir / "token"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.path.lexists(path):
            _create(path)
        text = _read(path)
    except OSError as error:
        raise StartupError(f"The token file {path} can't be read ({error.strerror}). Fix or remove it.") from error
    except UnicodeDecodeError as error:
        raise StartupError(f"The token file {path} is not text. Remove it to generate a new token.") from error
    return _checked(text.strip(), f"The token file {path}", "Remove the file to generate a new token.")


def _create(path: Path) -> None:
    """Writes a new token. If two processes start at once, the first one's token is kept."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".token.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(24))
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        os.unlink(temporary)


def _read(path: Path) -> str:
    # Non-blocking: opening a FIFO would otherwise wait for a writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if path.is_symlink():
        raise StartupError(f"The token file {path} is a link. Replace it with a file, or set RANKSCOPE_TOKEN.")
    with open(os.open(path, flags), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise StartupError(f"The token file {path} is not a regular file. Remove it to generate a new token.")
        if facts.st_mode & 0o077:
            mode = stat.S_IMODE(facts.st_mode)
            if facts.st_uid == os.geteuid():
                os.fchmod(file.fileno(), 0o600)
                logger.warning(
                    "The token file %s was readable by other users (mode %04o); it is now private. Remove it and start "
                    "again to get a new token.",
                    path,
                    mode,
                )
            else:
                logger.warning("The token file %s is readable by other users (mode %04o); run chmod 600.", path, mode)
        return file.read(_MAX_TOKEN_BYTES).decode()


def _checked(token: str, where: str, next_step: str) -> str:
    if not token:
        raise StartupError(f"{where} is empty. {next_step}")
    if not all("!" <= character <= "~" for character in token):
        raise StartupError(
            f"{where} contains spaces or characters other than ASCII letters, digits and punctuation. {next_step}"
        )
    if len(token) < MIN_TOKEN_LENGTH:
        raise StartupError(
            f"{where} is too short: it has {len(token)} characters and needs at least {MIN_TOKEN_LENGTH}. {next_step}"
        )
    return token


@dataclass(frozen=True)
class Gatekeeper:
    """Compares in constant time, as bytes, because a user may type any character."""

    token: str = field(repr=False)
    rights: frozenset[Right] = RIGHTS
    """The rights of a sign-in."""

    def __post_init__(self) -> None:
        if not self.token:
            raise ValueError("The token is empty: anyone could sign in.")

    def knows_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self.token.encode())


@dataclass
class AttemptLimit:
    """Counts wrong tokens per address: after `limit` of them in `window_s` seconds, further wrong ones are refused.

    Correct ones are never counted or refused, because any web page can make a browser send wrong ones from this machine.
    Thread-safe. Keeps only the newest `_MAX_ADDRESSES` addresses.
    """

    limit: int = 10
    window_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _failures: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_failure(self, address: str) -> None:
        """Counts a wrong token. Raises TooManyAttempts if the address has used up its attempts."""
        now, network = self.clock(), network_of(address)
        with self._lock:
            times = self._failures.setdefault(network, deque(maxlen=self.limit))
            self._failures.move_to_end(network)
            while times and times[0] <= now - self.window_s:
                times.popleft()
            is_refused = len(times) >= self.limit
            wait_s = times[0] + self.window_s - now if is_refused else 0.0
            if not is_refused:
                times.append(now)
            while len(self._failures) > _MAX_ADDRESSES:
                self._failures.popitem(last=False)
        if is_refused:
            raise TooManyAttempts(
                f"Wrong sign-in token. There were {self.limit} wrong tokens from this address in the last "
                f"{self.window_s:.0f} seconds.",
                "The correct token works at any time. Wait a minute before you try another one.",
                retry_after_s=max(1, int(wait_s) + 1),
            )

    def forget(self) -> None:
        with self._lock:
            self._failures.clear()

    def __len__(self) -> int:
        return len(self._failures)


def network_of(address: str) -> str:
    """Returns the address to count by: the /64 network for IPv6, which usually belongs to one customer, or the IPv4 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
