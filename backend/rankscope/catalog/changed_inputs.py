"""Checks that a run's model and data set are still those that it was launched with."""

from collections.abc import Sequence
from typing import Literal

from rankscope.catalog import Catalog, DatasetEntry, ModelEntry
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, InputsChanged
from rankscope.contract.stored import Environment

_TIMEOUT_S = 1.0


def check_model(model: ModelEntry, before: str | None) -> None:
    """Raises InputsChanged unless the model's files have the fingerprint `before`. None means unknown, and passes."""
    if before is not None and not model.has_fingerprint(before):
        raise _changed("model_changed", "model", model.id, before, model.fingerprint)


def check_dataset(dataset: DatasetEntry, before: str | None) -> None:
    """Raises InputsChanged unless the file has the fingerprint `before`. None means unknown, and passes."""
    if before is not None and dataset.fingerprint != before:
        raise _changed("data_changed", "data set", dataset.id, before, dataset.fingerprint)


def check_before_queueing(catalog: Catalog, config: RunConfig, environment: Environment) -> None:
    """Raises InputsChanged if the model or data set has changed, as far as that can be checked within a second.

    `environment` is the run's. A large data file that has not been read yet, and inputs that can't be used at all, are left
    to the worker, which checks everything again.
    """
    model, data = environment.get("model_fingerprint"), environment.get("data_fingerprint")
    try:
        if model is not None:
            check_model(catalog.model(config.model.id), model)
        if data is not None:
            check_dataset(catalog.dataset(config.data.id, fingerprint=data, timeout_s=_TIMEOUT_S), data)
    except BadInput:
        return


def what_changed(before: Environment, labels: Sequence[str], train_rows: int, eval_rows: int) -> str | None:
    """Returns how a data set's classes and rows differ from those at the run's launch, as a sentence; None if they don't.

    `before` is the run's environment. The same bytes can give another result: earlier versions counted an empty label as
    a class.
    """
    names = before.get("labels")
    if names is not None and list(names) != list(labels):
        return f"The run was launched with the classes {_listed(names)}, but the data set now has {_listed(labels)}."
    sides = (
        (before.get("train_rows", train_rows), train_rows, "training"),
        (before.get("eval_rows", eval_rows), eval_rows, "evaluation"),
    )
    for then, now, side in sides:
        if then != now:
            return f"The run was launched with {then:,} {side} rows, but the data set now has {now:,}."
    return None


def _changed(
    reason: Literal["model_changed", "data_changed"], what: str, name: str, before: str, now: str
) -> InputsChanged:
    return InputsChanged(
        reason,
        f"The {what} {name} has changed since the run was launched: "
        f"its fingerprint was {_short(before)} and is now {_short(now)}.",
        f"Fingerprint of {what} {name}: {before} when the run was launched, {now} now.",
    )


def _short(fingerprint: str) -> str:
    version, colon, digest = fingerprint.rpartition(":")
    return f"{version}{colon}{digest[:12]}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(repr(str(name)[:60]) for name in names[:8]) + more
