"""Detects whether an error means that the disk is full, whichever library raised it."""

import errno
import os
import tempfile
from pathlib import Path

_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT})
_WORDS = ("no space left on device", "os error 28", "quota exceeded", "os error 122")
"""safetensors' errors don't carry the error number."""
_PROBE_BYTES = 1 << 20


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether `error` was raised because the disk of `folder` is full. Call it before anything is deleted there.

    torch's writer says only "unexpected pos 40960 vs 40852" or "iostream error" (seen on a full tmpfs): after such an
    error the disk itself is tested by writing a little.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _NUMBERS:
            return True
        if any(words in str(seen).lower() for words in _WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return isinstance(error, RuntimeError) and not _has_room(folder)


def _has_room(folder: Path) -> bool:
    present = next((path for path in (folder, *folder.parents) if path.is_dir()), folder)
    try:
        with tempfile.TemporaryFile(dir=present) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno not in _NUMBERS
    return True
