"""Folders in datasets/ whose files are the parts of one data set: they are imported together."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rankscope.catalog.data.part_names import split_of_path

_KINDS = {
    ".parquet": "Parquet",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".json": "JSON",
    ".jsonl": "JSON",
    ".ndjson": "JSON",
}
_MAX_DEPTH = 4
_MAX_LISTED = 200
MAX_FILES = 1000
MAX_FOLDER_BYTES = 10_000_000_000


class DataFolder(NamedTuple):
    name: str
    """Below datasets/."""
    files: list[Path]
    """Those of the most frequent format, in the order of their paths."""
    size_bytes: int

    def split_of(self, file: Path, folder: Path) -> str:
        """Returns the split that the file's path names. If not every file names one, the data set has none."""
        splits = [split_of_path(each.relative_to(folder).as_posix()) for each in self.files]
        return "" if None in splits else str(split_of_path(file.relative_to(folder).as_posix()))


def data_folders(datasets: Path) -> list[DataFolder]:
    """Lists the folders with files of data. Links are not followed."""
    try:
        names = sorted(name for name in os.listdir(datasets) if not name.startswith("."))
    except OSError:
        return []
    found = (read_folder(datasets, name) for name in names[:_MAX_LISTED])
    return [folder for folder in found if folder is not None]


def read_folder(datasets: Path, name: str) -> DataFolder | None:
    """Returns the folder with this name, or None if there is none or it has no data."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        return None
    folder = datasets / name
    if folder.is_symlink() or not folder.is_dir():
        return None
    files = sorted(_files(folder))
    if not files:
        return None
    (usual, _), *_ = Counter(map(_kind, files)).most_common(1)
    chosen = [file for file in files if _kind(file) == usual]
    return DataFolder(name, chosen, sum(file.stat().st_size for file in chosen))


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        depth = len(Path(parent).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if depth < _MAX_DEPTH and not name.startswith((".", "_")))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith((".", "_")) and _kind(path) and path.is_file() and not path.is_symlink():
                yield path


def _kind(path: Path) -> str | None:
    return _KINDS.get(Path(path.name.lower().removesuffix(".gz")).suffix)
