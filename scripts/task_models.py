"""Writes backend/rankscope/catalog/models/task_models.json: the kinds of models that have the head of each task.

The server reads it without torch. Run it after an update of transformers, or when a task is added:
`python scripts/task_models.py`. A test compares the file with the output of this script.
"""

import json
from pathlib import Path

import torch
from transformers import CONFIG_MAPPING

from rankscope.catalog.models.architectures import architectures
from rankscope.contract.tasks import TASKS
from rankscope_worker.child.loading.model import Head
from rankscope_worker.child.tasks import trained_task

TARGET = Path(__file__).parent.parent / "backend/rankscope/catalog/models/task_models.json"


def everything() -> dict[str, dict[str, list[str]]]:
    """Returns the kinds of each task, without tasks that all kinds can do, and those that lose their decoder."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, task in TASKS.items():
        head = trained_task(task.model_validate({"name": name}), []).head()
        known = sorted(architectures())
        fitting = [kind for kind in known if CONFIG_MAPPING[kind] in head.kinds and _finds_body(kind, head)]
        if len(fitting) < len(known):
            found[name] = {
                "kinds": fitting,
                "without_decoder": [kind for kind in fitting if _loses_decoder(kind, head)],
            }
    return found


def _finds_body(kind: str, head: Head) -> bool:
    """Whether the class with the head names the body as the files do. Otherwise all of it would start from random values."""
    architecture = architectures()[kind]
    classes = head.auto_class._model_mapping
    config = CONFIG_MAPPING[kind]
    return (
        not architecture.is_known or config not in classes or classes[config].base_model_prefix == architecture.prefix
    )


def _loses_decoder(kind: str, head: Head) -> bool:
    """Whether the weight files contain a decoder, and the class with the head does not."""
    if not head.is_new or not any("decoder" in path.split(".") for path in architectures()[kind].blocks):
        return False
    with torch.device("meta"):
        model = head.auto_class.from_config(CONFIG_MAPPING[kind]())
    return not any("decoder" in name.split(".") for name, _ in model.named_parameters())


def as_text(entries: dict[str, dict[str, list[str]]]) -> str:
    """Returns JSON with one line per task."""
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(as_text(everything()), encoding="utf-8")
