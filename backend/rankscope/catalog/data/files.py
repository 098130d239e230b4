"""Files in the datasets folder: which of them can be a data set, and how to open one safely.

Anything wrong with a file raises BrokenFile, with a sentence about the problem and the next step.
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
_UNPACK = "Unpack it, and put the .csv or .jsonl file from it here."
_OTHER_KINDS: dict[str, tuple[str, str]] = {
    kind: (f"{what} Data sets are .csv, .tsv or .jsonl files.", next_step)
    for kinds, what, next_step in (
        (".json .geojson", "It is a JSON document.", "Write one JSON object per line, and name the file .jsonl."),
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
            "If its first line names the columns, rename it to .csv or .tsv. Otherwise, add that line first, such as text,label.",
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
    (b"\x1f\x8b", "The content is compressed with gzip, whatever the file name says.", _UNPACK),
    (b"BZh", "The content is compressed with bzip2, whatever the file name says.", _UNPACK),
    (b"\xfd7zXZ\x00", "The content is compressed with xz, whatever the file name says.", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "The content is compressed with zstd, whatever the file name says.", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "The content is a 7z archive, whatever the file name says.", _UNPACK),
    (b"Rar!", "The content is a RAR archive, whatever the file name says.", _UNPACK),
    (
        b"PK\x03\x04",
        "The content is a zip archive or an Excel workbook, whatever the file name says.",
        "Unpack the archive, or export the workbook as CSV in UTF-8.",
    ),
    (b"PK\x05\x06", "The content is an empty zip archive.", "Put the .csv or .jsonl file itself here."),
    (
        b"\xd0\xcf\x11\xe0",
        "The content is an old Excel or Word document, whatever the file name says.",
        "Export it as CSV in UTF-8.",
    ),
    *(
        (bytes([0x80, protocol]), "The content is a Python pickle, which can run code when it is opened.", _CONVERT)
        for protocol in range(2, 6)
    ),
    (b"PAR1", "The content is a Parquet table, whatever the file name says.", _OTHER_KINDS[".parquet"][1]),
    (b"ARROW1", "The content is an Arrow table, whatever the file name says.", _OTHER_KINDS[".parquet"][1]),
    (b"\x89HDF", "The content is an HDF5 file, whatever the file name says.", _OTHER_KINDS[".parquet"][1]),
    (b"\x93NUMPY", "The content is a numpy array, whatever the file name says.", _OTHER_KINDS[".parquet"][1]),
    (
        b"SQLite format 3",
        "The content is an SQLite database, whatever the file name says.",
        "Export the table as CSV in UTF-8.",
    ),
    (b"%PDF", "The content is a PDF document, whatever the file name says.", _CONVERT),
    (b"version https://git-lfs", "It is a Git LFS pointer: the data itself was not downloaded.", "Run `git lfs pull`."),
)
_HTML = (b"<!doctype html", b"<html", b"<?xml")
_NOTES = frozenset({"README", "LICENSE", "LICENCE", "NOTICE", "COPYING", "Makefile", "__MACOSX", "lost+found"})
_CHECK_EVERY = 8 << 20
JOINERS = "\u200c\u200d"
"""Invisible, and part of words and emojis."""
UNREADABLE = frozenset({"Cs", "Cc", "Cf", "Zl", "Zp"})
"""Categories of characters that names must not contain, except for the joiners."""
HEAD = 8192


class BrokenFile(Exception):
    """A file that can't be used: a sentence that says why, and the next step."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step


@dataclass(frozen=True)
class Stamp:
    """Identifies a version of a file: differs after every change of its content."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_ignored(name: str) -> bool:
    """Whether the file is not data and is not listed: hidden files, readme files, code, and leftovers of macOS archives."""
    endings = [f".{part.lower()}" for part in name.split(".")[1:]]
    is_data = any(ending in READABLE or ending in _OTHER_KINDS for ending in endings)
    return name.startswith(".") or name in _NOTES or (bool(endings) and not is_data)


def check_path(path: Path) -> Stamp:
    """Returns the stamp of a file that may be opened.

    Raises BrokenFile if its name or type shows that it isn't a data set, and FileNotFoundError if there is no such file.
    """
    name = path.name
    categories = {category(letter) for letter in name if letter not in JOINERS}
    if categories & UNREADABLE:
        why = "is not UTF-8" if "Cs" in categories else "has a line break or another control character"
        if categories & UNREADABLE == {"Cf"}:
            why = "has an invisible character, such as one that changes the direction of the text"
        raise BrokenFile(f"Its name {why}.", "Rename it.")
    if len(name) > 190:
        raise BrokenFile(f"Its name has {len(name)} characters; at most 190 are allowed.", "Rename it.")
    try:
        status = path.stat()
    except OSError as error:
        if path.is_symlink():
            raise BrokenFile(
                f"It is a link to {_shown(os.readlink(path))}, which can't be reached: {_reason(error)}.",
                "Fix or remove the link.",
            ) from error
        if isinstance(error, FileNotFoundError):
            raise
        raise _unreadable(error) from error
    if what := _not_regular(status.st_mode):
        next_step = "Put the .csv or .jsonl file itself here, and remove this entry."
        if stat.S_ISDIR(status.st_mode):
            next_step = "To use its files as one data set, import the folder on the page Data."
        raise BrokenFile(f"It is {what}, not a file.", next_step)
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
    """Opens the file for one sequential read. Raises BrokenFile if it can't be read."""
    try:
        # Non-blocking, because the file may have been replaced by a FIFO since it was checked.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(error) from error
    with io.FileIO(descriptor, "rb") as raw:
        status = os.fstat(descriptor)
        if what := _not_regular(status.st_mode):
            raise BrokenFile(f"It is {what}, not a file.", "Put the file itself here, and remove this entry.")
        try:
            yield HashedFile(raw, Stamp.of(status))
        except OSError as error:
            raise _unreadable(error) from error


class HashedFile(io.RawIOBase):
    """A file that is hashed as it is read, so that the fingerprint belongs to the rows that were read.

    Raises ChangedFile if the file changes during the read.
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
        """Returns the SHA-256 of the complete file, after reading the rest of it."""
        buffer = bytearray(1 << 20)
        while self.readinto(buffer):
            pass
        return self._digest.hexdigest()

    def _check_unchanged(self) -> None:
        if Stamp.of(os.fstat(self._raw.fileno())) != self.stamp:
            raise ChangedFile


class ChangedFile(BrokenFile):
    def __init__(self) -> None:
        super().__init__("It changed while it was being read.", "Wait until it is completely written.")


def check_content(file: HashedFile) -> None:
    """Raises BrokenFile for content that is known not to be a table of text."""
    check_head(file.head)


def check_head(head: bytes) -> None:
    """Raises BrokenFile if a file with these first bytes is known not to be a table of text."""
    if not head:
        raise BrokenFile("It is empty.", "Copy the file again, or remove it.")
    for magic, problem, next_step in _MAGIC:
        if head.startswith(magic):
            raise BrokenFile(problem, next_step)
    if head.lstrip().lower().startswith(_HTML):
        raise BrokenFile(
            "The content is a web page or XML, whatever the file name says.", "Download the data file itself."
        )


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
        next_step = "Give the user that runs RankScope read access, for example with `chmod a+r`."
    return BrokenFile(f"It can't be read: {_reason(error)}.", next_step)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _shown(name: str) -> str:
    """Returns a name of arbitrary bytes as printable text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")[:100]
