"""The tasks of a run, a union discriminated by `name`. Each has one file here and one in `rankscope_worker.child.tasks`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from rankscope.contract.tasks.causal_language_model import CausalLanguageModel
from rankscope.contract.tasks.multi_label import MultiLabelClassification
from rankscope.contract.tasks.question_answering import QuestionAnswering
from rankscope.contract.tasks.regression import Regression
from rankscope.contract.tasks.task import Task
from rankscope.contract.tasks.text_classification import TextClassification
from rankscope.contract.tasks.text_to_text import TextToText
from rankscope.contract.tasks.token_classification import TokenClassification

_KINDS: tuple[type[Task], ...] = (
    TextClassification,
    Regression,
    MultiLabelClassification,
    TokenClassification,
    CausalLanguageModel,
    TextToText,
    QuestionAnswering,
)
TASKS: dict[str, type[Task]] = {str(kind.model_fields["name"].default): kind for kind in _KINDS}
"""By name, in the order of the form. The first one is the default task."""
DEFAULT_TASK: Task = next(iter(TASKS.values()))()  # type: ignore[call-arg]


class _ByName:
    """Pydantic's discriminator needs at least two members."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members = {name: handler.generate_schema(kind) for name, kind in TASKS.items()}
        return core_schema.tagged_union_schema(members, discriminator="name")


TaskConfig = Annotated[Task, _ByName()]


def likely_task(columns: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Returns the likeliest task for a data set, by its columns and labels: `name`, and options except columns."""
    likely = (name for name, kind in TASKS.items() if kind.is_likely(columns, labels))
    name = next(likely, DEFAULT_TASK.name)
    return {"name": name, **TASKS[name].likely_options(columns)}


def in_todays_form(config: Mapping[str, object]) -> dict[str, object]:
    """Converts a configuration of any version, or changes to one, to the form of this version."""
    for kind in TASKS.values():
        config = kind.from_earlier(config)
    return dict(config)


__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "CausalLanguageModel",
    "QuestionAnswering",
    "Task",
    "TaskConfig",
    "TextClassification",
    "TextToText",
    "in_todays_form",
    "likely_task",
]
