"""HubClient: requests to the configured hub, and to no other host.

The hub's API answers with names, sizes and hashes of a repository's files at a commit. Large files are redirected to a storage
host: only redirects to hosts that belong to the hub are followed, and the token is sent only to the hub itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx

OFFICIAL = "https://huggingface.co"
_STORAGE_OF_OFFICIAL = ("huggingface.co", "hf.co")
_MAX_REDIRECTS = 5
_MAX_ANSWER_BYTES = 16 << 20
Kind = Literal["model", "data set"]
_API: Mapping[Kind, str] = {"model": "/api/models", "data set": "/api/datasets"}
_FILES: Mapping[Kind, str] = {"model": "", "data set": "/datasets"}
_TIMEOUT = httpx.Timeout(30.0, connect=15.0)


class HubError(Exception):
    """Why a model or a data set can't be downloaded, and what to do about it."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


@dataclass(frozen=True)
class HubFile:
    name: str
    size: int
    sha256: str | None
    """Of a file in large-file storage."""
    git_hash: str | None
    """SHA-1 of any other file, as git computes it."""


@dataclass(frozen=True)
class HubRepository:
    kind: "Kind"
    hub_id: str
    commit: str
    license: str | None
    files: tuple[HubFile, ...]
    card: Mapping[str, Any]
    """The metadata of its README, as its owner wrote it."""


class HubClient:
    """Use it as a context manager. `storage_hosts`: host names, with their subdomains, to which files may be redirected."""

    def __init__(self, endpoint: str, token: str | None, storage_hosts: Sequence[str] = ()) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._origin = _origin(httpx.URL(self.endpoint))
        self._token = token
        self._storage = (*storage_hosts, *(_STORAGE_OF_OFFICIAL if self.endpoint == OFFICIAL else ()))
        self._http = httpx.Client(timeout=_TIMEOUT, follow_redirects=False)

    def __enter__(self) -> "HubClient":
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def repository(self, kind: Kind, hub_id: str, revision: str) -> HubRepository:
        """Returns the files at a revision, which is resolved to a commit. Raises HubError."""
        url = f"{self.endpoint}{_API[kind]}/{quote(hub_id)}/revision/{quote(revision, safe='')}?blobs=true"
        with self._get(url, {}, kind, hub_id, revision) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > _MAX_ANSWER_BYTES:
                    raise HubError(f"The hub's answer about {hub_id} is too large.", "Check RANKSCOPE_HUB_ENDPOINT.")
        try:
            return _repository(kind, hub_id, httpx.Response(200, content=bytes(content)).json())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise HubError(
                f"{self.endpoint} did not answer as a model hub does.", "Check RANKSCOPE_HUB_ENDPOINT on the worker."
            ) from error

    @contextmanager
    def file(self, repository: HubRepository, name: str, offset: int) -> Iterator[httpx.Response]:
        """Yields the response with the file's bytes from `offset` on (206), or all of them (200). Raises HubError."""
        kind, hub_id, commit = repository.kind, repository.hub_id, repository.commit
        url = f"{self.endpoint}{_FILES[kind]}/{quote(hub_id)}/resolve/{commit}/{quote(name)}"
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with self._get(url, headers, kind, hub_id, commit) as answer:
            yield answer

    @contextmanager
    def _get(
        self, address: str, headers: Mapping[str, str], kind: Kind, hub_id: str, revision: str
    ) -> Iterator[httpx.Response]:
        url = httpx.URL(address)
        for _ in range(_MAX_REDIRECTS):
            # Compressed bytes could not be resumed or counted.
            sent = {"User-Agent": "rankscope", "Accept-Encoding": "identity", **headers}
            if self._token and _origin(url) == self._origin:
                sent["Authorization"] = f"Bearer {self._token}"
            with self._http.stream("GET", url, headers=sent) as answer:
                if not answer.is_redirect:
                    self._check(answer, kind, hub_id, revision)
                    yield answer
                    return
                url = url.join(answer.headers["location"])
            if not self._is_permitted(url):
                raise HubError(
                    f"The hub redirects a file of {hub_id} to {url.host[:200]!r}, which is not one of its hosts.",
                    "If you trust that host, add it to RANKSCOPE_HUB_STORAGE_HOSTS on the worker.",
                )
        raise HubError(f"The hub redirects a file of {hub_id} too often.", "Try again later.")

    def _is_permitted(self, url: httpx.URL) -> bool:
        if _origin(url) == self._origin:
            return True
        host = url.host.lower()
        return url.scheme == "https" and any(host == one or host.endswith(f".{one}") for one in self._storage)

    def _check(self, answer: httpx.Response, kind: Kind, hub_id: str, revision: str) -> None:
        status, code = answer.status_code, answer.headers.get("x-error-code", "")
        if status in (200, 206, 416):
            return
        if code == "RevisionNotFound":
            raise HubError(f"{hub_id} has no revision {revision!r}.", "Use one of its branches, tags or commits.")
        if code == "GatedRepo" or status == 403:
            has = "The token on the worker has no access to it." if self._token else "The worker has no token."
            raise HubError(
                f"{hub_id} is gated: its owner gives access to accounts. {has}",
                f"Accept its terms at {self.endpoint}{_FILES[kind]}/{hub_id}, and set RANKSCOPE_HF_TOKEN on the worker to a "
                "token of that account.",
            )
        if status in (401, 404):
            raise HubError(
                f"There is no {kind} {hub_id} at {self.endpoint}, or it is private.",
                f"Check its name. For a private {kind}, set RANKSCOPE_HF_TOKEN on the worker to a token that may read it.",
            )
        raise HubError(f"{self.endpoint} answered with status {status}.", "Try again later.")


def _repository(kind: Kind, hub_id: str, found: Mapping[str, Any]) -> HubRepository:
    commit = found["sha"]
    if not (isinstance(commit, str) and commit.isalnum() and len(commit) <= 64):
        raise ValueError("no commit")
    card = found.get("cardData")
    card = card if isinstance(card, dict) else {}
    licence = card.get("license")
    return HubRepository(
        kind=kind,
        hub_id=hub_id,
        commit=commit,
        license=licence[:80] if isinstance(licence, str) and licence not in ("other", "unknown") else None,
        files=tuple(_file(one) for one in found["siblings"]),
        card=card,
    )


def _file(found: Mapping[str, Any]) -> HubFile:
    large = found.get("lfs") or {}
    size = large.get("size", found.get("size"))
    if type(size) is not int or size < 0:
        raise ValueError("no size")
    sha256, git_hash = large.get("sha256"), found.get("blobId")
    return HubFile(
        name=str(found["rfilename"]),
        size=size,
        sha256=sha256 if isinstance(sha256, str) else None,
        git_hash=git_hash if isinstance(git_hash, str) and not large else None,
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host.lower(), url.port
