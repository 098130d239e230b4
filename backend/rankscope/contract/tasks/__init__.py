"""The tasks of a run, told apart by `name`. Each is one file here, and one in `rankscope_worker.child.tasks`."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from rankscope.contract.tasks.task import Task
from rankscope.contract.tasks.text_classification import TextClassification

TASKS: dict[str, type[Task]] = {str(kind.model_fields["name"].default): kind for kind in (TextClassification,)}
"""By name, in the order of the form. The first one is the task of a configuration that names none."""
DEFAULT_TASK: Task = next(iter(TASKS.values()))()  # type: ignore[call-arg]


class _ByName:
    """Pydantic's own discriminator asks for two members at least."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members = {name: handler.generate_schema(kind) for name, kind in TASKS.items()}
        return core_schema.tagged_union_schema(members, discriminator="name")


TaskConfig = Annotated[Task, _ByName()]


def in_todays_form(config: Mapping[str, object]) -> dict[str, object]:
    """A configuration, or changes to one, as this version writes it, whichever version wrote it."""
    for kind in TASKS.values():
        config = kind.from_earlier(config)
    return dict(config)


__all__ = ["DEFAULT_TASK", "TASKS", "Task", "TaskConfig", "TextClassification", "in_todays_form"]
