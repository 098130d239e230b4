"""Counts the split that the form requests first, right after the import."""

import logging

from rankscope.catalog import Catalog
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import TASKS, likely_task

_log = logging.getLogger("rankscope.job")


def count_default_split(catalog: Catalog, dataset_id: str) -> None:
    """Counts the split that the form requests first. The data set can already be used."""
    try:
        entry = catalog.dataset(dataset_id)
        likely = likely_task(entry.columns, [label for label, _ in entry.classes])
        task = TASKS[likely["name"]].model_validate(likely)
        catalog.count_split(entry, DataConfig(id=dataset_id, split="parts" if entry.split_column else "share"), task)
    except Exception:
        # Some columns may have to be chosen first. The plan reports any problem.
        _log.info("The default split of %s can't be counted.", dataset_id, exc_info=True)
