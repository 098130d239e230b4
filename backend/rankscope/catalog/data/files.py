"""Files in the data folder: which can be a data set, and how one is opened without trusting what it is.

Everything that is wrong with a file is a BrokenFile: a sentence about it, and what to do.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TABLES = (".csv", ".tsv")
JSON_LINES = (".jsonl", ".ndjson")
READABLE = (*TABLES, *JSON_LINES)

_CONVERT = "Save it as CSV in UTF-8 with a header such as text,label, or as JSON lines (.jsonl)."
_UNPACK = "Unpack it, and put the .csv or .jsonl file that is inside here."
_OTHER_KINDS: dict[str, tuple[str, str]] = {
    kind: (f"{what} Data sets are .csv, .tsv or .jsonl files.", next_step)
    for kinds, what, next_step in (
        (".json .geojson", "It is a JSON document.", "Write one JSON object a line, and name the file .jsonl."),
        (".gz .bz2 .xz .zst .lz4 .z", "It is compressed.", _UNPACK),
        (".zip .tar .tgz .7z .rar", "It is an archive.", _UNPACK),
        (".xlsx .xls .xlsm .ods .numbers", "It is a spreadsheet.", "Export it as CSV in UTF-8."),
        (
            ".parquet .feather .arrow .orc .avro .npy .npz .h5 .hdf5 .pkl .pickle .pt .mat .sas7bdat .dta .sav .rds",
            "It is a binary table.",
            "Convert it, for example with pandas: `to_json(..., orient='records', lines=True)`.",
        ),
        (".db .sqlite .sqlite3 .mdb", "It is a database.", "Export the table as CSV in UTF-8."),
        (
            ".txt .text .tab .psv .dat .data ",
            "Its name does not say that it is a table.",
            "If its first line names the columns, name it .csv or .tsv; else add such a line, for example text,label.",
        ),
        (".xml .html .htm .yaml .yml .toml", "It is not a table.", _CONVERT),
        (
            ".part .crdownload .partial .tmp .download .swp .filepart",
            "It is an unfinished copy or download.",
            "Wait until it is complete, or remove it.",
        ),
    )
    for kind in kinds.split()
}
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "Its content is compressed by gzip, whatever its name says.", _UNPACK),
    (b"BZh", "Its content is compressed by bzip2, whatever its name says.", _UNPACK),
    (b"\xfd7zXZ\x00", "Its content is compressed by xz, whatever its name says.", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "Its content is compressed by zstd, whatever its name says.", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "Its content is a 7z archive, whatever its name says.", _UNPACK),
    (b"Rar!", "Its content is a RAR archive, whatever its name says.", _UNPACK),
    (
        b"PK\x03\x04",
        "Its content is a zip archive or an Excel workbook, whatever its name says.",
        "Unpack the archive, or export the workbook as CSV in UTF-8.",
    ),
    (b"PK\x05\x06", "Its content is an empty zip archive.", "Put the .csv or .jsonl file itself here."),
    (
        b"\xd0\xcf\x11\xe0",
        "Its content is an old Excel or Word document, whatever its name says.",
        "Export it as CSV in UTF-8.",
    ),
    (b"PAR1", "Its content is a Parquet table, whatever its name says.", _OTHER_KINDS[".parquet"][1]),
    (b"ARROW1", "Its content is an Arrow table, whatever its name says.", _OTHER_KINDS[".parquet"][1]),
    (b"\x89HDF", "Its content is an HDF5 file, whatever its name says.", _OTHER_KINDS[".parquet"][1]),
    (b"\x93NUMPY", "Its content is a numpy array, whatever its name says.", _OTHER_KINDS[".parquet"][1]),
    (
        b"SQLite format 3",
        "Its content is an SQLite database, whatever its name says.",
        "Export the table as CSV in UTF-8.",
    ),
    (b"%PDF", "Its content is a PDF document, whatever its name says.", _CONVERT),
    (b"version https://git-lfs", "It is a Git LFS pointer: the data itself was not downloaded.", "Run `git lfs pull`."),
)
_HTML = (b"<!doctype html", b"<html", b"<?xml")
_NOTES = frozenset({"README", "LICENSE", "LICENCE", "NOTICE", "COPYING", "Makefile", "__MACOSX", "lost+found"})
_CHECK_EVERY = 8 << 20
HEAD = 8192


class BrokenFile(Exception):
    """A file that cannot be used: a sentence that says why, and what to do."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step


@dataclass(frozen=True)
class Stamp:
    """What changes when a file's content does."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_ignored(name: str) -> bool:
    """Files that are not about data: hidden ones, notes, code, and what archives of macOS leave behind."""
    endings = [f".{part.lower()}" for part in name.split(".")[1:]]
    is_data = any(ending in READABLE or ending in _OTHER_KINDS for ending in endings)
    return name.startswith(".") or name in _NOTES or (bool(endings) and not is_data)


def check_path(path: Path) -> Stamp:
    """The stamp of a file that may be opened; BrokenFile for one whose name or type says that it is no data set.

    FileNotFoundError when nothing has this name.
    """
    name = path.name
    categories = {category(letter) for letter in name}
    if categories & {"Cs", "Cc", "Zl", "Zp"}:
        why = "is not UTF-8" if "Cs" in categories else "has a line break or another control character"
        raise BrokenFile(f"Its name {why}.", "Rename it.")
    if len(name) > 190:
        raise BrokenFile(f"Its name has {len(name)} characters; at most 190 work.", "Rename it.")
    try:
        status = path.stat()
    except OSError as error:
        if path.is_symlink():
            raise BrokenFile(
                f"It is a link to {_shown(os.readlink(path))}, which cannot be reached: {_reason(error)}.",
                "Correct or remove the link.",
            ) from error
        if isinstance(error, FileNotFoundError):
            raise
        raise _unreadable(error) from error
    if what := _not_regular(status.st_mode):
        raise BrokenFile(f"It is {what}, not a file.", "Put the .csv or .jsonl file itself here, and remove this.")
    ending = path.suffix.lower()
    if ending not in READABLE:
        problem, next_step = _OTHER_KINDS.get(
            ending, (f"Its name ends with {_shown(ending)!r}. Data sets are .csv, .tsv or .jsonl files.", _CONVERT)
        )
        raise BrokenFile(problem, next_step)
    if status.st_size == 0:
        raise BrokenFile("It is empty.", "Copy the file again, or remove it.")
    return Stamp.of(status)


@contextmanager
def opened(path: Path) -> "Iterator[HashedFile]":
    """The file, for one reading from its beginning to its end; BrokenFile when it cannot be read."""
    try:
        # Not blocking: between looking and opening, the name may have become that of a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(error) from error
    with io.FileIO(descriptor, "rb") as raw:
        status = os.fstat(descriptor)
        if what := _not_regular(status.st_mode):
            raise BrokenFile(f"It is {what}, not a file.", "Put the file itself here, and remove this.")
        try:
            yield HashedFile(raw, Stamp.of(status))
        except OSError as error:
            raise _unreadable(error) from error


class HashedFile(io.RawIOBase):
    """A file that is hashed as it is read, so that the fingerprint is that of the rows which were seen.

    BrokenFile as soon as the file is changed while it is read.
    """

    def __init__(self, raw: io.FileIO, stamp: Stamp) -> None:
        self.stamp = stamp
        self._raw, self._digest = raw, sha256()
        self._until_check = _CHECK_EVERY
        self.bytes_read = 0
        self.head = os.pread(raw.fileno(), HEAD, 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        length = self._raw.readinto(view) or 0
        self._digest.update(view[:length])
        self.bytes_read += length
        self._until_check -= length
        if self._until_check <= 0 or not length:
            self._until_check = _CHECK_EVERY
            self._check_unchanged()
        return length

    def fingerprint(self) -> str:
        """SHA-256 of the whole file; reads what is left of it."""
        buffer = bytearray(1 << 20)
        while self.readinto(buffer):
            pass
        return self._digest.hexdigest()

    def _check_unchanged(self) -> None:
        if Stamp.of(os.fstat(self._raw.fileno())) != self.stamp:
            raise ChangedFile


class ChangedFile(BrokenFile):
    def __init__(self) -> None:
        super().__init__("It was changed while it was being read.", "Wait until it is completely written.")


def check_content(file: HashedFile) -> None:
    """BrokenFile for a content that is known not to be text."""
    if not file.head:
        raise BrokenFile("It is empty.", "Copy the file again, or remove it.")
    for magic, problem, next_step in _MAGIC:
        if file.head.startswith(magic):
            raise BrokenFile(problem, next_step)
    if file.head.lstrip().lower().startswith(_HTML):
        raise BrokenFile("Its content is a web page or XML, whatever its name says.", "Download the data itself again.")


def _not_regular(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((name for test, name in kinds if test(mode)), "something special")


def _unreadable(error: OSError) -> BrokenFile:
    next_step = "Copy the file again."
    if isinstance(error, PermissionError):
        next_step = "Let the user that RankScope runs as read it, for example with `chmod a+r`."
    return BrokenFile(f"It cannot be read: {_reason(error)}.", next_step)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _shown(name: str) -> str:
    """A name that may hold anything, as text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")[:100]
