"""Which models and data sets exist here, and where. Standard library only: no torch, no transformers.

People name models and data sets by id, never by path: an id is looked up in the folders of this installation.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from rankscope.catalog.datasets import DatasetEntry, find_datasets
from rankscope.catalog.models import LinearModule, ModelEntry, find_models
from rankscope.contract.errors import FieldProblem, UnknownName
from rankscope.settings import Settings

__all__ = ["Catalog", "DatasetEntry", "LinearModule", "ModelEntry"]


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Entry = TypeVar("Entry", bound=_Named)


class Catalog:
    """The models and data sets of one installation; looks at the folders on each call, so new files appear at once."""

    def __init__(self, settings: Settings) -> None:
        self._find_models: Callable[[], list[ModelEntry]] = partial(find_models, settings.models_dir)
        self._find_datasets: Callable[[], list[DatasetEntry]] = partial(find_datasets, settings.datasets_dir)

    def models(self) -> list[ModelEntry]:
        return self._find_models()

    def datasets(self) -> list[DatasetEntry]:
        return self._find_datasets()

    def model(self, model_id: str, field: str = "config.model.id") -> ModelEntry:
        """The model with this id; UnknownName that lists what there is."""
        return _pick(self.models(), model_id, field, "model", "data folder's models/")

    def dataset(self, dataset_id: str, field: str = "config.data.id") -> DatasetEntry:
        """The data set with this id; UnknownName that lists what there is."""
        return _pick(self.datasets(), dataset_id, field, "data set", "data folder's datasets/")


def _pick(entries: Sequence[Entry], wanted: str, field: str, what: str, where: str) -> Entry:
    for entry in entries:
        if entry.id == wanted:
            return entry
    known = ", ".join(entry.id for entry in entries) or "none"
    raise UnknownName(
        [
            FieldProblem(
                field,
                wanted,
                f"is {wanted!r}, and there is no {what} with this id",
                f"Use one of: {known}. New ones go into the {where}.",
            )
        ]
    )
