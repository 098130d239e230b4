"""Which models and data sets exist here, and where. Standard library only: no torch, no transformers.

People name models and data sets by id, never by path: an id is looked up in the folders of this installation.
"""

from functools import partial

from rankscope.catalog.data.background_reads import BackgroundReads, StillReading
from rankscope.catalog.data.datasets import DatasetEntry, Datasets
from rankscope.catalog.data.splits import SplitCounts, count_split
from rankscope.catalog.models.layers import LinearModule
from rankscope.catalog.models.models import ModelEntry, Models
from rankscope.contract.config import DataConfig
from rankscope.contract.tasks import Task
from rankscope.settings import Settings

__all__ = ["Catalog", "DatasetEntry", "LinearModule", "ModelEntry"]


_SPLITS_KEPT = 64


class Catalog:
    """The models and data sets of one installation; looks at the folders on each call, so new files appear at once."""

    def __init__(self, settings: Settings, timeout_s: float | None = None) -> None:
        """`timeout_s`: a large data file that takes longer to read is refused until it is read; None: waits for it."""
        self._models = Models(settings.models_dir)
        self._datasets = Datasets(settings.datasets_dir, timeout_s)
        self._timeout_s = timeout_s
        self._splits: BackgroundReads[SplitCounts] = BackgroundReads(_SPLITS_KEPT)

    def models(self) -> list[ModelEntry]:
        return self._models.all()

    def datasets(self) -> list[DatasetEntry]:
        return self._datasets.all()

    def model(self, model_id: str, field: str = "config.model.id") -> ModelEntry:
        """The model with this id; UnknownName that lists what there is, BadInput that says why it cannot be used."""
        return self._models.find(model_id, field)

    def dataset(
        self,
        dataset_id: str,
        field: str = "config.data.id",
        fingerprint: str | None = None,
        *,
        timeout_s: float | None = None,
    ) -> DatasetEntry:
        """The data set with this id; UnknownName that lists what there is, BadInput that says why it cannot be used.

        `timeout_s`: how long to wait for a large file that nobody has read yet; None: as long as this catalogue waits.
        """
        return self._datasets.find(dataset_id, field, fingerprint, timeout_s=timeout_s)

    def count_split(self, entry: DatasetEntry, data: DataConfig, task: Task) -> SplitCounts:
        """How many rows of which class are on each side; kept, because a form asks at every change of any field."""
        options = data.model_copy(update={"id": entry.id}).model_dump_json()
        key = (entry.path, entry.fingerprint, options, task.model_dump_json())
        try:
            return self._splits.get(key, partial(count_split, entry, data, task), entry.size_bytes, self._timeout_s)
        except StillReading as error:
            raise entry.still_reading() from error
