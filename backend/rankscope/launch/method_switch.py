"""Changes the method of a configuration: keeps the budget, sets the method's own learning rate, and reports every change."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rankscope.contract.methods import METHODS, AnyMethod

_RANK_FIELDS = frozenset({"rank", "target_rank", "initial_rank", "rank_pattern", "scale_rank"})


@dataclass(frozen=True)
class SwitchedField:
    """`field` is dotted, as in the configuration; `reason` is a sentence for the form."""

    field: str
    before: object
    after: object
    reason: str


@dataclass(frozen=True)
class Switched:
    config: dict[str, object]
    changes: list[SwitchedField]
    """Outside the method's own options, and options whose default does not fit this run."""
    budget: float | None
    """Mean rank of the draft, which a method with ranks keeps, and the next switch needs; None if there isn't one."""


def switch_method(
    config: Mapping[str, object],
    name: str,
    *,
    earlier: Mapping[str, object] | None = None,
    budget: float | None = None,
    total_steps: int | None = None,
) -> Switched:
    """The draft `config` with method `name`. A draft may be incomplete or invalid; validation reports that.

    earlier: the options of this method before another method was chosen; they are restored, except for the budget.
    budget: the mean rank to use if the draft's current method has none (full fine-tuning).
    total_steps: optimizer steps of the run, if the caller knows them; otherwise `training.max_steps` is used.
    """
    before = _mapping(config.get("method"))
    training = _mapping(config.get("training"))
    old, new = METHODS.get(str(before.get("name"))), METHODS[name]
    mean = budget_of(before) or budget or budget_of(earlier or {})
    options = {key: value for key, value in (earlier or {}).items() if key in new.model_fields}
    options |= _carried(before, old, new)
    if mean is not None:
        options |= new.options_at_budget(max(1, round(mean)))
    method = _with_defaults(new, options | {"name": name})
    changes: list[SwitchedField] = []

    steps = total_steps if total_steps is not None else _positive_int(training.get("max_steps"))
    interval = None if steps is None else new.interval_that_fits(method, steps)
    if interval is not None:
        changes.append(
            SwitchedField(
                "method.prune_interval",
                method["prune_interval"],
                interval,
                f"{steps:,} steps leave no room for a pruning every {method['prune_interval']} steps.",
            )
        )
        method["prune_interval"] = interval

    rate, proposed_learning_rate = training.get("learning_rate"), new.proposed_learning_rate(method)
    if old is not new and rate != proposed_learning_rate:
        changes.append(
            SwitchedField(
                "training.learning_rate",
                rate,
                proposed_learning_rate,
                f"{_title(new)} learned best at this rate in short runs.",
            )
        )
        training = {**training, "learning_rate": proposed_learning_rate}

    switched = {**config, "method": method, "training": training}
    if config.get("steering") and not new.can_be_steered:
        changes.append(SwitchedField("steering", config["steering"], [], f"{_title(new)} can't be steered."))
        switched["steering"] = []
    return Switched(switched, changes, mean)


def budget_of(method: Mapping[str, object]) -> float | None:
    """Mean rank that a method's options amount to; None if there isn't one, or it isn't a number yet."""
    kind = METHODS.get(str(method.get("name")))
    if kind is None:
        return None
    try:
        mean = kind.mean_budget(method)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return mean if mean is not None and math.isfinite(mean) and mean > 0 else None


def _carried(before: Mapping[str, object], old: type[AnyMethod] | None, new: type[AnyMethod]) -> dict[str, object]:
    """Options that mean the same in both methods. An initial rank does so only between methods with a schedule."""
    is_same_kind = old is not None and old.rank_changes == new.rank_changes == "on_schedule"
    own_meaning = _RANK_FIELDS - ({"initial_rank"} if is_same_kind else set())
    return {key: value for key, value in before.items() if key in new.model_fields and key not in own_meaning}


def _with_defaults(kind: type[AnyMethod], options: dict[str, object]) -> dict[str, object]:
    """The options in the order of the class, with defaults for the others; a missing required option is left out."""
    filled = {}
    for key, field in kind.model_fields.items():
        if key in options:
            filled[key] = options[key]
        elif not field.is_required():
            filled[key] = field.get_default(call_default_factory=True)
    return filled


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}


def _positive_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None


def _title(kind: type[AnyMethod]) -> str:
    return kind.title().split(" (")[0]
