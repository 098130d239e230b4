"""The folder of encoded rows, which training processes write: its size, and the removal of a data set's entries."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ENTRY = "entry.json"
_PREFIX = 12
_WORTH_ROWS = 20_000
"""Fewer rows are not kept: encoding them takes a few seconds."""


class TokenSpace(NamedTuple):
    """Where encoded rows are kept: at most `limit_bytes`, and nothing if less than `min_free_bytes` of the disk are free."""

    data_dir: Path
    limit_bytes: int
    min_free_bytes: int = 0
    worth_rows: int = _WORTH_ROWS
    """Splits with fewer rows are not kept."""


def tokens_folder(data_dir: Path) -> Path:
    return data_dir / "tokens"


def entry_prefix(fingerprint: str) -> str:
    """Returns the prefix of the names of a data set's entries. `fingerprint`: the SHA-256 of its rows."""
    return f"{fingerprint[:_PREFIX]}-"


def tokens_bytes(data_dir: Path) -> int:
    """Returns the size of all encoded rows."""
    size = 0
    for path in tokens_folder(data_dir).glob("*/*"):
        with suppress(OSError):
            size += path.stat().st_size
    return size


def remove_tokens(data_dir: Path, fingerprint: str) -> None:
    """Removes the encoded rows of a data set. A training that uses them keeps them until it ends."""
    for folder in tokens_folder(data_dir).glob(f"{entry_prefix(fingerprint)}*"):
        shutil.rmtree(folder, ignore_errors=True)
