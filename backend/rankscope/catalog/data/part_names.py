"""The usual names of the parts of a data set, and of the column that contains them."""

import re
from collections.abc import Collection, Iterable, Mapping

_COLUMNS = ("split", "partition", "subset", "data_split", "dataset_split")
TRAIN = ("train", "training")
EVALUATION = ("validation", "valid", "val", "dev", "development", "eval", "evaluation")
TEST = ("test", "testing")
_SPLITS = {TRAIN: "train", EVALUATION: "validation", TEST: "test"}


def has_usual_name(column: str) -> bool:
    return column.strip().casefold() in _COLUMNS


def own_column(columns: Iterable[str], values: Mapping[str, Collection[str]]) -> str | None:
    """Returns the column in which a data set names its own split, by its name and values; None if there is none.

    `values`: those of each column, if they are few.
    """
    for name in columns:
        if not has_usual_name(name):
            continue
        kinds = [kind_of(value) for value in values.get(name, ())]
        if TRAIN in kinds and (EVALUATION in kinds or TEST in kinds):
            return name
    return None


def kind_of(name: str) -> tuple[str, ...] | None:
    """Returns the group of usual names that this one belongs to; it may have a suffix, as in validation_matched."""
    begin = name.strip().casefold().replace("-", "_").split("_")[0]
    return next((kind for kind in (TRAIN, EVALUATION, TEST) if begin in kind), None)


def split_of_path(path: str) -> str | None:
    """Returns the split that the path of a file names, in its last part if possible."""
    for part in reversed(path.lower().split("/")):
        words = re.split("[^a-z]+", part)
        for names, split in _SPLITS.items():
            if any(word in names for word in words):
                return split
    return None
