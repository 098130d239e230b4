"""Finds an attempt's model and rows, and checks that they are unchanged since the launch. Never imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from rankscope.catalog import Catalog, ModelEntry
from rankscope.catalog.changed_inputs import check_dataset, check_model, what_changed
from rankscope.catalog.data.splits import Split
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import InputsChanged
from rankscope.contract.stored import Environment
from rankscope_worker.child.loading.picked_rows import read_split

LIBRARIES = ("torch", "transformers", "peft")
"""Packages whose version can change the results of a training."""


@dataclass(frozen=True)
class Inputs:
    """`environment` is the run's, with the expected fingerprints. Runs of earlier versions may not have them."""

    model: ModelEntry
    rows: Split
    catalog: Catalog
    environment: Environment
    is_quantised: bool
    """Whether the weights are quantised in the files, or while they are loaded."""

    def check_model(self) -> None:
        """Checks the model again after loading: its files may have changed while they were read."""
        check_model(self.catalog.model(self.model.id), self.environment.get("model_fingerprint"))


def find_inputs(catalog: Catalog, config: RunConfig, environment: Environment) -> Inputs:
    """Looks up only the run's model and data set. Raises InputsChanged, or BadInput if one can't be used."""
    model = catalog.model(config.model.id)
    check_model(model, environment.get("model_fingerprint"))
    before = environment.get("data_fingerprint")
    dataset = catalog.dataset(config.data.id, fingerprint=before)
    check_dataset(dataset, before)
    # The file is hashed while its rows are read, so a file that changes in the meantime is refused.
    rows = read_split(dataset, config.data, config.task)
    change = what_changed(environment, rows.labels, len(rows.train), len(rows.evaluation))
    if change is not None:
        raise InputsChanged(
            "data_changed",
            f"The file of data set {dataset.id} is unchanged, but this version reads it differently. {change}",
            change,
        )
    found = environment.copy()
    found.setdefault("model_fingerprint", model.fingerprint)
    return Inputs(model, rows, catalog, found, is_quantised(config, model))


def is_quantised(config: RunConfig, model: ModelEntry) -> bool:
    """Whether bitsandbytes is needed."""
    return model.is_quantised or config.model.quantization != "none"


def changed_libraries(environment: Environment, trained_with: Mapping[str, str]) -> str | None:
    """Returns a sentence about the differences from the run's first attempt; None if there are none, or it is unknown.

    `environment` is the run's, `trained_with` this attempt's versions.
    """
    first = environment.get("first_trained_with") or environment.get("trained_with") or {}
    differences = [
        f"{name} {trained_with[name]} ({first[name]} in the first attempt)"
        for name in LIBRARIES
        if name in first and name in trained_with and first[name] != trained_with[name]
    ]
    return f"This attempt trains with {', '.join(differences)}." if differences else None
