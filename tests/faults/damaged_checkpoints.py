"""Checkpoint files that are truncated, have a flipped bit, or are missing: detected, reported, and the previous one is used."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import psutil

from rankscope.contract.manifest import MANIFEST
from tests.faults.checks import Breach
from tests.faults.harness import Case, Disturb, Harness, Result
from tests.faults.installation import DEADLINE_S
from tests.faults.stillness import hold_still
from tests.faults.subjects import STEPS


def damaged_checkpoints(harness: Harness, numbers: Sequence[int]) -> Result:
    found: list[Breach] = []
    with harness.installation(workers=2, slots=2) as installation:
        result = harness.play("damage", installation, numbers, make_damage(found), at_a_time=4)
    result.kinds.append("checkpoint")
    result.breaches += found
    return result


def make_damage(found: list[Breach]) -> Disturb:
    """Returns a fault that adds any damage that the resumed run did not notice to `found`."""
    return lambda case: _damage(case, found)


def _damage(case: Case, found: list[Breach]) -> str | None:
    """Suspends the child, damages its newest checkpoint (or all but one, or all), and kills it."""
    chance = case.chance
    if not case.reaches(chance.randint(14, STEPS - 15)) or (child := case.installation.child(case.run_id)) is None:
        return None
    try:
        hold_still(child)
    except psutil.NoSuchProcess:
        return None
    checkpoints = published(case.installation.attempt_folder(case.run_id, 1))
    if len(checkpoints) < 2:
        child.kill()
        return None
    count = chance.choice([1, 1, 1, len(checkpoints) - 1, len(checkpoints)])
    kind = list(DAMAGES)[case.number % len(DAMAGES)]
    where = [_damage_one(path, DAMAGES[kind], chance) for path in checkpoints[:count]]
    child.kill()
    rest = checkpoints[count:]
    expected = step_of(rest[0]) if rest else 0
    begun = case.viewer.wait_for(lambda event: event["attempt"] == 2 and event.get("status") == "running", DEADLINE_S)
    warned = sorted(
        (event["step"] for event in case.viewer.events if event.get("code") == "checkpoint_damaged"), reverse=True
    )
    if begun is None or begun.get("step", 0) != expected:
        text = f"resumed at {begun and begun.get('step')}, the newest whole checkpoint was {expected} ({kind}: {where})"
        found.append(Breach("checkpoint", case.run_id, text))
    if warned != [step_of(path) for path in checkpoints[:count]]:
        found.append(Breach("checkpoint", case.run_id, f"warned of {warned} only ({kind}: {where})"))
    return f"checkpoint file {kind}: {', '.join(where)}"


def published(attempt_folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((attempt_folder / "checkpoints").glob("step-*"), key=step_of, reverse=True)


def step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _damage_one(checkpoint: Path, damage: Callable[[Path, Random], None], chance: Random) -> str:
    files = sorted(path for path in checkpoint.iterdir() if path.is_file())
    # Choose the manifest as often as all other files together, because they are verified by it.
    chosen = checkpoint / MANIFEST if chance.random() < 0.5 else chance.choice(files)
    damage(chosen, chance)
    return f"{checkpoint.name}/{chosen.name}"


def _truncate(path: Path, chance: Random) -> None:
    with path.open("r+b") as file:
        file.truncate(chance.randrange(path.stat().st_size))


def _flip_a_bit(path: Path, chance: Random) -> None:
    with path.open("r+b") as file:
        place = chance.randrange(path.stat().st_size)
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))


DAMAGES: dict[str, Callable[[Path, Random], None]] = {
    "truncated": _truncate,
    "with a flipped bit": _flip_a_bit,
}
