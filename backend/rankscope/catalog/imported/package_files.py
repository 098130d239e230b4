"""Data files in the folders of the installed Python packages that the settings name. Packages are never imported."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
_MAX_LISTED = 500
_MAX_DEPTH = 6


class PackageFile(NamedTuple):
    package: str
    path: str
    """Below the package's folder, with slashes."""
    size_bytes: int
    location: Path


def package_files(packages: Sequence[str]) -> list[PackageFile]:
    """Lists the regular files of data in the folders of top-level packages; links are not followed."""
    found = [file for package in packages for folder in _folders(package) for file in _files(package, folder)]
    return sorted(found)[:_MAX_LISTED]


def _folders(package: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]


def _files(package: str, folder: Path) -> Iterator[PackageFile]:
    for parent, folders, names in os.walk(folder):
        depth = len(Path(parent).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if depth < _MAX_DEPTH and not name.startswith((".", "__")))
        for name in names:
            path = Path(parent, name)
            if name.lower().removesuffix(".gz").endswith(_ENDINGS) and path.is_file() and not path.is_symlink():
                yield PackageFile(package, path.relative_to(folder).as_posix(), path.stat().st_size, path)
