"""The model and the rows of an attempt: those that the run was launched with, or none. Never imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rankscope.catalog import Catalog, ModelEntry
from rankscope.catalog.splits import Split, split, what_changed
from rankscope.contract.config import RunConfig

_NEXT = {
    "model_changed": "Restore the model's files and resume the run, or launch a new run with the new model.",
    "data_changed": "Restore the file and resume the run, or launch a new run with the new data.",
}


class InputsChanged(Exception):
    """The model or the data set is not the one that the run was launched with."""

    def __init__(self, reason: Literal["model_changed", "data_changed"], message: str, details: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.details = details
        """For the log: the fingerprints in full."""
        self.next_step = _NEXT[reason]


@dataclass(frozen=True)
class Inputs:
    """`environment` is the run's: it says what an attempt must find. Runs of earlier versions may say nothing."""

    model: ModelEntry
    rows: Split
    catalog: Catalog
    environment: Mapping[str, Any]

    def check_model(self) -> None:
        """Asks again, after the model was loaded: its files may have changed while they were read."""
        check_model(self.catalog.model(self.model.id), self.environment.get("model_fingerprint"))


def find_inputs(catalog: Catalog, config: RunConfig, environment: Mapping[str, Any]) -> Inputs:
    """Looks up the run's own model and data set, no other. Raises InputsChanged, and BadInput for what cannot be used."""
    model = catalog.model(config.model.id)
    check_model(model, environment.get("model_fingerprint"))
    before = environment.get("data_fingerprint")
    dataset = catalog.dataset(config.data.id, fingerprint=before)
    if before is not None and dataset.fingerprint != before:
        raise _changed("data_changed", "data set", dataset.id, before, dataset.fingerprint)
    # Its rows are read from bytes that are hashed while they are read: a file that changes meanwhile is refused.
    rows = split(dataset, config.data, config.task)
    change = what_changed(environment, rows.labels, len(rows.train), len(rows.evaluation))
    if change is not None:
        raise InputsChanged(
            "data_changed",
            f"The file of data set {dataset.id} is the same, but it is read differently now. {change}",
            change,
        )
    found = dict(environment)
    found.setdefault("model_fingerprint", model.fingerprint)
    return Inputs(model, rows, catalog, found)


def check_model(model: ModelEntry, before: str | None) -> None:
    """Raises InputsChanged unless the model's files are those of the fingerprint `before`; None: nothing is known of them."""
    if before is not None and not model.has_fingerprint(before):
        raise _changed("model_changed", "model", model.id, before, model.fingerprint)


def _changed(
    reason: Literal["model_changed", "data_changed"], what: str, name: str, before: str, now: str
) -> InputsChanged:
    return InputsChanged(
        reason,
        f"The {what} {name} has changed since the run was launched: "
        f"its fingerprint was {_short(before)} and is {_short(now)} now.",
        f"Fingerprint of {what} {name}: {before} when the run was launched, {now} now.",
    )


def _short(fingerprint: str) -> str:
    version, colon, digest = fingerprint.rpartition(":")
    return f"{version}{colon}{digest[:12]}"
