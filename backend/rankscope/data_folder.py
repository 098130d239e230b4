"""The data folder: creates it privately for its owner, locks it, and checks that files in it are not links to outside."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rankscope.contract.errors import StartupError
from rankscope.settings import Settings

_OURS = ("rankscope.db", "token", "up.lock", "valkey")
"""An existing folder with any of these belongs to RankScope."""
_RESTORING = "restore-unfinished"
_IN_USE = "in-use.lock"
_PRIVATE_FILES = ("rankscope.db", "rankscope.db-wal", "rankscope.db-shm", "token")


def keep_files_private() -> None:
    """From now on, files that this process and its children create are private to their owner."""
    os.umask(0o077)


def prepare_data_dir(settings: Settings) -> list[str]:
    """Creates the data folder, or makes an existing one private. Returns notices for the owner, one line each.

    A folder with the set-group-id bit is shared with a group on purpose, so its group permissions are kept. Raises
    StartupError if the folder can't be written to.
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
    """Raises StartupError unless the folder exists and can be written to, for processes that don't create it."""
    try:
        if not folder.is_dir():
            what = "is not a folder" if os.path.lexists(folder) else "does not exist"
            raise StartupError(
                f"The data folder {folder} can't be written to: it {what}. Start the RankScope server, which creates it, mount "
                "it, or set RANKSCOPE_DATA_DIR."
            )
        check_writable(folder)
    except OSError as error:
        raise _unusable(folder, error) from error


def check_writable(folder: Path) -> None:
    """Raises OSError unless a file of 4 kB can be written to the folder."""
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
    """Marks the data folder as used by a server or worker, so that a restore refuses to replace its content."""
    what = f"A restore is running on the data folder {folder}. Wait until it has finished."
    with locked(folder / _IN_USE, what, fcntl.LOCK_SH):
        if os.path.lexists(folder / _RESTORING):
            raise StartupError(
                f"A restore to the data folder {folder} was interrupted. Repeat it with --replace, or remove the file "
                f"{_RESTORING} there to use it as it is. Files of earlier runs may be in runs-before-restore-...."
            )
        yield


@contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Creates a marker file while files and database may not match, so that after a crash nothing starts on them."""
    note = folder / _RESTORING
    os.close(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Locks the data folder exclusively for this process. Raises StartupError if it is in use."""
    what = f"RankScope is running on the data folder {folder}. Stop its server and all its workers first."
    with locked(folder / _IN_USE, what, fcntl.LOCK_EX):
        yield


@contextmanager
def locked(path: Path, refusal: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Holds an advisory lock, which the kernel releases when this process ends. Raises StartupError if it is taken."""
    try:
        # Create it if necessary, but never follow a link.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartupError(f"The lock file {path} can't be opened ({error.strerror}). Remove it.") from error
    try:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartupError(refusal) from error
        except OSError as error:
            raise StartupError(
                f"The file system of {path.parent} does not support locks ({error.strerror})."
            ) from error
        yield
    finally:
        os.close(file)


def is_plain_file(root: Path, path: Path) -> bool:
    """Whether this is a regular file below `root`, without links in its path (`root` itself may be a link)."""
    return _is_unlinked(root, path) and path.is_file()


def is_plain_folder(root: Path, path: Path) -> bool:
    """Whether this is a folder below `root`, without links in its path (`root` itself may be a link)."""
    return _is_unlinked(root, path) and path.is_dir()


def open_to_append(root: Path, path: Path) -> int:
    """Opens a regular file below `root`, created with its folders if necessary, and returns its descriptor.

    Raises OSError if its path contains a link.
    """
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
    # Don't change a folder that is not ours, such as /tmp or a home folder that was given by mistake.
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
            notices.append(f"{path} was open to other users (mode {stat.S_IMODE(mode):04o}); it is now private.")
        else:
            notices.append(f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}). Run chmod go= on it.")
    return notices


def _unusable(folder: Path, error: OSError) -> StartupError:
    return StartupError(
        f"The data folder {folder} can't be written to ({error.strerror or error}). "
        "Choose another folder with --data-dir or RANKSCOPE_DATA_DIR."
    )
