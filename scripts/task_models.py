"""Writes backend/rankscope/catalog/models/task_models.json: the kinds of models that have the head of each task.

The server reads it without torch. Run it after an update of transformers, or when a task is added:
`python scripts/task_models.py`. A test compares the file with the output of this script.
"""

import json
from pathlib import Path

from transformers import CONFIG_MAPPING

from rankscope.catalog.models.architectures import architectures
from rankscope.contract.tasks import TASKS
from rankscope_worker.child.tasks import trained_task

TARGET = Path(__file__).parent.parent / "backend/rankscope/catalog/models/task_models.json"


def everything() -> dict[str, list[str]]:
    """Returns the kinds of each task, without tasks that all kinds can do."""
    found = {}
    for name, task in TASKS.items():
        kinds = trained_task(task.model_validate({"name": name}), []).head().kinds
        fitting = [kind for kind in sorted(architectures()) if CONFIG_MAPPING[kind] in kinds]
        if len(fitting) < len(architectures()):
            found[name] = fitting
    return found


def as_text(entries: dict[str, list[str]]) -> str:
    """Returns JSON with one line per task."""
    lines = [f"{json.dumps(name)}: {json.dumps(kinds)}" for name, kinds in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(as_text(everything()), encoding="utf-8")
