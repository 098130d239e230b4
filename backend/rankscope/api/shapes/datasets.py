"""Data sets: what the API returns about them, about their imports, and their rows."""

from typing import Literal

from rankscope.api.shapes.base import DatasetShape, Shape
from rankscope.api.shapes.views import left_out_shapes
from rankscope.catalog import DatasetEntry
from rankscope.contract.imports import ImportOptions, LengthHistogram, SetProfile
from rankscope.contract.tasks import likely_task

UploadStatus = Literal["waiting", "importing", "failed"]


class UploadShape(Shape):
    """A received file. It disappears from the list when its import has succeeded."""

    id: str
    name: str
    size_bytes: int
    created_at: float
    set_id: str
    """Name of the data set that it becomes, or of which it becomes a version. The id is `imported:` and this name."""
    is_new_set: bool
    options: ImportOptions
    status: UploadStatus
    progress: float | None
    """Share of the import that is done, from 0 to 1."""
    message: str | None
    """Why the import failed, or what it waits for."""
    next_step: str | None


class UploadList(Shape):
    items: list[UploadShape]


class PackageFileShape(Shape):
    """A data file in an installed package, which can be imported."""

    package: str
    path: str
    """Below the package's folder."""
    size_bytes: int


class PackageFileList(Shape):
    items: list[PackageFileShape]


class DataFolderShape(Shape):
    """A folder in `datasets/` whose files can be imported as one data set."""

    folder: str
    files: int
    """Those of its most frequent format."""
    size_bytes: int


class DataFolderList(Shape):
    items: list[DataFolderShape]


class VersionShape(Shape):
    id: str
    version: int
    created_at: float | None
    """Null if the version can't be read."""
    rows: int | None
    size_bytes: int
    problem: str | None
    runs: int
    """Number of runs that were launched with it."""


class ColumnLengths(Shape):
    column: str
    lengths: LengthHistogram


class DatasetDetail(Shape):
    dataset: DatasetShape
    text_lengths: list[ColumnLengths]
    """Of a file of the installation. Those of an imported data set are in its profile."""
    profile: SetProfile | None
    """Null if the data set was not imported, but is a file of the installation."""
    versions: list[VersionShape]
    """Of an imported data set, the newest first."""


class RowShape(Shape):
    number: int
    """From 1."""
    cells: list[str | None]
    """In the order of the columns. Null is a missing value; a long value is truncated and ends with "…"."""


class RowPage(Shape):
    columns: list[str]
    rows: list[RowShape]
    offset: int
    total: int
    """Number of all rows that fit the filter."""


def dataset_shape(entry: DatasetEntry) -> DatasetShape:
    likely = likely_task(entry.columns, [label for label, _ in entry.classes])
    return DatasetShape(
        id=entry.id,
        short_id=entry.short_id,
        name=entry.name,
        description=entry.description,
        columns=list(entry.columns),
        text_columns=list(entry.text_columns),
        target_column=entry.target_column,
        group_column=entry.group_column,
        split_column=entry.split_column,
        likely_task=likely["name"],
        likely_options={name: value for name, value in likely.items() if name != "name"},
        rows=entry.rows,
        size_bytes=entry.size_bytes,
        labels=dict(entry.classes),
        n_classes=entry.n_classes,
        left_out=left_out_shapes(entry.left_out),
        separator=entry.separator,
        encoding=entry.encoding,
        problem=entry.problem,
        next_step=entry.next_step,
    )
