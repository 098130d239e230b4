"""Changes to a configuration that lower its memory, from those that keep the result to those that change it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from rankscope.contract.config import RunConfig
from rankscope.launch.activations import DeviceKind
from rankscope.launch.model_fit import can_quantise
from rankscope.launch.plan import RunPlan

_SHORTEST = 16
"""Tokens below which a shorter length is not proposed."""
Effect = Literal["same_result", "other_result"]


@dataclass(frozen=True)
class Saving:
    label: str
    changes: dict[str, object]
    """Dotted field -> value."""
    total_bytes: int
    """The estimate with these changes."""
    effect: Effect
    """Whether the training computes the same, except for rounding and random dropout."""


def savings(plan: RunPlan, limit_bytes: int, total: Callable[[RunConfig], int], device: DeviceKind) -> list[Saving]:
    """Returns the changes that bring `total(config)` to `limit_bytes` or less, the mildest first; empty if none does."""
    sizes = plan.model.memory_sizes
    makers = [_smaller_batch, _half_precision, _shorter_texts]
    if can_quantise(plan.model) and plan.config.method.artifact != "model":
        makers.insert(2, _quantised_base)
    if sizes is not None and sizes.can_checkpoint:
        makers.insert(1, _checkpointing)
    found = []
    for make in makers:
        for saving in make(plan.config, total, device):
            if saving.total_bytes <= limit_bytes:
                found.append(saving)
                break
    return found or _both(plan.config, limit_bytes, total)


def _smaller_batch(config: RunConfig, total: Callable[[RunConfig], int], _device: DeviceKind) -> Iterator[Saving]:
    """Yields smaller batches, the largest first, with the same number of rows in an optimizer step."""
    training = config.training
    rows = training.batch_size * training.gradient_accumulation
    for batch in range(training.batch_size // 2, 0, -1):
        if rows % batch == 0 and rows // batch <= 1024:
            yield _saving(
                f"Batch {batch} with accumulation {rows // batch}",
                config,
                total,
                {"training.batch_size": batch, "training.gradient_accumulation": rows // batch},
                "same_result",
            )


def _checkpointing(config: RunConfig, total: Callable[[RunConfig], int], _device: DeviceKind) -> Iterator[Saving]:
    if not config.hardware.gradient_checkpointing:
        yield _saving("Gradient checkpointing", config, total, {"hardware.gradient_checkpointing": True}, "same_result")


def _half_precision(config: RunConfig, total: Callable[[RunConfig], int], device: DeviceKind) -> Iterator[Saving]:
    if device == "gpu" and config.hardware.precision != "bf16":
        yield _saving("Precision bf16", config, total, {"hardware.precision": "bf16"}, "other_result")


def _quantised_base(config: RunConfig, total: Callable[[RunConfig], int], device: DeviceKind) -> Iterator[Saving]:
    if device == "gpu" and config.model.quantization == "none":
        for bits in ("8-bit", "4-bit"):
            yield _saving(f"{bits} base", config, total, {"model.quantization": bits}, "other_result")


def _shorter_texts(config: RunConfig, total: Callable[[RunConfig], int], _device: DeviceKind) -> Iterator[Saving]:
    length = config.training.max_length
    while (length := length // 2) >= _SHORTEST:
        yield _saving(f"Text length {length}", config, total, {"training.max_length": length}, "other_result")


def _both(config: RunConfig, limit_bytes: int, total: Callable[[RunConfig], int]) -> list[Saving]:
    """The smallest batch with shorter texts, if neither is enough alone."""
    rows = config.training.batch_size * config.training.gradient_accumulation
    if config.training.batch_size == 1 or rows > 1024:
        return []
    length = config.training.max_length
    while (length := length // 2) >= _SHORTEST:
        changes: dict[str, object] = {
            "training.batch_size": 1,
            "training.gradient_accumulation": rows,
            "training.max_length": length,
        }
        saving = _saving(
            f"Batch 1 with accumulation {rows}, and text length {length}", config, total, changes, "other_result"
        )
        if saving.total_bytes <= limit_bytes:
            return [saving]
    return []


def _saving(
    label: str, config: RunConfig, total: Callable[[RunConfig], int], changes: dict[str, object], effect: Effect
) -> Saving:
    return Saving(label, changes, total(with_changes(config, changes)), effect)


def with_changes(config: RunConfig, changes: dict[str, object]) -> RunConfig:
    """The configuration with these fields of its parts replaced, without validation."""
    parts: dict[str, dict[str, object]] = {}
    for field, value in changes.items():
        part, _, name = field.partition(".")
        parts.setdefault(part, {})[name] = value
    return config.model_copy(
        update={part: getattr(config, part).model_copy(update=values) for part, values in parts.items()}
    )
