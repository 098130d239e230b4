"""Counted splits of imported data sets, stored next to the rows, so that only one process has to read all rows.

`splits/KEY.json` has the counts, and `splits/KEY.sides` the side of each row, from which a training takes its rows without
reading the others.
"""

import os
import tempfile
import zipfile
from array import array
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from rankscope.catalog.data.entry import DatasetEntry
from rankscope.catalog.data.files import ChangedFile
from rankscope.catalog.data.splits import SplitCounts, UsedLines, number_split, split_key
from rankscope.catalog.imported.counted_rows import count_rows
from rankscope.catalog.imported.folders import SPLITS
from rankscope.catalog.imported.parquet import file_sha256
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import Task

_COUNTS = TypeAdapter(SplitCounts)
_KEPT = 200
_UNUSED, _TRAIN, _EVALUATION = range(3)


class SplitFiles(NamedTuple):
    counts: Path
    sides: Path


def counted_split(entry: DatasetEntry, data: DataConfig, task: Task) -> SplitCounts:
    """Like `count_split`, but reads the file of an earlier call if there is one."""
    files = split_files(entry, data, task)
    with suppress(OSError, ValidationError):
        return _COUNTS.validate_json(files.counts.read_bytes())
    return _count(entry, data, task, files)[0]


def stored_lines(entry: DatasetEntry, data: DataConfig, task: Task) -> tuple[SplitCounts, UsedLines]:
    """Like `number_split`, but reads the files of an earlier call if there are any.

    Raises BadInput as `split` does, also if the file of the rows has changed.
    """
    files = split_files(entry, data, task)
    try:
        counts, lines = _COUNTS.validate_json(files.counts.read_bytes()), _read_sides(files.sides)
        _check_unchanged(entry)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # missing, of an earlier version, or damaged
        counts, lines = _count(entry, data, task, files)
    if (len(lines.train), len(lines.evaluation)) != (counts.train_rows, counts.eval_rows):
        counts, lines = _count(entry, data, task, files)
    return counts, lines


def _check_unchanged(entry: DatasetEntry) -> None:
    try:
        if file_sha256(entry.path) == entry.fingerprint:
            return
    except FileNotFoundError as error:
        raise entry.refusal("which has just been removed", "Restore the file, or use another data set.") from error
    changed = ChangedFile()
    raise entry.refusal(f"which cannot be used. {changed.problem}", changed.next_step)


def split_files(entry: DatasetEntry, data: DataConfig, task: Task) -> SplitFiles:
    key = split_key(entry, data, task)
    folder = entry.path.parent / SPLITS
    return SplitFiles(folder / f"{key}.json", folder / f"{key}.sides")


def _count(entry: DatasetEntry, data: DataConfig, task: Task, files: SplitFiles) -> tuple[SplitCounts, UsedLines]:
    counts, lines = number_split(entry, data, task, count_rows)
    with suppress(OSError):  # a folder that can't be written to makes planning slower, not wrong
        _make_room(files.counts.parent)
        _keep_sides(files.sides, lines)
        _keep(files.counts, _COUNTS.dump_json(counts))
    return counts, lines


def _read_sides(path: Path) -> UsedLines:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        sides, parts, names = stored["sides"], stored["parts"], stored["names"].tolist()
    train, evaluation = (
        array("L", ((sides == side).nonzero()[0] + 1).astype("L").tobytes()) for side in (_TRAIN, _EVALUATION)
    )
    return UsedLines(train, evaluation, [names[part] for part in parts])


def _keep_sides(path: Path, lines: UsedLines) -> None:
    """Writes a byte for each row, compressed."""
    train, evaluation = np.asarray(lines.train, dtype="L"), np.asarray(lines.evaluation, dtype="L")
    sides = np.full(max(train.max(initial=0), evaluation.max(initial=0)), _UNUSED, dtype=np.uint8)
    sides[train - 1] = _TRAIN
    sides[evaluation - 1] = _EVALUATION
    names = list(dict.fromkeys(lines.eval_parts))
    numbers = {name: number for number, name in enumerate(names)}
    parts = np.fromiter((numbers[part] for part in lines.eval_parts), dtype=np.uint8, count=len(lines.eval_parts))
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(descriptor, "wb") as file:
        np.savez_compressed(file, sides=sides, parts=parts, names=np.array(names, dtype=np.str_))
    os.replace(temporary, path)


def _make_room(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    kept = sorted(folder.glob("*.json"), key=lambda each: each.stat().st_mtime)
    for old in kept[:-_KEPT]:
        old.with_suffix(".sides").unlink(missing_ok=True)
        old.unlink(missing_ok=True)


def _keep(path: Path, text: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    os.replace(temporary, path)
