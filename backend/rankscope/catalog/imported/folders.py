"""The folders of imported data sets and of uploads. Their names are generated here, from a fixed alphabet.

`imported/ID/VERSION/` has `rows.parquet`, `profile.json`, the source as it was uploaded, and counted splits. It appears
when it is complete. `uploads/ID/` has `source` and `upload.json`, which is written when the source is complete.
"""

import errno
import os
import re
import secrets
import shutil
from pathlib import Path
from unicodedata import normalize

from rankscope.contract.imports import SET_ID

ROWS, PROFILE, SOURCE, UPLOAD, SPLITS = "rows.parquet", "profile.json", "source", "upload.json", "splits"
IMPORTED = "imported:"
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_SET = re.compile(SET_ID)
_ID = re.compile(r"imported:([a-z0-9-]{1,40})(?:@([1-9][0-9]{0,5}))?")
_ENDINGS = re.compile(r"\.(csv|tsv|txt|jsonl?|ndjson|parquet|gz)$")


def random_id(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_set_id(name: str) -> str:
    """Returns an id for a new data set: letters and digits of the file's name, and four random characters."""
    stem = name.casefold()
    while stem != (shorter := _ENDINGS.sub("", stem)):
        stem = shorter
    plain = normalize("NFKD", stem).encode("ascii", "ignore").decode()
    slug = re.sub("[^a-z0-9]+", "-", plain).strip("-")[:30].strip("-")
    return f"{slug or 'data'}-{random_id(4)}"


def full_id(set_id: str, version: int) -> str:
    return f"{IMPORTED}{set_id}@{version}"


def parse_id(dataset_id: str) -> tuple[str, int | None] | None:
    """Returns set and version of `imported:SET@VERSION`, or of `imported:SET` without the version; None for another id."""
    found = _ID.fullmatch(dataset_id)
    return None if found is None else (found[1], int(found[2]) if found[2] else None)


class Folders:
    """`data_dir` is the installation's data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.imported = data_dir / "imported"
        self.uploads = data_dir / "uploads"
        self.datasets = data_dir / "datasets"
        self.unfinished = self.uploads / ".hub"
        """Downloads from the hub that are not complete yet."""

    def set_ids(self) -> list[str]:
        return sorted(name for name in _names(self.imported) if _SET.fullmatch(name))

    def versions(self, set_id: str) -> list[int]:
        """Returns the complete versions, the newest first."""
        return sorted((int(name) for name in _names(self.imported / set_id) if name.isdecimal()), reverse=True)

    def version(self, set_id: str, version: int) -> Path:
        return self.imported / set_id / str(version)

    def upload(self, upload_id: str) -> Path:
        return self.uploads / upload_id

    def upload_ids(self) -> list[str]:
        return sorted(name for name in _names(self.uploads) if not name.startswith("."))

    def publish(self, finished: Path, set_id: str) -> int:
        """Makes a complete folder the next version of a data set, and returns its number. A number is never used twice."""
        home = self.imported / set_id
        home.mkdir(parents=True, exist_ok=True)
        number = max([0, *self.versions(set_id), *self._deleted(set_id)])
        while True:
            number += 1
            try:
                os.rename(finished, home / str(number))
                return number
            except OSError as error:  # another import has taken this number
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise

    def delete_version(self, set_id: str, version: int) -> None:
        """Deletes a version; a reader that has it open continues. Raises FileNotFoundError if there is none."""
        home = self.imported / set_id
        doomed = home / f".deleted-{version}-{random_id(4)}"
        os.rename(home / str(version), doomed)
        if self.versions(set_id):
            for path in doomed.iterdir():
                _remove(path)
        else:
            shutil.rmtree(home, ignore_errors=True)

    def _deleted(self, set_id: str) -> list[int]:
        """Returns the numbers of deleted versions, whose empty folders remain."""
        parts = [name.split("-") for name in _names(self.imported / set_id) if name.startswith(".deleted-")]
        return [int(part[1]) for part in parts if part[1].isdecimal()]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
