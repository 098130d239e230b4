"""Checkpoints on disk: whole or not there. `checkpoints/step-N` in an attempt's folder, with a manifest of hashes.

Trainer writes into a working folder. Then every file is hashed and forced to disk, the manifest is written last, and
one rename publishes the folder. A reader believes only a folder whose files have the manifest's hashes.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FOLDER = "checkpoints"
MANIFEST = "manifest.json"
_FORMAT = 1


class DamagedCheckpoint(Exception):
    """A checkpoint's files are not those of its manifest."""


@dataclass(frozen=True)
class CheckpointFolder:
    path: Path
    attempt: int
    step: int


def publish(written: Path, attempt_folder: Path, step: int) -> tuple[Path, int]:
    """Makes the folder `written` the checkpoint of `step`; its new path and size in bytes.

    Every file is on disk before the rename, and the rename before this returns.
    """
    files = {}
    for path in sorted(path for path in written.rglob("*") if path.is_file()):
        digest, size = _hash(path)
        files[path.relative_to(written).as_posix()] = {"sha256": digest, "bytes": size}
    manifest = written / MANIFEST
    manifest.write_text(json.dumps({"format": _FORMAT, "step": step, "files": files}, indent=1), encoding="utf-8")
    _hash(manifest)
    _sync_folder(written)
    target = attempt_folder / FOLDER / f"step-{step}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    os.rename(written, target)
    _sync_folder(target.parent)
    return target, sum(file["bytes"] for file in files.values())  # type: ignore[misc]


def keep_newest(attempt_folder: Path, count: int) -> None:
    """Deletes all but the newest `count` checkpoints of one attempt."""
    for checkpoint in _in_attempt(attempt_folder, 0)[count:]:
        # Out of sight first: a reader must not find half of it.
        hidden = checkpoint.path.with_name(f".deleted-{checkpoint.step}")
        os.rename(checkpoint.path, hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def find_newest(run_folder: Path, on_damage: Callable[[CheckpointFolder, str], None]) -> CheckpointFolder | None:
    """The checkpoint with the highest step over all attempts whose files are whole; None if there is none.

    `on_damage` hears of each newer one that was passed over, and why.
    """
    found: list[CheckpointFolder] = []
    for folder in run_folder.glob("attempt-*"):
        number = folder.name.removeprefix("attempt-")
        if number.isdigit():
            found += _in_attempt(folder, int(number))
    for checkpoint in sorted(found, key=lambda one: (one.step, one.attempt), reverse=True):
        try:
            verify(checkpoint.path)
        except DamagedCheckpoint as error:
            on_damage(checkpoint, str(error))
        else:
            return checkpoint
    return None


def verify(path: Path) -> None:
    """Raises DamagedCheckpoint, with the reason, unless every file has the manifest's hash."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"].items()
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DamagedCheckpoint(f"its {MANIFEST} cannot be read") from error
    for name, expected in files:
        try:
            digest, _ = _hash(path / name)
        except OSError as error:
            raise DamagedCheckpoint(f"{name} cannot be read") from error
        if digest != expected["sha256"]:
            raise DamagedCheckpoint(f"{name} is not what was written")


def _in_attempt(attempt_folder: Path, number: int) -> list[CheckpointFolder]:
    """Newest first."""
    found = [
        CheckpointFolder(path, number, int(path.name.removeprefix("step-")))
        for path in (attempt_folder / FOLDER).glob("step-*")
        if path.name.removeprefix("step-").isdigit()
    ]
    return sorted(found, key=lambda one: one.step, reverse=True)


def _hash(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file, which is then on disk."""
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
