"""SIGKILL of the training child: at a random step, while it writes a checkpoint, in the pruning window, while it compacts."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from tests.faults.harness import Case, Harness, Result
from tests.faults.installation import DEADLINE_S
from tests.faults.orders import order
from tests.faults.stillness import hold_still
from tests.faults.subjects import STEPS, WINDOW

_COMPACTED = ("compacted", "accumulated")


def child_kills(harness: Harness, numbers: Sequence[int]) -> Result:
    """The case's number determines the moment: four kinds in turn."""
    with harness.installation(workers=2, slots=2) as installation:
        return harness.play("child", installation, numbers, _kill, at_a_time=4, subjects=_COMPACTED)


def _kill(case: Case) -> str | None:
    return MOMENTS[case.number % len(MOMENTS)](case)


def at_a_random_step(case: Case) -> str | None:
    step = case.chance.randint(1, STEPS - 15)
    if not case.reaches(step) or (child := case.installation.child(case.run_id)) is None:
        return None
    child.kill()
    return f"SIGKILL of the child at a random step: {step}"


def while_it_writes_a_checkpoint(case: Case) -> str | None:
    first, delay_s = case.chance.randint(1, STEPS - 20), case.chance.uniform(0, 0.02)
    if not case.reaches(first):
        return None
    writing = case.installation.attempt_folder(case.run_id, 1) / "checkpoints" / ".writing"
    found = _kill_when(case, lambda: _unpublished(writing), delay_s)
    return found and f"SIGKILL of the child while it writes a checkpoint: {found}"


def in_the_pruning_window(case: Case) -> str | None:
    step = case.chance.randint(WINDOW[0], WINDOW[1] - 20)
    if not case.reaches(step):
        return None
    found = _kill_when(case, lambda: _pruning(case), case.chance.uniform(0, 0.02))
    return found and f"SIGKILL of the child in the pruning window: {found}"


def while_it_compacts(case: Case) -> str | None:
    """Between two of the cuts (A, c and B of twelve modules): part of the model is cut, part is not."""
    call = case.chance.randint(1, 30)
    faults = case.installation.faults
    done = order(
        faults, case.run_id, 1, module="dynamic_rank.allocation.compaction", function="_cut", call=call, do="kill"
    )
    case.viewer.wait_for(lambda event: event.get("status") == "interrupted", DEADLINE_S)
    return f"SIGKILL of the child while it compacts: at cut {call}" if done.exists() else None


MOMENTS: list[Callable[[Case], str | None]] = [
    at_a_random_step,
    while_it_writes_a_checkpoint,
    in_the_pruning_window,
    while_it_compacts,
]


def _kill_when(case: Case, is_moment: Callable[[], str | None], delay_s: float) -> str | None:
    """Kills the child at the moment, which is confirmed while the child is suspended."""
    child = case.installation.child(case.run_id)
    try:
        while child is not None and child.is_running():
            if is_moment():
                time.sleep(delay_s)  # so that the kill can hit any part of it
                hold_still(child)
                if found := is_moment():
                    child.kill()
                    return found
                child.resume()
            time.sleep(0.001)  # polls, because nothing signals that a file is being written
    except psutil.NoSuchProcess:
        return None
    return None


def _unpublished(writing: Path) -> str | None:
    try:
        for path in writing.glob("checkpoint-*"):
            return f"{path.name} with {sum(1 for _ in path.iterdir())} files"
    except OSError:
        return None
    return None


def _pruning(case: Case) -> str | None:
    run = case.installation.run(case.run_id)
    is_inside = run.phase == "pruning" and run.step < WINDOW[1] - 10
    return f"after step {run.step}" if is_inside else None
