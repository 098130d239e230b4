"""Modules that are new for a model's task, such as a classifier: trained fully and saved with the components."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel

from ..warning import RankWarning

_HEADED_TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
_USUAL_HEADS = ("classifier", "score", "classification_head", "qa_outputs")


def task_name(task_type: object) -> str | None:
    """The name of PEFT's task type ("SEQ_CLS"), or None."""
    return None if task_type is None else str(getattr(task_type, "value", task_type))


def head_names(model: nn.Module, task_type: object, modules_to_save: Iterable[str] | str | None = None) -> list[str]:
    """The names of the modules to train fully: `modules_to_save` if given, otherwise the head that is new for the task.

    With a task type that has its own head (SEQ_CLS, TOKEN_CLS, QUESTION_ANS) these are the top-level modules next to
    the backbone (classifier, score, ...). Without a task type they are the same modules of a transformers model that is
    not a language model (multiple choice, CTC, images). Other tasks use the head of the language model: an empty list.

    Raises ValueError if a given name matches no module with parameters. Issues a RankWarning if a head is expected and
    not found, or possibly left frozen.
    """
    if modules_to_save is not None:
        return _checked(model, (modules_to_save,) if isinstance(modules_to_save, str) else tuple(modules_to_save))
    task = task_name(task_type)
    backbone = getattr(model, "base_model_prefix", "")
    children = {name: child for name, child in model.named_children() if any(True for _ in child.parameters())}
    besides = [name for name in children if name != backbone] if backbone and backbone in children else None
    if task in _HEADED_TASKS:
        found = [name for name in children if name in _USUAL_HEADS] if besides is None else besides
        if not found:
            _warn(
                f"task_type={task!r} has its own head, and none was found on this {type(model).__name__}, so only the "
                "components are trained. Name the head in modules_to_save, or pass [] if there is none."
            )
        return found
    if task is not None:
        return []
    if isinstance(model, PreTrainedModel):
        return [] if besides is None or _has_language_head(model) else besides
    loose = [name for name, child in children.items() if not name.isdigit() and _is_loose(child)]
    if loose:
        _warn(
            f"{', '.join(loose)} of this {type(model).__name__} will stay frozen: it may be a new head, but is not known "
            "to be one. Name new modules in modules_to_save to train them fully, or pass [] to leave them frozen."
        )
    return []


def _checked(model: nn.Module, names: tuple[str, ...]) -> list[str]:
    sized = [name for name, module in model.named_modules() if name and any(True for _ in module.parameters())]
    for wanted in names:
        if not any(name == wanted or name.endswith(f".{wanted}") for name in sized):
            top = ", ".join(name for name in sized if "." not in name)
            raise ValueError(
                f"modules_to_save names {wanted!r}, which is not a module with parameters of this model; its top-level "
                f"modules are {top}."
            )
    return list(names)


def _has_language_head(model: PreTrainedModel) -> bool:
    return model.get_output_embeddings() is not None


def _is_loose(child: nn.Module) -> bool:
    """Whether `child` has linear layers and is neither a model nor a list of blocks: it may be a head."""
    modules = dict(child.named_modules())
    is_model = any(isinstance(module, PreTrainedModel | nn.Embedding) for module in modules.values())
    has_linear = any(isinstance(module, nn.Linear) for module in modules.values())
    return has_linear and not is_model and not any(isinstance(module, nn.ModuleList) for module in modules.values())


def _warn(message: str) -> None:
    warnings.warn(f"[head_unknown] {message}", RankWarning, stacklevel=5)
