"""Finds the data files of a data set's repository: its subsets, and their splits. Code of a repository is never run.

They are named by the data set's card, or by the file names: `cola/train-00000-of-00001.parquet` is the split train of
the subset cola.
"""

import fnmatch
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from rankscope.catalog.data.part_names import split_of_path
from rankscope_worker.child.hub.client import HubError, HubFile, HubRepository

_FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_NOT_DATA = frozenset({"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"})
_SPLIT = re.compile(r"\w+([.-]\w+)*", re.ASCII)
_MAX_SPLIT = 50
_MAX_PATTERN = 200
_MAX_PATH = 500
_MAX_COMPARED = 20_000_000
"""Maximum number of comparisons of a file with a pattern, which take some seconds."""
_MAX_FILES = 1000
_LISTED = 20
MAX_BYTES = 10_000_000_000


@dataclass(frozen=True)
class DataFile:
    file: HubFile
    split: str


@dataclass(frozen=True)
class Subset:
    name: str
    files: tuple[DataFile, ...]

    @property
    def splits(self) -> list[str]:
        return list(dict.fromkeys(one.split for one in self.files))


def chosen_subset(repository: HubRepository, name: str | None) -> Subset:
    """Returns the named subset, or the only or default one. Raises HubError if there is none, or if one must be named."""
    files = [file for file in repository.files if _format(file.name) is not None]
    if not files:
        raise _no_data(repository)
    found, default = _subsets_of_card(repository.card, files)
    if not found:
        found, default = _subsets_by_name(files), None
    if name is None:
        name = default or ("default" if "default" in found else next(iter(found)) if len(found) == 1 else None)
    if name is None:
        raise HubError(f"{repository.hub_id} has {_listed(found)}.", "Choose one of them as the subset.")
    if name not in found:
        raise HubError(f"{repository.hub_id} has no subset {name!r}, but {_listed(found)}.", "Choose one of them.")
    return _checked(repository, Subset(name, tuple(found[name])))


def _format(path: str) -> str | None:
    """Returns the format of a data file by its name; None for any other file."""
    parts = path.split("/")
    if (
        len(path) > _MAX_PATH
        or parts[-1] in _NOT_DATA
        or any(part.startswith((".", "_")) or not part for part in parts)
    ):
        return None
    return _FORMATS.get(PurePosixPath(path.lower().removesuffix(".gz")).suffix)


def _subsets_of_card(card: Mapping[str, Any], files: list[HubFile]) -> tuple[dict[str, list[DataFile]], str | None]:
    """Returns the subsets that the card describes, and the default one. Malformed entries are left out."""
    found: dict[str, list[DataFile]] = {}
    default = None
    configs = card.get("configs")
    compared = 0
    for config in configs if isinstance(configs, list) else []:
        if not isinstance(config, dict) or not isinstance(name := config.get("config_name", "default"), str):
            continue
        chosen: dict[str, DataFile] = {}
        for split, matches in _patterns(config.get("data_files")):
            compared += len(files)
            if compared > _MAX_COMPARED:
                raise HubError("The card of the data set has too many patterns for its files.", "Use another data set.")
            chosen |= {file.name: DataFile(file, split) for file in files if matches(file.name)}
        if chosen:
            found[name] = list(chosen.values())
            default = name if config.get("default") is True else default
    return found, default


def _patterns(given: object) -> Iterator[tuple[str, Callable[[str], bool]]]:
    """Yields the splits with a pattern of their files. Only files of the repository itself can match."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, dict):
        given = [{"split": split, "path": path} for split, path in given.items()]
    for one in given if isinstance(given, list) else []:
        entry = one if isinstance(one, dict) else {"split": "train", "path": one}
        split, paths = entry.get("split"), entry.get("path")
        if not isinstance(split, str) or not _SPLIT.fullmatch(split) or len(split) > _MAX_SPLIT:
            continue
        for path in paths if isinstance(paths, list) else [paths]:
            if isinstance(path, str) and len(path) <= _MAX_PATTERN:
                yield split, _matcher(path.removeprefix("./"))


def _matcher(pattern: str) -> Callable[[str], bool]:
    """Returns whether a path matches. The match takes linear time for any pattern."""
    matches = re.compile(fnmatch.translate(pattern.replace("**/", "*").replace("**", "*"))).fullmatch
    is_deep, depth = "**" in pattern, pattern.count("/")
    return lambda path: matches(path) is not None and (is_deep or path.count("/") == depth)


def _subsets_by_name(files: list[HubFile]) -> dict[str, list[DataFile]]:
    """Returns the files by their first folder, unless that is `data` or the name of a split."""
    found: dict[str, list[DataFile]] = {}
    for file in files:
        first, _, rest = file.name.partition("/")
        is_subset = bool(rest) and first != "data" and split_of_path(first) is None
        found.setdefault(first if is_subset else "default", []).append(DataFile(file, split_of_path(file.name) or ""))
    for name, chosen in found.items():
        # Files without a split's name are the training rows, unless others have one.
        if any(one.split for one in chosen):
            found[name] = [one for one in chosen if one.split]
        else:
            found[name] = [DataFile(one.file, "train") for one in chosen]
    return found


def _checked(repository: HubRepository, subset: Subset) -> Subset:
    """Returns the subset with the files of its most frequent format."""
    formats = Counter(_format(one.file.name) for one in subset.files)
    (usual, _), *_ = formats.most_common(1)
    files = tuple(one for one in subset.files if _format(one.file.name) == usual)
    size = sum(one.file.size for one in files)
    if len(files) > _MAX_FILES or size > MAX_BYTES:
        raise HubError(
            f"The subset {subset.name!r} of {repository.hub_id} has {len(files):,} files with {size / 1e9:,.1f} GB; at most "
            f"{_MAX_FILES:,} files and {MAX_BYTES / 1e9:.0f} GB can be imported.",
            "Use another subset.",
        )
    return Subset(subset.name, files)


def _no_data(repository: HubRepository) -> HubError:
    if any(file.name.endswith(".py") for file in repository.files):
        return HubError(
            f"{repository.hub_id} has code that makes its data, which is never run, and no data files at this revision.",
            "Use the revision refs/convert/parquet, where the hub keeps a copy in Parquet of many such data sets.",
        )
    return HubError(
        f"{repository.hub_id} has no CSV, TSV, JSON or Parquet files at this revision.", "Use another data set."
    )


def _listed(found: Mapping[str, object]) -> str:
    names = ", ".join(repr(name[:60]) for name in list(found)[:_LISTED])
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"the subsets {names}{more}" if len(found) > 1 else f"only {names}"
