"""Whether a model can do a task (the head, and what the task needs of the tokenizer), and what of it is loaded."""

from collections.abc import Collection
from dataclasses import replace
from importlib.util import find_spec

from rankscope.catalog import ModelEntry
from rankscope.catalog.models.architectures import kinds_for, loses_decoder
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import FieldProblem

_WELL_KNOWN = ("bert", "roberta", "deberta-v2", "bart", "t5", "llama", "qwen2", "gpt2")


def model_problems(config: RunConfig, model: ModelEntry) -> list[FieldProblem]:
    """Returns what would make the training fail before its first step."""
    task = config.task
    title = str(task.model_config.get("title", task.name))
    kinds = kinds_for(task.name)
    if kinds is not None and model.kind is not None and model.kind.kind not in kinds:
        return [
            FieldProblem(
                "config.model.id",
                model.id,
                f"is {model.id}, of type {model.kind.kind}, which can't do the task {title!r}",
                f"Choose a model of another type, such as {_some(kinds)}, or another task.",
            )
        ]
    bits = config.model.quantization
    if bits != "none" and not can_quantise(model):
        return [_not_quantisable(model, bits)]
    field = task.chat_template_field
    if field is not None and not model.has_chat_template:
        return [
            FieldProblem(
                f"config.task.{field}",
                getattr(task, field),
                f"is {getattr(task, field)}, which needs a chat template, and the tokenizer of {model.id} has none",
                task.without_chat_template,
            )
        ]
    return []


def can_quantise(model: ModelEntry) -> bool:
    """Whether the model's weights can be quantised while they are loaded."""
    return not model.is_quantised and find_spec("bitsandbytes") is not None


def _not_quantisable(model: ModelEntry, bits: str) -> FieldProblem:
    if model.is_quantised:
        return FieldProblem(
            "config.model.quantization",
            bits,
            f"is {bits}, and the weights of {model.id} are quantised already",
            "Set it to none.",
        )
    return FieldProblem(
        "config.model.quantization",
        bits,
        f"is {bits}, which needs bitsandbytes, and it is not installed",
        "Install RankScope's extra `quantized` here and where the workers run, or set it to none.",
    )


def loaded_part(config: RunConfig, model: ModelEntry) -> ModelEntry:
    """Returns the model without layers that are not loaded for the task: the decoder, if the head is on the encoder."""
    if model.kind is None or not loses_decoder(model.kind.kind, config.task.name):
        return model
    unused = {module.name for module in [*model.modules, *model.outside] if "decoder" in module.name.split(".")}
    return replace(
        model,
        modules=tuple(module for module in model.modules if module.name not in unused),
        outside=tuple(module for module in model.outside if module.name not in unused),
        body_parameters=model.body_parameters
        - sum(module.out_features * module.in_features for module in model.modules if module.name in unused),
        is_body_exact=False,
    )


def _some(kinds: Collection[str]) -> str:
    known = [kind for kind in _WELL_KNOWN if kind in kinds]
    return ", ".join(known[:3] or sorted(kinds)[:3])
