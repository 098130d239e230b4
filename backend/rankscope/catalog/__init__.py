"""The models and data sets of this installation, without torch or transformers.

Models and data sets are named by id, never by path. An id is looked up in the folders of this installation.
"""

from collections.abc import Callable
from functools import partial

from rankscope.catalog.data.background_reads import BackgroundReads, StillReading
from rankscope.catalog.data.datasets import Datasets
from rankscope.catalog.data.entry import DatasetEntry
from rankscope.catalog.data.splits import SplitCounts, UsedLines, count_split, number_split
from rankscope.catalog.imported.counted import counted_split, stored_lines
from rankscope.catalog.imported.folders import IMPORTED
from rankscope.catalog.imported.sets import ImportedSets
from rankscope.catalog.models.entry import ModelEntry
from rankscope.catalog.models.layers import LinearModule
from rankscope.catalog.models.models import Models
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import Task
from rankscope.settings import Settings

__all__ = ["Catalog", "DatasetEntry", "LinearModule", "ModelEntry"]


_SPLITS_KEPT = 64


class Catalog:
    """The models and data sets of one installation. Every call reads the folders, so new files appear immediately."""

    def __init__(self, settings: Settings, timeout_s: float | None = None) -> None:
        """`timeout_s`: how long to wait for a large data file that has not been read yet. None waits until it is read."""
        self._models = Models(settings.models_dir)
        self._datasets = Datasets(settings.datasets_dir, timeout_s)
        self.imported = ImportedSets(settings.data_dir)
        self._timeout_s = timeout_s
        self._splits: BackgroundReads[SplitCounts] = BackgroundReads(_SPLITS_KEPT)

    def models(self) -> list[ModelEntry]:
        return self._models.all()

    def datasets(self) -> list[DatasetEntry]:
        return [*self._datasets.all(), *self.imported.all()]

    def model(self, model_id: str, field: str = "config.model.id") -> ModelEntry:
        """Returns the model with this id.

        Raises UnknownName, which lists the known ids, or BadInput with the reason if the model can't be used.
        """
        return self._models.find(model_id, field)

    def delete_model(self, model_id: str, is_used: Callable[[], str | None]) -> None:
        """Deletes the model's folder unless `is_used` returns a reason. Raises NotFound or InvalidTransition."""
        self._models.delete(model_id, is_used)

    def dataset(
        self,
        dataset_id: str,
        field: str = "config.data.id",
        fingerprint: str | None = None,
        *,
        timeout_s: float | None = None,
    ) -> DatasetEntry:
        """Returns the data set with this id.

        `timeout_s`: how long to wait for a large file that has not been read yet. None uses the catalogue's timeout.

        Raises UnknownName, which lists the known ids, or BadInput with the reason if the data set can't be used.
        """
        if dataset_id.startswith(IMPORTED):
            return self.imported.find(dataset_id, field)
        return self._datasets.find(dataset_id, field, fingerprint, timeout_s=timeout_s)

    def count_split(self, entry: DatasetEntry, data: DataConfig, task: Task) -> SplitCounts:
        """Returns the number of rows of each class in both parts of the split. Cached: forms request it at every edit."""
        options = data.model_copy(update={"id": entry.id}).model_dump_json()
        key = (entry.path, entry.fingerprint, options, task.model_dump_json())
        try:
            count = counted_split if entry.id.startswith(IMPORTED) else count_split
            return self._splits.get(key, partial(count, entry, data, task), entry.size_bytes, self._timeout_s)
        except StillReading as error:
            raise entry.still_reading() from error

    def used_lines(self, entry: DatasetEntry, data: DataConfig, task: Task) -> UsedLines:
        """Returns the lines of the rows of both sides."""
        return (stored_lines if entry.id.startswith(IMPORTED) else number_split)(entry, data, task)[1]
