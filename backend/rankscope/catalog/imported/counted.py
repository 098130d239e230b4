"""Counted splits of imported data sets, kept next to the rows: a plan reads the rows once, whichever process asks first."""

import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rankscope.catalog.data.entry import DatasetEntry
from rankscope.catalog.data.splits import SplitCounts, count_split
from rankscope.catalog.imported.folders import SPLITS
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import Task

_COUNTS = TypeAdapter(SplitCounts)
_KEPT = 200
_METHOD = 2
"""Raise it when rows are split or counted in another way."""


def counted_split(entry: DatasetEntry, data: DataConfig, task: Task) -> SplitCounts:
    """Returns what `count_split` does, from the file of an earlier call if there is one."""
    options = data.model_copy(update={"id": entry.id}).model_dump_json()
    key = sha256(f"{_METHOD} {entry.fingerprint} {options} {task.model_dump_json()}".encode()).hexdigest()[:32]
    path = entry.path.parent / SPLITS / f"{key}.json"
    with suppress(OSError, ValidationError):
        return _COUNTS.validate_json(path.read_bytes())
    counts = count_split(entry, data, task)
    with suppress(OSError):  # a folder that can't be written to makes planning slower, not wrong
        _keep(path, _COUNTS.dump_json(counts))
    return counts


def _keep(path: Path, text: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    kept = sorted(path.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)
    for old in kept[:-_KEPT]:
        old.unlink(missing_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    os.replace(temporary, path)
