"""Unpacks a backup file. Nothing in the file is trusted."""

import gzip
import io
import json
import os
import re
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import Any

from rankscope.backup.contents import BACKUP_FORMAT, DATABASE, NOTE, RUNS, BackupNote
from rankscope.store.database.readiness import line_of

RUN_ID = re.compile("[a-z0-9]{1,16}")
_MAX_HEADER_BYTES = 1 << 20
_MAX_PATH_BYTES = 1024
_COPY_BYTES = 1 << 20
_MAX_NOTE_BYTES = 1 << 16
_KEPT_FREE_BYTES = 64 << 20


class Refused(Exception):
    """The backup can't be restored; the message says what is wrong with it."""


class _Bounded(io.RawIOBase):
    """Limits the size of a read, so that a header that claims to be huge is not loaded into memory."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source
        self.last = b""
        """What was read last."""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise Refused("it has a header that is too large")
        self.last = self._source.read(size)
        return self.last

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()


def unpack(source: Path, working: Path) -> BackupNote:
    """Unpacks the archive into `working`, and returns its description. Raises Refused, or OSError if the disk is too small."""
    seen: set[str] = set()
    try:
        with source.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
            bounded: Any = _Bounded(packed)
            with tarfile.open(fileobj=bounded, mode="r:") as archive:
                while (member := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # otherwise it keeps all of them
                    path = _place(member)
                    if path is None:
                        continue
                    folded = path.casefold()
                    if folded in seen:
                        raise Refused(f"it contains {path!r} twice, or in different case")
                    seen.add(folded)
                    _write(archive, member, working, path)
            _check_end(bounded.last)
            while packed.read(_COPY_BYTES):  # gzip checks its checksum only at the end
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, ValueError, OverflowError) as error:
        raise Refused(f"{_what_is_wrong(error)} ({line_of(error)})") from error
    except (IsADirectoryError, FileNotFoundError) as error:
        raise Refused(line_of(error)) from error
    return _read_note(working / NOTE)


def _check_end(block: bytes) -> None:
    """An archive ends with a block of zeros. tarfile also takes a header that it can't read for the end of the archive."""
    if len(block) < tarfile.BLOCKSIZE:
        raise Refused("it is truncated")
    if any(block):
        raise Refused("it has a damaged header")


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, EOFError) or str(error) in ("unexpected end of data", "empty file"):
        return "it is truncated"
    if isinstance(error, gzip.BadGzipFile) and "Not a gzipped" in str(error):
        return "it is not a gzip file"
    if isinstance(error, zlib.error | gzip.BadGzipFile):
        return "its content is damaged"
    return "it has a damaged header"


def _place(member: tarfile.TarInfo) -> str | None:
    """Returns the member's path in the working folder; None for a folder, which is created with its files."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    shown = member.name[:200]
    try:
        is_short = len(member.name.encode()) <= _MAX_PATH_BYTES and all(len(part.encode()) <= 255 for part in parts)
    except UnicodeEncodeError:
        is_short = False
    if not is_short:
        raise Refused(f"the name {shown!r} is too long or not text")
    if member.name.startswith("/") or ".." in parts or any(not c.isprintable() or c == "\\" for c in member.name):
        raise Refused(f"the name {shown!r} leads outside its folder")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise Refused(f"{shown!r} is a link or a special file")
    if member.size < 0:
        raise Refused(f"{shown!r} has a size of {member.size:,} bytes")
    is_of_a_run = len(parts) >= 2 and parts[0] == RUNS and RUN_ID.fullmatch(parts[1])
    if member.isdir():
        if not parts or parts == [RUNS] or is_of_a_run:
            return None
    elif parts in ([NOTE], [DATABASE]) or (is_of_a_run and len(parts) >= 3):
        return "/".join(parts)
    raise Refused(f"{shown!r} does not belong in a backup")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, working: Path, path: str) -> None:
    free = shutil.disk_usage(working).free - _KEPT_FREE_BYTES
    if member.size > free:
        raise OSError(f"{path!r} has {member.size:,} bytes, but the data folder has space for {max(0, free):,}")
    target = working / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except (FileExistsError, NotADirectoryError) as error:
        raise Refused(f"{path!r} is both a file and a folder") from error
    content = archive.extractfile(member)
    with open(descriptor, "wb") as file:
        left = member.size if content else 0
        while content and left and (part := content.read(min(left, _COPY_BYTES))):
            file.write(part)
            left -= len(part)
    if left:
        raise Refused(f"{path!r} is truncated")


def _read_note(path: Path) -> BackupNote:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_NOTE_BYTES + 1)
    except FileNotFoundError:
        raise Refused(f"it has no {NOTE}") from None
    try:
        if len(text) > _MAX_NOTE_BYTES:
            raise ValueError("it is too long")
        note = BackupNote(**json.loads(text))
        for name, kind in BackupNote.__annotations__.items():
            if type(getattr(note, name)) is not kind and not (kind is float and type(getattr(note, name)) is int):
                raise ValueError(f"{name} is not {kind.__name__}")
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"its {NOTE} can't be read ({line_of(error)})") from error
    if note.format != BACKUP_FORMAT:
        raise Refused(f"it has backup format {note.format}, but this version reads format {BACKUP_FORMAT}")
    return note
