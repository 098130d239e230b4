"""Zip files written while they are sent: no temporary file, no copy in memory."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20
ZIP_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A zip file.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""The OpenAPI description of a route that returns a zip."""


@dataclass(frozen=True)
class Member:
    """One file of the zip. `parts` is read when the file is written."""

    name: str
    parts: Iterable[bytes]
    is_deflated: bool = False
    """Whether to compress the file: useful for text, not for weights."""


class _Outbox(io.RawIOBase):
    """Keeps what ZipFile writes until `take`. Not seekable, so ZipFile writes sizes after each file."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def files_within(folder: Path) -> list[Path]:
    """The folder's plain files; symbolic links are skipped."""
    root = folder.resolve()
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root)
    )


def members_of(folder: Path, prefix: str = "") -> list[Member]:
    """The folder's plain files, with `prefix` before their names."""
    root = folder.resolve()
    return [Member(prefix + path.relative_to(root).as_posix(), parts_of(path)) for path in files_within(folder)]


def zip_of(members: Iterable[Member]) -> Iterator[bytes]:
    """The zip's bytes."""
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            entry = zipfile.ZipInfo(member.name)
            entry.compress_type = zipfile.ZIP_DEFLATED if member.is_deflated else zipfile.ZIP_STORED
            entry.external_attr = 0o644 << 16
            # The size is unknown until the file is read; zip64 allows large ones.
            with archive.open(entry, "w", force_zip64=True) as target:
                for part in member.parts:
                    target.write(part)
                    yield outbox.take()
    yield outbox.take()


def parts_of(path: Path) -> Iterator[bytes]:
    """The file's bytes, one MiB at a time; it is opened on the first read."""
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk
