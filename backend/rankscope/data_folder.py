"""The data folder: made for its owner alone, and kept so; its runs' files are told from links that lead out of it."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rankscope.contract.errors import StartupError
from rankscope.settings import Settings

_OURS = ("rankscope.db", "token", "up.lock", "valkey")
"""Any of these makes an existing folder one of RankScope's."""
_RESTORING = "restore-unfinished"
_IN_USE = "in-use.lock"
_PRIVATE_FILES = ("rankscope.db", "rankscope.db-wal", "rankscope.db-shm", "token")


def keep_files_private() -> None:
    """From here on this process and its children create files for their owner alone."""
    os.umask(0o077)


def prepare_data_dir(settings: Settings) -> list[str]:
    """Makes the data folder, or closes an existing one to other users. Returns what the owner should know of, a line each.

    A folder with the set-group-id bit is shared within a group on purpose: its group keeps its rights.
    """
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_writable(folder)
        notices = _close_to_others(folder)
        for inner in (settings.runs_dir, settings.models_dir, settings.datasets_dir):
            inner.mkdir(exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    return notices


def check_data_dir(folder: Path) -> None:
    """StartupError unless the folder is there and can be written to: for those who do not make it."""
    try:
        if not folder.is_dir():
            what = "is not a folder" if os.path.lexists(folder) else "does not exist"
            raise StartupError(
                f"The data folder {folder} cannot be written: it {what}. Start the RankScope server, which makes it, mount "
                "it, or set RANKSCOPE_DATA_DIR."
            )
        check_writable(folder)
    except OSError as error:
        raise _unusable(folder, error) from error


def check_writable(folder: Path) -> None:
    """OSError unless a file can be made there, with at least a page of room."""
    probe = folder / f".write-test-{os.getpid()}"
    try:
        with open(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Marks the data folder as one that a server or worker runs on: a restore then refuses to replace what is there."""
    what = f"A restore is running on the data folder {folder}; wait until it has ended."
    with locked(folder / _IN_USE, what, fcntl.LOCK_SH):
        if os.path.lexists(folder / _RESTORING):
            raise StartupError(
                f"A restore into the data folder {folder} was cut off. Repeat it with --replace, or remove the file "
                f"{_RESTORING} there to go on with what there is; earlier runs' files are in runs-before-restore-..., if any."
            )
        yield


@contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Leaves a note for as long as files and database may not fit each other: after a crash nothing starts on them."""
    note = folder / _RESTORING
    os.close(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the data folder for this process alone."""
    what = f"RankScope runs on the data folder {folder}; stop its server and all its workers first."
    with locked(folder / _IN_USE, what, fcntl.LOCK_EX):
        yield


@contextmanager
def locked(path: Path, refusal: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Holds an advisory lock, which the kernel drops however this process ends. StartupError: `refusal`, if it is taken."""
    try:
        # Made if need be, and never reached through a link.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartupError(f"The lock file {path} cannot be opened ({error.strerror}); remove it.") from error
    try:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartupError(refusal) from error
        except OSError as error:
            raise StartupError(f"The file system of {path.parent} takes no locks ({error.strerror}).") from error
        yield
    finally:
        os.close(file)


def is_plain_file(root: Path, path: Path) -> bool:
    """Whether this is a regular file below `root`, reached without a link (`root` itself may be one)."""
    return _is_unlinked(root, path) and path.is_file()


def is_plain_folder(root: Path, path: Path) -> bool:
    """Whether this is a folder below `root`, reached without a link (`root` itself may be one)."""
    return _is_unlinked(root, path) and path.is_dir()


def open_to_append(root: Path, path: Path) -> int:
    """A descriptor of a regular file below `root`, made with its folders if need be. OSError where a link is on the way."""
    above = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *folders, name = path.relative_to(root).parts
        for folder in folders:
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700, dir_fd=above)
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            os.close(above)
            above = inner
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=above)
    finally:
        os.close(above)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a plain file")
    return descriptor


def _is_unlinked(root: Path, path: Path) -> bool:
    try:
        return path.resolve() == root.resolve() / path.relative_to(root)
    except (OSError, ValueError):
        return False


def _close_to_others(folder: Path) -> list[str]:
    notices = []
    facts = folder.stat()
    # A folder that is not ours (/tmp, a home) may be given by mistake: others need it as it is.
    is_ours = any(os.path.lexists(folder / name) for name in _OURS) or not any(
        entry.name not in ("models", "datasets", "runs") for entry in os.scandir(folder)
    )
    may_change = facts.st_uid == os.geteuid() and is_ours and not facts.st_mode & stat.S_ISVTX
    open_bits = 0o007 if facts.st_mode & stat.S_ISGID else 0o077
    for path in (folder, *(folder / name for name in _PRIVATE_FILES)):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if not mode & open_bits or stat.S_ISLNK(mode):
            continue
        if may_change:
            path.chmod(stat.S_IMODE(mode) & ~open_bits)
            notices.append(f"{path} was open to other users (mode {stat.S_IMODE(mode):04o}); it is private now.")
        else:
            notices.append(f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}); close it with chmod go=.")
    return notices


def _unusable(folder: Path, error: OSError) -> StartupError:
    return StartupError(
        f"The data folder {folder} cannot be written to ({error.strerror or error}). "
        "Choose another with --data-dir or RANKSCOPE_DATA_DIR."
    )
