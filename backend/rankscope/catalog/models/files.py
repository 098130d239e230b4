"""The files of one model folder. Only regular files are opened, and reads are limited in size."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MIB = 1 << 20
_MAX_FILES = 2_000
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class UnusableModel(Exception):
    """Why a model can't be used, as the end of a sentence that begins with "It", and the next step.

    `is_temporary`: the operating system reported an error, which may not last, so the result must not be cached.
    """

    def __init__(self, problem: str, next_step: str, *, is_temporary: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step
        self.is_temporary = is_temporary

    @property
    def sentence(self) -> str:
        """The problem as a complete sentence."""
        subject = "It " if self.problem.split(" ")[0] in ("has", "is", "needs", "reads") else ""
        text = f"{subject}{self.problem}"
        return f"{text[0].upper()}{text[1:]}." if text.startswith(("the ", "it ")) else f"{text}."


@dataclass(frozen=True)
class FileStamp:
    """Identifies a version of a file. ctime also shows a write after which the old mtime was restored."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True)
class ModelFiles:
    """A listing of a folder. Links are followed, so a folder of links into a download cache is a model too."""

    folder: Path
    regular: Mapping[str, FileStamp]
    folders: tuple[str, ...]
    others: Mapping[str, str]
    """Name -> what it is: a pipe, a device, a broken link."""

    @property
    def stamp(self) -> tuple[object, ...]:
        """Equal for two listings if and only if nothing has changed between them."""
        return (
            str(self.folder),
            tuple(self.regular.items()),
            self.folders,
            tuple(self.others.items()),
        )

    def require(self, name: str, problem: str, next_step: str) -> FileStamp:
        """Returns the stamp of the regular file `name`. Raises UnusableModel with this problem if there is none."""
        if name in self.others:
            raise UnusableModel(f"{shown(name)} is {self.others[name]}, not a regular file", f"Replace {shown(name)}.")
        if name in self.folders:
            raise UnusableModel(f"{shown(name)} is a folder, not a file", f"Replace {shown(name)}.")
        if name not in self.regular:
            raise UnusableModel(problem, next_step)
        return self.regular[name]

    def open(self, name: str) -> BinaryIO:
        """Opens a file. Raises UnusableModel unless it is a regular one that can be read."""
        return open_regular(self.folder / name)

    def read(self, name: str, max_bytes: int) -> bytes:
        """Returns the file's content. Raises UnusableModel if it is above the limit, empty, or a Git LFS pointer."""
        with open_regular(self.folder / name) as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise UnusableModel(
                f"{shown(name)} is larger than {max_bytes // MIB} MiB",
                f"Replace {shown(name)} with the original file of the model.",
            )
        check_content(name, content)
        return content

    def read_json(self, name: str, max_bytes: int) -> dict[str, object]:
        """Returns the file's JSON object. Raises UnusableModel, with the position, for anything else."""
        content = self.read(name, max_bytes)
        again = f"Copy {shown(name)} from the model again."
        try:
            value = json.loads(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UnusableModel(f"{shown(name)} is not UTF-8 text (byte {error.start})", again) from error
        except json.JSONDecodeError as error:
            raise UnusableModel(
                f"{shown(name)} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", again
            ) from error
        except ValueError as error:
            raise UnusableModel(f"{shown(name)} is not valid JSON: {error}", again) from error
        except RecursionError as error:
            raise UnusableModel(f"{shown(name)} is nested too deeply", again) from error
        if not isinstance(value, dict):
            raise UnusableModel(f"{shown(name)} contains {json_kind(value)}, not a JSON object", again)
        return value


def list_folder(folder: Path) -> ModelFiles:
    """Lists a folder. Raises UnusableModel if it can't be read or has too many files."""
    regular, folders, others = {}, [], {}
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= _MAX_FILES:
                    raise UnusableModel(f"has more than {_MAX_FILES:,} files", "Put each model into a separate folder.")
                try:
                    status = entry.stat()
                except OSError as error:
                    others[entry.name] = "a broken link" if entry.is_symlink() else _reason(error)
                    continue
                if stat.S_ISREG(status.st_mode):
                    regular[entry.name] = FileStamp(
                        status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
                    )
                elif stat.S_ISDIR(status.st_mode):
                    folders.append(entry.name)
                else:
                    others[entry.name] = kind_of(status.st_mode)
    except OSError as error:
        raise unreadable("the folder", error) from error
    return ModelFiles(folder, dict(sorted(regular.items())), tuple(sorted(folders)), dict(sorted(others.items())))


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading bytes. Raises UnusableModel for anything else, without blocking on a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(shown(path.name), error) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise UnusableModel(
            f"{shown(path.name)} is {kind_of(mode)}, not a regular file", f"Replace {shown(path.name)}."
        )
    return os.fdopen(descriptor, "rb")


def check_content(name: str, begin: bytes) -> None:
    """Raises UnusableModel for what a failed download leaves instead of the file."""
    if not begin:
        raise UnusableModel(f"{shown(name)} is empty", f"Copy {shown(name)} again: the copy is incomplete.")
    if begin.startswith(_LFS_POINTER):
        raise UnusableModel(
            f"{shown(name)} is a Git LFS pointer, not the file itself",
            "Run `git lfs pull` where the model was cloned, then copy it again.",
        )
    if begin[:64].lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise UnusableModel(f"{shown(name)} is a web page, not the file itself", f"Download {shown(name)} again.")


def unreadable(what: str, error: OSError) -> UnusableModel:
    return UnusableModel(
        f"{what} can't be read: {_reason(error)}",
        "Give the user that runs RankScope read access, or copy the model again.",
        is_temporary=True,
    )


def kind_of(mode: int) -> str:
    for is_kind, name in (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISDIR, "a folder"),
    ):
        if is_kind(mode):
            return name
    return "a special file"


def json_kind(value: object) -> str:
    """Returns the type of a JSON value, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        ((int, float), "a number"),
        (str, "a string"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "something else")


def shown(name: str) -> str:
    """Returns a file's name for a message: at most 80 characters, with control characters and invalid UTF-8 escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
