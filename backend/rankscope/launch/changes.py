"""Changes to a run's configuration: merge, compare, and refuse those that would make it a different training."""

from collections.abc import Mapping

from pydantic import ValidationError

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.problems import bad_input
from rankscope.contract.tasks import in_todays_form

Changes = Mapping[str, object]

_RETRY_FIELDS = frozenset(
    {
        "training.batch_size",
        "training.gradient_accumulation",
        "training.checkpoint_every",
        "training.checkpoint_minutes",
        "training.keep_checkpoints",
        "training.keep_best",
        "task.headline_metric",
        "training.best_metric",
        "training.on_disk_full",
        "training.after_done",
        "training.raw_scores",
        "hardware.device",
        "hardware.gradient_checkpointing",
    }
)
"""What may change within one training: nothing that affects the result, except for rounding and random dropout."""


def changed(config: Mapping[str, object], changes: Changes) -> RunConfig:
    """The configuration with these parts replaced: `{"training": {"batch_size": 8}}`.

    Raises BadInput, with fields named `changes...`.
    """
    changes = in_todays_form(changes)
    merged = merge(in_todays_form(config), changes)
    training = changes.get("training")
    if isinstance(training, Mapping) and training.get("epochs") is not None and "max_steps" not in training:
        merged["training"] = merge(training, {"max_steps": None})
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        raise bad_input(error, prefix="changes") from error


def merge(config: Mapping[str, object], changes: Changes) -> dict[str, object]:
    """The configuration with these parts replaced, without validation."""
    merged = dict(config)
    for name, value in changes.items():
        before = merged.get(name)
        merged[name] = merge(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def flat(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Dotted field -> value."""
    fields: dict[str, object] = {}
    for name, value in config.items():
        fields |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return fields


def differing(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[object]]:
    """Dotted field -> [before, after] of all fields that differ."""
    old, new = flat(before), flat(after)
    return {
        field: [old.get(field), new.get(field)]
        for field in dict.fromkeys([*old, *new])
        if old.get(field) != new.get(field)
    }


def check_retry(differences: Mapping[str, list[object]], before: RunConfig, after: RunConfig) -> None:
    """Raises BadInput unless the changed run is still the same training."""
    problems = [
        FieldProblem(
            f"changes.{field}",
            new,
            "can't change in a retry, because the rest would be a different training",
            "Fork the run from a checkpoint, or launch a new one.",
        )
        for field, (_, new) in differences.items()
        if field not in _RETRY_FIELDS
    ]
    rows = before.training.batch_size * before.training.gradient_accumulation
    now = after.training.batch_size * after.training.gradient_accumulation
    if now != rows:
        problems.append(
            FieldProblem(
                "changes.training.batch_size",
                after.training.batch_size,
                f"times gradient_accumulation {after.training.gradient_accumulation} is {now} rows per step; "
                f"the run has {rows}",
                f"Choose both so that their product is {rows}.",
            )
        )
    if problems:
        raise BadInput(problems)
