"""Imported data sets: their profile, versions and rows. `uploads.py` receives files, `routes/catalog.py` lists all."""

import json
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query

from rankscope.api.deps import CatalogDep, EngineDep
from rankscope.api.guard.access import needs
from rankscope.api.shapes.datasets import ColumnLengths, DatasetDetail, RowPage, RowShape, VersionShape, dataset_shape
from rankscope.catalog import Catalog, DatasetEntry
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.imported.folders import IMPORTED, ROWS, full_id, parse_id
from rankscope.catalog.imported.parquet import count_rows, read_page
from rankscope.contract.errors import BadInput, FieldProblem, InUse, NotFound, RankScopeError, UnknownName
from rankscope.contract.imports import ColumnProfile, SetProfile
from rankscope.store.database.engine import reading
from rankscope.store.runs import runs_with_data

router = APIRouter(prefix="/datasets", tags=["datasets"])

DatasetId = Annotated[str, Path(min_length=1, max_length=200, examples=["imported:reviews-k7wq"])]
_LONGEST_CELL = 500


@router.get("/{dataset_id}")
@needs("read")
def get_dataset(dataset_id: DatasetId, catalog: CatalogDep, engine: EngineDep) -> DatasetDetail:
    """A data set with its profile and versions. Without a version in the id, it is the newest one."""
    parsed = parse_id(dataset_id)
    if parsed is None:
        file = _find(catalog, dataset_id)
        lengths = [ColumnLengths(column=column, lengths=found) for column, found in file.lengths]
        return DatasetDetail(dataset=dataset_shape(file), text_lengths=lengths, profile=None, versions=[])
    set_id, version = _resolve(catalog, dataset_id)
    entries = {entry.id: entry for entry in catalog.imported.versions(set_id)}
    with reading(engine) as session:
        runs = runs_with_data(session, list(entries))
    profiles = {number: _profile(catalog, set_id, number) for number in catalog.imported.folders.versions(set_id)}
    chosen = entries.get(full_id(set_id, version))
    if chosen is None:
        raise _unknown(dataset_id)
    return DatasetDetail(
        dataset=dataset_shape(chosen),
        text_lengths=[],
        profile=profiles.get(version),
        versions=[
            VersionShape(
                id=full_id(set_id, number),
                version=number,
                created_at=profile.created_at if profile else None,
                rows=profile.rows if profile else None,
                size_bytes=profile.rows_bytes + profile.source_bytes if profile else 0,
                problem=entry.problem,
                runs=len(runs.get(entry.id, [])),
            )
            for number, profile in profiles.items()
            if (entry := entries.get(full_id(set_id, number))) is not None
        ],
    )


@router.get("/{dataset_id}/rows")
@needs("read")
def list_rows(
    dataset_id: DatasetId,
    catalog: CatalogDep,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000, description="Rows to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of rows.")] = 50,
    column: Annotated[str | None, Query(max_length=1000, description="Column to filter by.")] = None,
    value: Annotated[
        str | None,
        Query(max_length=10_000, description="Only rows with this value in `column`. Omitted: a missing one."),
    ] = None,
) -> RowPage:
    """A page of an imported data set's rows."""
    if parse_id(dataset_id) is None:
        _find(catalog, dataset_id)
        problem = FieldProblem(
            "dataset_id",
            dataset_id,
            f"is {dataset_id!r}, which was not imported",
            f"Use the preview, or import the file. Ids of imported data sets begin with {IMPORTED}",
        )
        raise BadInput([problem])
    set_id, version = _resolve(catalog, dataset_id)
    try:
        profile = catalog.imported.profile(set_id, version)
        where = None if column is None else (_column(profile, column), value)
        path = catalog.imported.folders.version(set_id, version) / ROWS
        total = profile.rows if where is None else _count(path, where)
        found = read_page(path, profile.columns, offset=offset, limit=limit, where=where) if offset < total else []
    except BrokenFile as error:
        raise _broken(dataset_id, error) from error
    rows = [RowShape(number=number, cells=[_shown(cell) for cell in record.values()]) for number, record in found]
    return RowPage(columns=[each.name for each in profile.columns], rows=rows, offset=offset, total=total)


@router.delete("/{dataset_id}", status_code=204)
@needs("admin")
def delete_dataset(
    dataset_id: DatasetId,
    catalog: CatalogDep,
    engine: EngineDep,
    force: Annotated[bool, Query(description="Delete it although runs were launched with it.")] = False,
) -> None:
    """Deletes a version of an imported data set, or all of them if the id has no version."""
    parsed = parse_id(dataset_id)
    if parsed is None:
        entry = _find(catalog, dataset_id)
        problem = FieldProblem(
            "dataset_id", entry.id, "is a file of the installation", "Remove the file from the datasets folder."
        )
        raise BadInput([problem])
    set_id, _ = _resolve(catalog, dataset_id)
    versions = [parsed[1]] if parsed[1] else catalog.imported.folders.versions(set_id)
    with reading(engine) as session:
        runs = runs_with_data(session, [full_id(set_id, version) for version in versions])
    used = sorted({run for ids in runs.values() for run in ids})
    if used and not force:
        more = f" and {len(used) - 5} more" if len(used) > 5 else ""
        raise InUse(
            f"{dataset_id} was used by {len(used)} run{'s' * (len(used) != 1)}: {', '.join(used[:5])}{more}. "
            "Without it, they can't be resumed or forked.",
            "Delete it with force=true if you don't need that.",
        )
    for version in versions:
        try:
            catalog.imported.delete(set_id, version)
        except FileNotFoundError:
            continue  # deleted by another request


def _find(catalog: Catalog, dataset_id: str) -> DatasetEntry:
    try:
        return catalog.dataset(dataset_id, field="dataset_id")
    except UnknownName as error:
        raise _unknown(dataset_id, error.next_step) from error


def _resolve(catalog: Catalog, dataset_id: str) -> tuple[str, int]:
    try:
        return catalog.imported.resolve(dataset_id, "dataset_id")
    except UnknownName as error:
        raise _unknown(dataset_id, error.next_step) from error


def _unknown(dataset_id: str, next_step: str = "Reload the list.") -> NotFound:
    return NotFound(f"There is no data set {dataset_id!r}.", next_step)


def _profile(catalog: Catalog, set_id: str, version: int) -> SetProfile | None:
    try:
        return catalog.imported.profile(set_id, version)
    except BrokenFile:
        return None


def _broken(dataset_id: str, error: BrokenFile) -> RankScopeError:
    return BadInput([FieldProblem("dataset_id", dataset_id, f"can't be read. {error.problem}", error.next_step)])


def _column(profile: SetProfile, name: str) -> ColumnProfile:
    for column in profile.columns:
        if column.name == name:
            return column
    names = ", ".join(each.name[:100] for each in profile.columns[:30])
    raise BadInput([FieldProblem("column", name, f"is {name!r}, which is not a column", f"Use one of: {names}.")])


def _count(path: FilePath, where: tuple[ColumnProfile, str | None]) -> int:
    column, value = where
    if value is None:
        return column.missing
    known = dict(column.values)
    return known[value] if value in known and len(value) < 200 else count_rows(path, column, value)


def _shown(cell: object) -> str | None:
    text = cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
    return text if text is None or len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"
