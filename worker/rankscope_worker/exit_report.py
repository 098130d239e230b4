"""How the training process reports why it ended: an exit code, and a small file with the cause."""

import json
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path

from rankscope.settings import write_atomically

END_FILE = "end.json"


class ExitCode(IntEnum):
    done = 0
    error = 1
    stopped_saved = 10
    stopped_unsaved = 11
    bad_input = 20
    """Configuration or data: a retry would fail the same way."""
    out_of_memory = 21
    nan_loss = 22
    disk_full = 23
    lease_lost = 30
    other_code = 31
    """RankScope was upgraded after the worker had started, so this process would run different code from the worker."""


@dataclass(frozen=True)
class EndNote:
    """Why the training process ended, as written by that process. `step` is its last completed optimizer step."""

    reason: str
    message: str = ""
    next_step: str = ""
    step: int | None = None


def write_note(folder: Path, note: EndNote) -> None:
    """Writes the note to the attempt's folder."""
    write_atomically(folder / END_FILE, json.dumps(asdict(note)))


def read_note(folder: Path) -> EndNote | None:
    """Returns the note in the attempt's folder; None if there isn't a valid one."""
    try:
        return EndNote(**json.loads((folder / END_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
