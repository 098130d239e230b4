"""Imported data sets: the request of an import, and the profile that it writes next to the rows."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.contract.stored import StoredError

SourceFormat = Literal["csv", "json", "parquet"]
"""`csv` has any separator. `json` is one object a line, or one document with a list of objects."""
Encoding = Literal["utf-8", "utf-16", "utf-32", "windows-1252", "latin-1"]
ValueKind = Literal["text", "number", "true or false", "list or object", "mixed"]
"""Lists and objects, and a column with values of several kinds, are stored as JSON."""
STORED_AS_JSON: frozenset[ValueKind] = frozenset({"list or object", "mixed"})

MAX_UPLOAD_BYTES = 2_000_000_000
MAX_NAME = 190
SET_ID = "^[a-z0-9-]{1,40}$"
UPLOAD_ID = "^[a-z0-9]{1,16}$"


class _Stored(BaseModel):
    """Written to files of the data folder. A later version may add fields, which earlier ones ignore."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)


class ImportOptions(BaseModel):
    """How a source is read. What is null is detected."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    format: SourceFormat | None = None
    encoding: Encoding | None = None
    separator: Annotated[str, Field(min_length=1, max_length=1, pattern='^[^"\r\n]$')] | None = None
    """One character between the columns of a CSV file."""


class ImportPayload(BaseModel):
    """The payload of an `import_data` job."""

    model_config = ConfigDict(extra="forbid")

    upload_id: str


class ImportResult(BaseModel):
    """The result of an `import_data` job."""

    model_config = ConfigDict(extra="forbid")

    set_id: str
    version: int


class Upload(_Stored):
    """A received file that waits for its import. It is deleted when the import succeeds."""

    id: str
    name: str
    """The file's name on the user's computer, for display only."""
    size_bytes: int
    sha256: str
    created_at: float
    set_id: str
    """The data set that gets a new version."""
    folder: str | None = None
    """The folder in datasets/ whose files are imported; null for a file that was received."""
    is_new_set: bool = True
    options: ImportOptions = ImportOptions()
    job_id: str | None = None
    error: StoredError | None = None
    """Why its last import failed."""


class RejectedRow(_Stored):
    line: int
    """Line of the source, or number of the element in a JSON list, from 1."""
    reason: str
    text: str
    """The beginning of the row."""


class LengthHistogram(_Stored):
    """Number of texts by length in characters: `counts[i]` have from `edges[i]` to below `edges[i + 1]`."""

    edges: list[int]
    counts: list[int]
    longest: int
    mean: float


class ColumnProfile(_Stored):
    name: str
    stored: str
    """Its name in the Parquet file, where the names of the source could clash."""
    kind: ValueKind
    missing: int
    distinct: int
    """Number of different values, with an error of a few percent above four thousand."""
    values: list[tuple[str, int]]
    """The most frequent values with their number of rows; empty if there are more than a thousand."""
    lengths: LengthHistogram | None
    """Null if the column is not text."""


class StoredLeftOut(_Stored):
    reason: str
    rows: int
    first_lines: list[int]


class Origin(_Stored):
    """Where a data set that was not uploaded comes from."""

    hub_id: str
    commit: str
    requested: str
    """The branch, tag or commit that was asked for."""
    subset: str
    license: str | None


class SetProfile(_Stored):
    """Everything that is known about one version of a data set, computed when it was imported."""

    format_version: int = 1
    name: str
    """Of the file that was uploaded first, for display only."""
    created_at: float
    rows: int
    columns: list[ColumnProfile]
    text_columns: list[str]
    target_column: str | None
    classes: list[tuple[str, int]]
    """The largest classes of the default target column."""
    n_classes: int
    left_out: list[StoredLeftOut]
    duplicates: int
    """Rows that are equal to an earlier one in every column."""
    rejected_rows: int
    rejected: list[RejectedRow]
    """The first of them."""
    source_format: SourceFormat
    source_bytes: int
    source_sha256: str
    separator: str | None
    encoding: Encoding | None
    options: ImportOptions
    rows_bytes: int
    """Size of the Parquet file."""
    rows_sha256: str
    origin: Origin | None = None
    """Null for an upload."""
