"""Which modules of a model are new for its task, and so are trained fully and saved next to the components."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel

from ..warning import RankWarning

_HEADED_TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
_USUAL_HEADS = ("classifier", "score", "classification_head", "qa_outputs")


def task_name(task_type: object) -> str | None:
    """PEFT's task type as its plain name ("SEQ_CLS"), None for none."""
    return None if task_type is None else str(getattr(task_type, "value", task_type))


def head_names(model: nn.Module, task_type: object, modules_to_save: Iterable[str] | str | None = None) -> list[str]:
    """The modules to train fully: `modules_to_save` where given, else the top-level modules that a task puts on the
    backbone (classifier, score, ...).

    Without a task type these are what a transformers model has next to its backbone, unless it is a language model: so
    for multiple choice, CTC or images. Empty for tasks whose head is the language model's own. ValueError if a given
    name matches no module with parameters.
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
                f"task_type={task!r} has its own head, and none was found on this {type(model).__name__}: nothing "
                "but the components is trained. Name the head in modules_to_save, or pass [] if there is none."
            )
        return found
    if task is not None:
        return []
    if isinstance(model, PreTrainedModel):
        return [] if besides is None or _has_language_head(model) else besides
    loose = [name for name, child in children.items() if not name.isdigit() and _is_loose(child)]
    if loose:
        _warn(
            f"{', '.join(loose)} of this {type(model).__name__} will stay frozen: it is not known to be a head. Name what "
            "is new in modules_to_save to train it fully, or pass [] to leave it frozen."
        )
    return []


def _checked(model: nn.Module, names: tuple[str, ...]) -> list[str]:
    sized = [name for name, module in model.named_modules() if name and any(True for _ in module.parameters())]
    for wanted in names:
        if not any(name == wanted or name.endswith(f".{wanted}") for name in sized):
            top = ", ".join(name for name in sized if "." not in name)
            raise ValueError(
                f"modules_to_save names {wanted!r}, which is not a module with parameters of this model; at its top it has "
                f"{top}."
            )
    return list(names)


def _has_language_head(model: PreTrainedModel) -> bool:
    return model.get_output_embeddings() is not None


def _is_loose(child: nn.Module) -> bool:
    """Whether it is a linear, or a few of them, outside of any numbered block."""
    modules = dict(child.named_modules())
    is_model = any(isinstance(module, PreTrainedModel | nn.Embedding) for module in modules.values())
    has_linear = any(isinstance(module, nn.Linear) for module in modules.values())
    return has_linear and not is_model and not any(isinstance(module, nn.ModuleList) for module in modules.values())


def _warn(message: str) -> None:
    warnings.warn(f"[head_unknown] {message}", RankWarning, stacklevel=5)
