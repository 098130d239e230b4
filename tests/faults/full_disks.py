"""The disk is full when a checkpoint is to be written: a small separate file system, or otherwise an injected error."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from rankscope_worker.child.checkpoint import DamagedCheckpoint, verify
from tests.faults.checks import Breach
from tests.faults.damaged_checkpoints import published, step_of
from tests.faults.harness import Case, Harness, Result
from tests.faults.installation import DEADLINE_S
from tests.faults.orders import order
from tests.faults.stillness import hold_still
from tests.faults.subjects import STEPS

_SIZE_MIB = 32


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of a few MiB at `folder`; yields False if this user may not mount one."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MIB}m", "none", str(folder)]
    may_mount = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield may_mount
    finally:
        if may_mount:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def full_disks(harness: Harness, numbers: Sequence[int]) -> Result:
    found: list[Breach] = []
    with (
        harness.installation(workers=1) as installation,
        small_disk(installation.settings.runs_dir) as is_small,
    ):

        def fill(case: Case) -> str | None:
            return _fill(case, found) if is_small else _refuse(case, found)

        result = harness.play("disk", installation, numbers, fill, at_a_time=1)
    result.kinds.append("checkpoint")
    result.breaches += found
    return result


def _fill(case: Case, found: list[Breach]) -> str | None:
    """Leaves less space than a checkpoint needs until the run has reported it."""
    filler = case.installation.settings.runs_dir / "filler"
    if not case.reaches(case.chance.randint(8, STEPS - 20)):
        return None
    child = case.installation.child(case.run_id)
    if child is None or (newest := _hold_between_checkpoints(case, child)) is None:
        return None
    # The last step always saves, so a checkpoint must fail after this point.
    size = sum(path.stat().st_size for path in newest.iterdir())
    room = case.chance.randrange(size)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(filler.parent).free - room))
    child.resume()
    told = _wait_for_report(case)
    _look_at_what_is_left(case, newest, found, told)
    filler.unlink()
    _resume_if_it_failed(case)
    return f"disk full at a checkpoint: {room} bytes left of {size}"


def _hold_between_checkpoints(case: Case, child: psutil.Process) -> Path | None:
    """Suspends the child while it neither writes a checkpoint nor deletes an old one, which would free space.

    Returns its newest checkpoint; None if the training ends before that.
    """
    folder = case.installation.attempt_folder(case.run_id, 1)
    try:
        while child.is_running():
            hold_still(child)
            newest = next(iter(published(folder)), None)
            is_saving = any((folder / "checkpoints" / ".writing").glob("checkpoint-*"))
            # A step is recorded after the previous step's save, including the deletion of old checkpoints, has
            # finished.
            if newest and not is_saving and step_of(newest) < case.viewer.step < STEPS:
                return newest
            child.resume()
            time.sleep(0.01)  # polls, because nothing signals that a file is being written
    except psutil.NoSuchProcess:
        return None
    return None


def _refuse(case: Case, found: list[Breach]) -> str | None:
    """Without a separate file system: flushing the n-th file of a checkpoint fails."""
    call = case.chance.randint(12, 60)
    faults, module = case.installation.faults, "rankscope_worker.child.checkpoint"
    done = order(faults, case.run_id, 1, module=module, function="_hash", call=call, do="enospc")
    told = _wait_for_report(case)
    before = published(case.installation.attempt_folder(case.run_id, 1))
    if not done.exists() or not before:
        return None
    _look_at_what_is_left(case, before[0], found, told)
    _resume_if_it_failed(case)
    return f"disk full at a checkpoint (injected): call {call}"


def _wait_for_report(case: Case) -> str | None:
    """Returns the event that reports the problem: the run's failure, or a warning if it continues."""
    event = case.viewer.wait_for(
        lambda event: event.get("code") == "checkpoint_failed" or event.get("status") in ("failed", "done", "stopped"),
        DEADLINE_S,
    )
    return str(event.get("code") or event.get("reason")) if event else None


def _look_at_what_is_left(case: Case, newest: Path, found: list[Breach], told: str | None) -> None:
    folder = case.installation.attempt_folder(case.run_id, 1)
    left = published(folder)
    if newest not in left and not any(step_of(path) > step_of(newest) for path in left):
        found.append(Breach("checkpoint", case.run_id, f"{newest.name} is gone"))
    for path in left:
        try:
            verify(path)
        except DamagedCheckpoint as error:
            if not path.exists():
                continue  # deleted as an old one while it was being verified
            found.append(Breach("checkpoint", case.run_id, f"{path.name} is damaged: {error}"))
    if told not in ("checkpoint_failed", "disk_full"):
        found.append(Breach("checkpoint", case.run_id, f"the full disk was told as {told}"))


def _resume_if_it_failed(case: Case) -> None:
    if case.installation.run(case.run_id).status == "failed":
        with case.installation.client() as client:
            client.resume(case.run_id)
