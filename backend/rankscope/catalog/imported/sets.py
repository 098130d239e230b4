"""The imported data sets of an installation, as entries of the catalogue.

`imported:SET@2` is version 2. `imported:SET` is the newest version; a run keeps the version that it was launched with.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from pydantic import ValidationError

from rankscope.catalog.data.entry import DatasetEntry
from rankscope.catalog.data.files import BrokenFile, Stamp
from rankscope.catalog.data.left_out import LeftOut
from rankscope.catalog.data.part_names import own_column
from rankscope.catalog.data.tables import Table
from rankscope.catalog.imported.encoded import remove_tokens
from rankscope.catalog.imported.folders import IMPORTED, PROFILE, ROWS, Folders, full_id, parse_id
from rankscope.catalog.imported.parquet import open_rows
from rankscope.contract.errors import BadInput, FieldProblem, UnknownName
from rankscope.contract.imports import SetProfile

_KEPT = 256
_MAX_PROFILE_BYTES = 16 << 20
_LISTED = 20
RESTORE = "Restore the data folder, or delete this version and import the file again."


class ImportedSets:
    def __init__(self, data_dir: Path) -> None:
        self.folders = Folders(data_dir)
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._profiles: OrderedDict[tuple[Path, Stamp], SetProfile] = OrderedDict()

    def all(self) -> list[DatasetEntry]:
        """Lists every version of every data set, the newest version first. Unusable ones have the reason."""
        return [entry for set_id in self.folders.set_ids() for entry in self.versions(set_id)]

    def versions(self, set_id: str) -> list[DatasetEntry]:
        """Lists every version of a data set, the newest first."""
        versions = self.folders.versions(set_id)
        return [self._entry(set_id, version, is_newest=version == versions[0]) for version in versions]

    def find(self, dataset_id: str, field: str) -> DatasetEntry:
        """Raises UnknownName if there is no such data set or version, BadInput if it can't be used."""
        set_id, version = self.resolve(dataset_id, field)
        entry = self._entry(set_id, version, is_newest=version == self.folders.versions(set_id)[0])
        if entry.problem is not None:
            raise entry.refusal(f"which cannot be used. {entry.problem}", entry.next_step or "", field)
        return entry

    def downloaded(self, is_named: Callable[[str], bool], subset: str | None) -> str | None:
        """Returns the newest version of a data set from the hub: one with this name there, and this subset if given."""
        for set_id in self.folders.set_ids():
            for version in self.folders.versions(set_id)[:1]:
                with suppress(BrokenFile):
                    origin = self.profile(set_id, version).origin
                    if origin is not None and is_named(origin.hub_id) and subset in (None, origin.subset):
                        return full_id(set_id, version)
        return None

    def resolve(self, dataset_id: str, field: str) -> tuple[str, int]:
        """Returns the data set and the version that an id names. Raises UnknownName."""
        found = parse_id(dataset_id)
        versions = self.folders.versions(found[0]) if found else []
        if found is None or not versions:
            known = [f"{IMPORTED}{set_id}" for set_id in self.folders.set_ids()]
            more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
            next_step = f"Use one of: {', '.join(known[:_LISTED]) or 'none'}{more}. Import files on the page Data."
            raise _unknown(field, dataset_id, "which is not an imported data set", next_step)
        set_id, version = found
        if version is not None and version not in versions:
            raise _unknown(
                field,
                dataset_id,
                "a version that does not exist",
                f"Use one of: {', '.join(full_id(set_id, each) for each in versions[:_LISTED])}.",
            )
        return set_id, version or versions[0]

    def profile(self, set_id: str, version: int) -> SetProfile:
        """Returns a version's profile. Raises BrokenFile if it can't be read."""
        path = self.folders.version(set_id, version) / PROFILE
        try:
            stamp = Stamp.of(path.stat())
            with self._lock:
                if (path, stamp) in self._profiles:
                    self._profiles.move_to_end((path, stamp))
                    return self._profiles[path, stamp]
            if stamp.size > _MAX_PROFILE_BYTES:
                raise BrokenFile("Its profile is too large.", RESTORE)
            profile = SetProfile.model_validate_json(path.read_bytes())
            size = os.stat(path.parent / ROWS).st_size
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise BrokenFile(f"A file of it can't be read: {reason}.", RESTORE) from error
        except ValidationError as error:
            raise BrokenFile("Its profile is damaged.", RESTORE) from error
        if size != profile.rows_bytes:
            raise BrokenFile(
                f"Its rows have {size:,} bytes, but had {profile.rows_bytes:,} when they were imported.", RESTORE
            )
        with self._lock:
            self._profiles[path, stamp] = profile
            while len(self._profiles) > _KEPT:
                self._profiles.popitem(last=False)
        return profile

    def delete(self, set_id: str, version: int) -> None:
        """Deletes a version with its tokens. Raises FileNotFoundError if there is none."""
        fingerprint = None
        with suppress(BrokenFile):
            fingerprint = self.profile(set_id, version).rows_sha256
        self.folders.delete_version(set_id, version)
        if fingerprint is not None:
            remove_tokens(self._data_dir, fingerprint)

    def _entry(self, set_id: str, version: int, *, is_newest: bool) -> DatasetEntry:
        path = self.folders.version(set_id, version) / ROWS
        dataset_id = full_id(set_id, version)
        try:
            profile = self.profile(set_id, version)
        except BrokenFile as error:
            return DatasetEntry(dataset_id, dataset_id, path, "Imported.", error.problem, error.next_step)

        def opened(columns: Sequence[str] | None, numbers: Sequence[int] | None) -> AbstractContextManager[Table]:
            chosen = [column for column in profile.columns if columns is None or column.name in columns]
            return open_rows(path, chosen, numbers)

        return DatasetEntry(
            id=dataset_id,
            name=profile.name if version == 1 and is_newest else f"{profile.name}, version {version}",
            path=path,
            description="Imported.",
            columns=tuple(column.name for column in profile.columns),
            text_columns=tuple(profile.text_columns),
            target_column=profile.target_column,
            split_column=own_column(
                [column.name for column in profile.columns],
                {column.name: [value for value, _ in column.values] for column in profile.columns},
            ),
            rows=profile.rows,
            classes=tuple(profile.classes),
            n_classes=profile.n_classes,
            left_out=tuple(LeftOut(each.reason, each.rows, tuple(each.first_lines)) for each in profile.left_out),
            fingerprint=profile.rows_sha256,
            size_bytes=profile.rows_bytes,
            separator=profile.separator,
            encoding=profile.encoding,
            longest=tuple((each.name, each.lengths.longest) for each in profile.columns if each.lengths),
            alias=f"{IMPORTED}{set_id}" if is_newest else None,
            stored_columns=tuple(profile.columns),
            opener=opened,
        )


def _unknown(field: str, dataset_id: str, message: str, next_step: str) -> BadInput:
    return UnknownName([FieldProblem(field, dataset_id, f"is {dataset_id!r}, {message}", next_step)])
