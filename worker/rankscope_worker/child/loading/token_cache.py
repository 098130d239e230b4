"""TokenCache: the encoded rows of splits on disk, so that a run with the same rows and tokenizer does not encode them again.

`tokens/KEY/` in the data folder has a file of rows for each side, and `entry.json`. The folder appears only once it is
complete. The files have checksums, so a damaged entry is removed and rebuilt. Two processes may make the same entry:
the first one to finish publishes it. Entries that were not used for the longest time make room for new ones; a process
that has opened one keeps its rows until it ends.
"""

import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from rankscope.catalog.imported.encoded import ENTRY, TokenSpace, tokens_folder
from rankscope.catalog.models.tokenizer_files import TOKENIZER_FILES
from rankscope_worker.child.loading.encoded_file import open_rows, write_rows
from rankscope_worker.child.loading.encoded_rows import Columns, EncodedRows

_log = logging.getLogger(__name__)
_FORMAT = 1
_BUILDING = ".building-"
_ABANDONED_S = 3600.0
"""A process that is killed leaves its unfinished files; a process that is still writing does so every few seconds."""
_BLOCK = 1 << 20
_SIDES = ("train", "evaluation")
_NOTED = "noted.npz"
_OTHER_FILES = ("config.json", "chat_template.jinja", "chat_template.json")


class CacheFull(Exception):
    """The rows take more space than allowed."""


class StoredRows(NamedTuple):
    train: EncodedRows
    evaluation: EncodedRows
    counts: dict[str, int]
    noted: dict[str, "array[int]"]


class TokenCache:
    def __init__(self, space: TokenSpace, model_folder: Path) -> None:
        self._space, self._root = space, tokens_folder(space.data_dir)
        self.tokenizer = _digest_of(model_folder)

    def is_worth(self, rows: int) -> bool:
        return self._space.limit_bytes > 0 and rows >= self._space.worth_rows

    def find(self, key: str) -> StoredRows | None:
        """Returns the rows of an entry, which is verified first; None if there is none. A damaged one is removed."""
        folder = self._root / key
        if not folder.is_dir():
            return None
        try:
            entry = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
            if entry["format"] != _FORMAT:
                raise ValueError(f"its format is {entry['format']}")
            for name, (size, checksum) in entry["files"].items():
                if (size, checksum) != _checksum(folder / name):
                    raise ValueError(f"{name} has changed")
            found = _opened(folder, entry["counts"])
            os.utime(folder / ENTRY)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, pa.ArrowException) as error:
            _log.warning("The stored tokens %s are damaged (%s), so they are made again.", key, error)
            self.remove(key)
            return None
        return found

    def remove(self, key: str) -> None:
        doomed = self._root / f"{_BUILDING}{key}-{os.getpid()}"
        with suppress(OSError):
            os.rename(self._root / key, doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def write(
        self,
        key: str,
        sides: Mapping[str, Iterable[Columns]],
        describe: Callable[[], tuple[dict[str, int], dict[str, "array[int]"]]],
    ) -> StoredRows:
        """Writes an entry and returns its rows. `describe` is called last, for the counts and what the task has noted.

        Raises CacheFull, DoesNotFit or OSError, and then leaves nothing behind.
        """
        with self._building() as folder:
            written = 0

            def check(size: int) -> None:
                if written + size > self._space.limit_bytes:
                    raise CacheFull(f"they have more than {self._space.limit_bytes / 1e9:,.1f} GB")
                if shutil.disk_usage(folder).free < self._space.min_free_bytes:
                    raise CacheFull("the disk is nearly full")

            for side in _SIDES:
                write_rows(folder / f"{side}.arrow", sides[side], check)
                written += (folder / f"{side}.arrow").stat().st_size
            counts, noted = describe()
            arrays: dict[str, Any] = {name: np.asarray(values) for name, values in noted.items()}
            with (folder / _NOTED).open("wb") as file:
                np.savez_compressed(file, **arrays)
            names = [*(f"{side}.arrow" for side in _SIDES), _NOTED]
            entry = {"format": _FORMAT, "counts": counts, "files": {name: _checksum(folder / name) for name in names}}
            (folder / ENTRY).write_text(json.dumps(entry), encoding="utf-8")
            found = _opened(folder, counts)
            # If another process was faster, its rows are the same.
            with suppress(OSError):
                os.rename(folder, self._root / key)
        self._make_room(key)
        return found

    @contextmanager
    def _building(self) -> Iterator[Path]:
        self._root.mkdir(parents=True, exist_ok=True)
        for old in self._root.glob(f"{_BUILDING}*"):
            with suppress(OSError):
                if time.time() - max(path.stat().st_mtime for path in (old, *old.iterdir())) > _ABANDONED_S:
                    shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=self._root, prefix=_BUILDING))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _make_room(self, newest: str) -> None:
        used = []
        for folder in self._root.iterdir():
            with suppress(OSError):
                if not folder.name.startswith("."):
                    size = sum(path.stat().st_size for path in folder.iterdir())
                    used.append(((folder / ENTRY).stat().st_mtime, folder.name, size))
        total = sum(size for _, _, size in used)
        for _, key, size in sorted(used):
            if total > self._space.limit_bytes and key != newest:
                self.remove(key)
                total -= size


def _opened(folder: Path, counts: dict[str, int]) -> StoredRows:
    train, evaluation = (EncodedRows(open_rows(folder / f"{side}.arrow")) for side in _SIDES)
    with (folder / _NOTED).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        noted = {name: array("q", stored[name].astype(np.int64).tobytes()) for name in stored.files}
    return StoredRows(train, evaluation, dict(counts), noted)


def _checksum(path: Path) -> tuple[int, int]:
    """Returns the size of a file and its CRC-32, which detects damage, such as disk errors, at 1.5 GB/s."""
    size = checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            size += len(block)
            checksum = zlib.crc32(block, checksum)
    return size, checksum


def _digest_of(model_folder: Path) -> str:
    """Returns a digest of the tokenizer's files."""
    digest = sha256()
    for name in (*TOKENIZER_FILES, *_OTHER_FILES):
        path = model_folder / name
        if path.is_file():
            digest.update(f"{name} {path.stat().st_size} ".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
