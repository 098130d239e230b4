"""Where a run's result is stored."""

from dataclasses import dataclass
from pathlib import Path

from rankscope.contract.tables import Run
from rankscope.data_folder import is_plain_folder
from rankscope.settings import Settings


@dataclass(frozen=True)
class Artifact:
    attempt: int
    folder: Path
    """An adapter as PEFT loads it; for full fine-tuning a model."""


def find_artifact(settings: Settings, run: Run) -> Artifact | None:
    """The newest attempt's result; None until the run has reported it as complete."""
    if run.artifact is None:
        return None
    folders = ((number, settings.attempt_dir(run.id, number) / run.artifact) for number in range(run.attempt, 0, -1))
    found = (Artifact(number, folder) for number, folder in folders if is_plain_folder(settings.runs_dir, folder))
    return next(found, None)
