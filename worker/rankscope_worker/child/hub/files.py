"""Chooses the files of a model that are downloaded, and downloads one so that it can be resumed."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import httpx

from rankscope.catalog.models.tokenizer_files import TOKENIZER_FILES
from rankscope.catalog.models.weight_files import INDEX, SINGLE, other_format
from rankscope_worker.child.hub.client import HubClient, HubError, HubFile, HubModel

_TEXTS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "chat_template.jinja",
        "chat_template.json",
        "README.md",
        *TOKENIZER_FILES,
    }
)
_LICENCE = re.compile(r"(LICEN[CS]E|NOTICE)(\.(txt|md))?", re.IGNORECASE)
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_MAX_TEXT_BYTES = 256 << 20
_MAX_FILES = 1000
_CHUNK = 1 << 20
TRIES = 4
PAUSE_S = 2.0
_AGAIN = "Try again: the download continues where it stopped."


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def chosen_files(model: HubModel) -> list[HubFile]:
    """Returns config, tokenizer, licence and safetensors weights. Raises HubError if it can't be used without others."""
    by_name = {file.name: file for file in model.files}
    if "config.json" not in by_name:
        raise HubError(
            f"{model.hub_id} has no config.json, so it is not a model for transformers.", "Use another model."
        )
    if SINGLE in by_name:
        weights = [by_name[SINGLE]]
    elif INDEX in by_name:
        weights = [by_name[INDEX], *(file for file in model.files if _SHARD.fullmatch(file.name))]
    else:
        other = other_format(by_name)
        has = f" {other[0]} is {other[1]}." if other else ""
        raise HubError(
            f"{model.hub_id} has no weights in safetensors format.{has}",
            "Use a revision with model.safetensors, for example one of its pull requests (refs/pr/1), or another model.",
        )
    texts = [
        file
        for file in model.files
        if (file.name in _TEXTS or _LICENCE.fullmatch(file.name)) and file.size <= _MAX_TEXT_BYTES
    ]
    files = [*texts, *weights]
    if len(files) > _MAX_FILES:
        raise HubError(f"{model.hub_id} consists of {len(files):,} files, which is too many.", "Use another model.")
    return files


def download(hub: HubClient, model: HubModel, file: HubFile, folder: Path, report: Callable[[int], None]) -> None:
    """Downloads a file to `folder`, where it has its name only when it is complete and its hash is right.

    `report` is called with the number of bytes that are there. A connection that breaks is opened again a few times, from
    where it broke. Raises HubError.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    if target.is_file() and target.stat().st_size == file.size:
        report(file.size)
        return
    for attempt in range(TRIES):
        try:
            _fetch(hub, model, file, part, report)
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
        "Connect the worker's host to it, set RANKSCOPE_HUB_ENDPOINT to a mirror, or copy the model's folder into models/ in "
        "the data folder.",
    )


def _fetch(hub: HubClient, model: HubModel, file: HubFile, part: Path, report: Callable[[int], None]) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > file.size:
        part.unlink()
        have = 0
    if have == file.size and part.exists():
        return
    with hub.file(model, file.name, have) as answer:
        if answer.status_code == 416 or not _continues(answer, have):
            have = 0
        with part.open("ab" if have else "wb") as output:
            for chunk in (
                answer.iter_raw()
            ):  # as it arrives: what was buffered for a larger chunk would be lost with the connection
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
