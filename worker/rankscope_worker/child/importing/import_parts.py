"""Imports several files as one version of a data set. A column says which of its splits a row belongs to."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import duckdb

from rankscope.catalog.data.column_names import check_names
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.imported.folders import ROWS, Folders
from rankscope.catalog.imported.parquet import connection, file_sha256, quoted
from rankscope.contract.imports import (
    STORED_AS_JSON,
    Encoding,
    ImportOptions,
    ImportResult,
    Origin,
    SetProfile,
    SourceFormat,
    ValueKind,
)
from rankscope_worker.child.importing.import_file import write_profile
from rankscope_worker.child.importing.parquet_file import RowFacts, TooManyRows, write_parquet_file
from rankscope_worker.child.importing.profiling import profile_rows
from rankscope_worker.child.importing.rejects import Rejects
from rankscope_worker.child.importing.source import prepare
from rankscope_worker.child.importing.write_rows import MAX_ROWS, MEMORY, Written, threads, write_rows

SPLIT_COLUMNS = ("split", "data_split", "dataset_split")
"""Candidate names of the split column: the first one that the files don't have is used."""
_SHARE_OF_FILES = 0.6


@dataclass(frozen=True)
class Part:
    path: Path
    name: str
    """The file's own name, for messages and to find out its format. Never a path to open."""
    split: str


@dataclass(frozen=True)
class _ReadPart:
    part: Part
    rows: Path
    written: Written
    format: SourceFormat
    encoding: Encoding | None


def import_parts(
    folders: Folders,
    parts: Sequence[Part],
    *,
    set_id: str,
    name: str,
    origin: Origin | None,
    work: Path,
    report: Callable[[float], None],
    options: ImportOptions = ImportOptions(),  # noqa: B008  (never changed)
) -> ImportResult:
    """Imports the files as the next version. `work`: an empty folder for it. Raises BrokenFile, which names the file."""
    scratch = work / "scratch"
    scratch.mkdir()
    read = []
    for number, part in enumerate(parts):
        read.append(_read(part, number, scratch, options))
        report(_SHARE_OF_FILES * (number + 1) / len(parts))
    names, kinds, facts = _write_together(read, work / ROWS, scratch)
    shutil.rmtree(scratch)
    profiled = profile_rows(work / ROWS, names, kinds, facts, lambda _: None)
    rejects = Rejects()
    for each in read:
        for row in each.written.rejects.first:
            rejects.add(row.model_copy(update={"reason": f"{each.part.name}: {row.reason}"}), 0)
        rejects.count += each.written.rejects.count
    encodings, separators = {each.encoding for each in read}, {each.written.separator for each in read}
    profile = SetProfile(
        name=name,
        created_at=time.time(),
        rows=profiled.rows,
        columns=profiled.columns,
        text_columns=list(profiled.chosen.text),
        target_column=profiled.chosen.label,
        classes=profiled.classes,
        n_classes=profiled.n_classes,
        left_out=profiled.left_out,
        duplicates=profiled.duplicates,
        rejected_rows=rejects.count,
        rejected=rejects.first,
        source_format=read[0].format,
        source_bytes=sum(part.path.stat().st_size for part in parts),
        source_sha256=sha256("".join(file_sha256(part.path) for part in parts).encode()).hexdigest(),
        separator=separators.pop() if len(separators) == 1 else None,
        encoding=encodings.pop() if len(encodings) == 1 else None,
        options=options,
        rows_bytes=(work / ROWS).stat().st_size,
        rows_sha256=file_sha256(work / ROWS),
        origin=origin,
    )
    write_profile(work, profile)
    return ImportResult(set_id=set_id, version=folders.publish(work, set_id))


def _read(part: Part, number: int, scratch: Path, options: ImportOptions) -> _ReadPart:
    """Reads a file into a separate Parquet file."""
    own = scratch / f"file-{number}"
    own.mkdir()
    rows = scratch / f"rows-{number}.parquet"
    try:
        prepared = prepare(part.path, part.name, options, own, lambda _: None)
        written = write_rows(prepared, options, rows, own, lambda _: None)
    except BrokenFile as error:
        raise BrokenFile(f"{part.name}: {error.problem}", error.next_step) from error
    shutil.rmtree(own)
    return _ReadPart(part, rows, written, prepared.format, prepared.encoding)


def _write_together(
    read: Sequence[_ReadPart], target: Path, scratch: Path
) -> tuple[list[str], list[ValueKind], RowFacts]:
    """Writes the rows of all files in order, with the columns of all files."""
    found: dict[str, set[ValueKind]] = {}
    for each in read:
        for name, kind in zip(each.written.names, each.written.kinds, strict=True):
            found.setdefault(name, set()).add(kind)
    names, kinds = list(found), [_together(kinds) for kinds in found.values()]
    taken = {name.casefold() for name in names}
    split = next((name for name in SPLIT_COLUMNS if name not in taken), None)
    if len({each.part.split for each in read}) == 1:
        split = None
    queries = [_query(each, names, kinds, with_split=split is not None) for each in read]
    if split is not None:
        names, kinds = [*names, split], [*kinds, "text"]
    check_names(names)
    with connection(target.parent, memory=MEMORY, threads=threads()) as database:
        try:
            facts = write_parquet_file(database, " UNION ALL ".join(queries), len(names), target, scratch, MAX_ROWS)
        except TooManyRows:
            raise BrokenFile(f"Its files have more than {MAX_ROWS:,} rows.", "Use a smaller subset.") from None
        except duckdb.Error as error:
            raise BrokenFile(
                f"Its files can't be combined: {str(error).splitlines()[0][:300]}", "Download and upload one of them."
            ) from error
    return names, kinds, facts


def _together(kinds: set[ValueKind]) -> ValueKind:
    """Returns the kind of a column that has these kinds in different files."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "mixed" if kinds & STORED_AS_JSON else "text"


def _query(each: _ReadPart, names: list[str], kinds: list[ValueKind], *, with_split: bool) -> str:
    own = {name: (f"c{place}", each.written.kinds[place]) for place, name in enumerate(each.written.names)}
    cells = []
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        cell, stored = own.get(name, ("NULL", kind))
        if stored != kind:
            is_json = stored in STORED_AS_JSON
            cell = f"CAST({cell} AS VARCHAR)" if kind == "text" or is_json else f"CAST(to_json({cell}) AS VARCHAR)"
        cells.append(f"{cell} AS c{place}")
    if with_split:
        cells.append(f"{quoted(each.part.split)} AS c{len(names)}")
    return f"SELECT {', '.join(cells)} FROM read_parquet({quoted(str(each.rows))})"
