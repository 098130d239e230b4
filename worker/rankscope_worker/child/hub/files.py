"""Downloads a file from the hub. An interrupted download can be resumed."""

import hashlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import httpx

from rankscope_worker.child.hub.client import HubClient, HubError, HubFile, HubRepository

_CHUNK = 1 << 20
TRIES = 4
PAUSE_S = 2.0
_AGAIN = "Try again: the download continues where it stopped."


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def download(
    hub: HubClient, repository: HubRepository, file: HubFile, target: Path, report: Callable[[int], None]
) -> None:
    """Downloads a file to `target`, which exists only once it is complete and its hash is correct.

    `report` is called with the number of bytes downloaded so far. A broken connection is reopened a few times, and the
    download continues from where it broke. Raises HubError.
    """
    part = target.with_name(f"{target.name}.part")
    if target.is_file() and target.stat().st_size == file.size:
        report(file.size)
        return
    for attempt in range(TRIES):
        try:
            _fetch(hub, repository, file, part, report)
            break
        except httpx.HTTPError as error:
            have = part.stat().st_size if part.exists() else 0
            if attempt == TRIES - 1:
                if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and not have:
                    raise unreachable(hub, error) from error
                raise HubError(
                    f"The connection broke after {have:,} of {file.size:,} bytes of {file.name} ({type(error).__name__}).",
                    _AGAIN,
                ) from error
            time.sleep(PAUSE_S)
    _check_hash(file, part)
    part.replace(target)


def unreachable(hub: HubClient, error: Exception) -> HubError:
    return HubError(
        f"The hub at {hub.endpoint} can't be reached ({type(error).__name__}).",
        "Connect the worker's host to it, set RANKSCOPE_HUB_ENDPOINT to a mirror, or get the files in another way: copy a "
        "model's folder into models/ in the data folder, upload a data set.",
    )


def _fetch(hub: HubClient, repository: HubRepository, file: HubFile, part: Path, report: Callable[[int], None]) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > file.size:
        part.unlink()
        have = 0
    if have == file.size and part.exists():
        return
    with hub.file(repository, file.name, have) as answer:
        if answer.status_code == 416 or not _continues(answer, have):
            have = 0
        with part.open("ab" if have else "wb") as output:
            for chunk in (
                answer.iter_raw()
            ):  # as it arrives: bytes buffered for a larger chunk would be lost with the connection
                have += len(chunk)
                if have > file.size:
                    break
                output.write(chunk)
                report(have)
    if have < file.size:
        raise httpx.RemoteProtocolError(f"{have} of {file.size} bytes")
    if have > file.size:
        part.unlink()
        raise HubError(
            f"{file.name} is larger than the {file.size:,} bytes that the hub announced.", "Try again later."
        )


def _continues(answer: httpx.Response, offset: int) -> bool:
    return answer.status_code == 206 and answer.headers.get("content-range", "").startswith(f"bytes {offset}-")


def _check_hash(file: HubFile, part: Path) -> None:
    """Raises HubError, and deletes the file, if its content is not what the hub announced."""
    if file.sha256 is not None:
        digest: _Digest = hashlib.sha256()
        wanted = file.sha256
    elif file.git_hash is not None:
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        wanted = file.git_hash
    else:
        return
    with part.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != wanted:
        part.unlink()
        raise HubError(
            f"{file.name} was damaged on the way: its hash is {digest.hexdigest()[:12]}..., and the hub announced "
            f"{wanted[:12]}.... It was deleted.",
            "Try again. If it happens again, check the proxy between the worker and the hub.",
        )


def total_bytes(files: Iterable[HubFile]) -> int:
    return sum(file.size for file in files)
