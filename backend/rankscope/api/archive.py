"""A folder as a zip, made while it is sent: no temporary file, no copy in memory."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20


class _Outbox(io.RawIOBase):
    """Keeps what ZipFile writes until it is taken. Not seekable: ZipFile then writes sizes after each file."""

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
    """Plain files of the folder, no links out of it."""
    root = folder.resolve()
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root)
    )


def zip_of(folder: Path, files: list[Path]) -> Iterator[bytes]:
    """The zip's bytes. Stored, not deflated: weights do not get smaller."""
    root, outbox = folder.resolve(), _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            entry = zipfile.ZipInfo.from_file(path, path.relative_to(root).as_posix())
            with path.open("rb") as source, archive.open(entry, "w") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
                    yield outbox.take()
    yield outbox.take()
