"""Checkpoints on disk: complete or absent. `checkpoints/step-N` in an attempt's folder, with a manifest of hashes.

Trainer writes into a working folder. Then every file is hashed and forced to disk, the manifest is written last, and
one rename publishes the folder. A reader accepts only a folder whose files match the manifest's hashes.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from rankscope.contract.manifest import MANIFEST, Manifest, ManifestFile, Notes

FOLDER = "checkpoints"
_FORMAT = 1


class DamagedCheckpoint(Exception):
    """A checkpoint's files don't match its manifest."""


@dataclass(frozen=True)
class CheckpointFolder:
    path: Path
    attempt: int
    step: int


def publish(written: Path, attempt_folder: Path, step: int, notes: Notes | None = None) -> tuple[Path, int]:
    """Makes the folder `written` the checkpoint of `step`. Returns its new path and its size in bytes.

    Every file is on disk before the rename, and the rename before this returns. `notes` go into the manifest.
    """
    files: dict[str, ManifestFile] = {}
    for path in sorted(path for path in written.rglob("*") if path.is_file()):
        digest, size = _hash(path)
        files[path.relative_to(written).as_posix()] = {"sha256": digest, "bytes": size}
    manifest = written / MANIFEST
    content: Manifest = {"format": _FORMAT, "step": step, "notes": notes or {}, "files": files}
    manifest.write_text(json.dumps({**content, "sha256": _digest(content)}, indent=1), encoding="utf-8")
    _hash(manifest)
    _sync_folder(written)
    target = attempt_folder / FOLDER / f"step-{step}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    os.rename(written, target)
    _sync_folder(target.parent)
    return target, sum(file["bytes"] for file in files.values())


def keep(attempt_folder: Path, newest: int, best_step: int | None = None) -> None:
    """Deletes checkpoints of this attempt and earlier ones, except this attempt's `newest` newest and the best.

    Checkpoints of older attempts are kept until this attempt has `newest` checkpoints, in case one is damaged
    unnoticed.
    """
    number = int(attempt_folder.name.removeprefix("attempt-"))
    every = [one for one in _of_run(attempt_folder.parent) if one.attempt <= number]
    mine = [one for one in every if one.attempt == number]
    kept = mine[:newest] if len(mine) >= newest else every
    best = [one for one in every if one.step == best_step][:1]
    for checkpoint in every:
        if checkpoint not in kept and checkpoint not in best:
            delete(checkpoint)


def delete(checkpoint: CheckpointFolder) -> None:
    """Deletes a checkpoint. It is renamed first, so that a reader never finds an incomplete one."""
    hidden = checkpoint.path.with_name(f".deleted-{checkpoint.step}")
    shutil.rmtree(hidden, ignore_errors=True)
    os.rename(checkpoint.path, hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def clear(attempt_folder: Path) -> None:
    """Deletes the checkpoints of all attempts of a finished run."""
    for checkpoint in _of_run(attempt_folder.parent):
        delete(checkpoint)


def keep_only(attempt_folder: Path, best_step: int | None) -> bool:
    """Deletes the checkpoints of all attempts of a finished run except that of `best_step`, or the newest if there is none.

    Returns whether the best one existed.
    """
    every = _of_run(attempt_folder.parent)
    best = next((one for one in every if one.step == best_step), None)
    kept = best or max(every, key=lambda one: (one.step, one.attempt), default=None)
    for checkpoint in every:
        if checkpoint is not kept:
            delete(checkpoint)
    return best is not None


def read_notes(path: Path) -> Notes:
    """The notes that `publish` wrote into the manifest of a checkpoint; empty if there are none."""
    manifest: Manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    return manifest.get("notes", {})


def find_newest(
    run_folder: Path,
    on_damage: Callable[[CheckpointFolder, str], None],
    is_replaced: Callable[[int, int], bool] = lambda _attempt, _step: False,
) -> CheckpointFolder | None:
    """Returns the intact checkpoint with the highest step over all attempts; None if there is none.

    `on_damage` is called for each newer one that is damaged, with the reason. `is_replaced(attempt, step)`: whether the run has
    since continued from an earlier step. Such a checkpoint is ignored: an attempt that was frozen while writing may publish it
    long after its run was taken over, and the events it recorded up to there are no longer part of the run.
    """
    for checkpoint in sorted(_of_run(run_folder), key=lambda one: (one.step, one.attempt), reverse=True):
        if is_replaced(checkpoint.attempt, checkpoint.step):
            continue
        try:
            verify(checkpoint.path)
        except DamagedCheckpoint as error:
            on_damage(checkpoint, str(error))
        else:
            return checkpoint
    return None


def verify(path: Path) -> None:
    """Raises DamagedCheckpoint, with the reason, unless the manifest is unchanged and every file matches its hash."""
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        is_ours = content.pop("sha256") == _digest(content) and content["format"] == _FORMAT
        files = [(name, file["sha256"], file["bytes"]) for name, file in content["files"].items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCheckpoint(f"its {MANIFEST} can't be read") from error
    if not is_ours or path.name != f"step-{content['step']}":
        raise DamagedCheckpoint(f"its {MANIFEST} has been modified")
    for name, sha256_hex, size in files:
        try:
            found = _hash(path / name)
        except OSError as error:
            raise DamagedCheckpoint(f"{name} can't be read") from error
        if found != (sha256_hex, size):
            raise DamagedCheckpoint(f"{name} has been modified")


def _of_run(run_folder: Path) -> list[CheckpointFolder]:
    """Checkpoints of all attempts: the newest attempt's first, and within an attempt the newest first."""
    numbers = [folder.name.removeprefix("attempt-") for folder in run_folder.glob("attempt-*")]
    attempts = sorted((int(number) for number in numbers if number.isdigit()), reverse=True)
    return [one for number in attempts for one in _in_attempt(run_folder / f"attempt-{number}", number)]


def _digest(content: Mapping[str, object]) -> str:
    """SHA-256 of a manifest without its own hash."""
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _in_attempt(attempt_folder: Path, number: int) -> list[CheckpointFolder]:
    """Newest first."""
    found = [
        CheckpointFolder(path, number, int(path.name.removeprefix("step-")))
        for path in (attempt_folder / FOLDER).glob("step-*")
        if path.name.removeprefix("step-").isdigit()
    ]
    return sorted(found, key=lambda one: one.step, reverse=True)


def _hash(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file, which is flushed to disk."""
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
