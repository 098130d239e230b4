"""Computes the profile of imported rows from facts collected during writing, and from their Parquet file."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import duckdb

from rankscope.catalog.data.columns import Columns, usual_columns
from rankscope.catalog.data.profiles import CLASSES_KEPT, length_histogram, no_text
from rankscope.catalog.imported.parquet import connection, open_rows, quoted
from rankscope.contract.imports import ColumnProfile, LengthHistogram, StoredLeftOut, ValueKind
from rankscope.contract.tasks.classes import merge_spellings, no_label
from rankscope_worker.child.importing.parquet_file import ColumnFacts, Lengths, RowFacts
from rankscope_worker.child.importing.source import Report
from rankscope_worker.child.importing.write_rows import MEMORY, threads

_SAMPLE = 1000
_FEW = 1000
_VALUES_KEPT = 50
_COLUMNS_WITH_VALUES = 100
_MAX_COUNTED = 100_000
_LONGEST_VALUE = 200


@dataclass(frozen=True)
class Profiled:
    rows: int
    columns: list[ColumnProfile]
    chosen: Columns
    classes: list[tuple[str, int]]
    n_classes: int
    left_out: list[StoredLeftOut]
    duplicates: int


def profile_rows(path: Path, names: list[str], kinds: list[ValueKind], facts: RowFacts, report: Report) -> Profiled:
    with connection(path.parent, memory=MEMORY, threads=threads()) as database:
        rows_of = f"read_parquet({quoted(str(path))}, file_row_number = true)"
        columns = []
        for place, (name, kind, found) in enumerate(zip(names, kinds, facts.columns, strict=True)):
            has_values = place < _COLUMNS_WITH_VALUES
            columns.append(
                _column(database, rows_of, facts.rows, name, f"c{place}", kind, found, has_values=has_values)
            )
            report(0.75 + 0.15 * (place + 1) / len(names))
        with open_rows(path, columns) as table:
            sample = [record for _, record in islice(table.records, _SAMPLE)]
            chosen = usual_columns(table, sample)
        by_name = {each.name: each for each in columns}
        label = by_name.get(chosen.label or "")
        classes, n_classes = _classes(database, rows_of, label)
        texts = [by_name[name] for name in chosen.text]
        left_out = _left_out(database, rows_of, texts, label)
    return Profiled(facts.rows, columns, chosen, classes, n_classes, left_out, facts.duplicates)


def _one(database: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    found = database.execute(query).fetchone()
    assert found is not None
    return found


def _column(
    database: duckdb.DuckDBPyConnection,
    rows_of: str,
    rows: int,
    name: str,
    column: str,
    kind: ValueKind,
    facts: ColumnFacts,
    *,
    has_values: bool,
) -> ColumnProfile:
    present, distinct = rows - facts.missing, facts.distinct.count
    lengths = _lengths(facts.lengths) if kind == "text" and present else None
    values: list[tuple[str, int]] = []
    if distinct <= _FEW and has_values:
        text = f"CAST({column} AS VARCHAR)"
        found = database.execute(
            f"SELECT left({text}, {_LONGEST_VALUE}), count(*), {text} FROM {rows_of} WHERE {column} IS NOT NULL "
            f"GROUP BY 1, 3 ORDER BY 2 DESC, 1 LIMIT {_VALUES_KEPT}"
        ).fetchall()
        values = [(_shown(value, kind), count) for value, count, _ in found]
    if kind == "text" and present and _are_numbers(database, rows_of, column):
        kind = "number"
    return ColumnProfile(
        name=name,
        stored=column,
        kind=kind,
        missing=facts.missing,
        distinct=min(distinct, present),
        values=values,
        lengths=None if kind == "number" else lengths,
    )


def _are_numbers(database: duckdb.DuckDBPyConnection, rows_of: str, column: str) -> bool:
    """Whether every value is a number. A sample decides most columns."""
    other = f"SELECT 1 FROM {{rows}} WHERE {column} IS NOT NULL AND TRY_CAST({column} AS DOUBLE) IS NULL LIMIT 1"
    sample = f"(SELECT {column} FROM {rows_of} LIMIT {_SAMPLE})"
    return all(database.execute(other.format(rows=rows)).fetchone() is None for rows in (sample, rows_of))


def _lengths(lengths: Lengths) -> LengthHistogram:
    counts = lengths.counts()
    return length_histogram(counts, max(counts), sum(length * count for length, count in counts.items()))


def _classes(
    database: duckdb.DuckDBPyConnection, rows_of: str, label: ColumnProfile | None
) -> tuple[list[tuple[str, int]], int]:
    """Returns the largest classes, and how many there are."""
    if label is None or label.kind == "list or object":
        return [], 0
    if label.distinct > _MAX_COUNTED:
        return [], label.distinct
    name = label.stored
    with_text = database.execute(
        f"SELECT CAST({name} AS VARCHAR), count(*) FROM {rows_of} WHERE {name} IS NOT NULL GROUP BY 1"
    ).fetchall()
    counts = {_shown(value, label.kind)[:_LONGEST_VALUE]: count for value, count in with_text}
    spellings = merge_spellings(counts)
    classes: Counter[str] = Counter()
    for value, count in counts.items():
        classes[spellings[value]] += count
    ranked = sorted(classes.items(), key=lambda pair: (-pair[1], pair[0]))
    return ranked[:CLASSES_KEPT], len(classes)


def _shown(value: str, kind: ValueKind) -> str:
    """Returns a value of a mixed column, which is stored as JSON, without the quotes of a text."""
    return value[1:-1] if kind == "mixed" and value.startswith('"') else value


def _left_out(
    database: duckdb.DuckDBPyConnection, rows_of: str, texts: list[ColumnProfile], label: ColumnProfile | None
) -> list[StoredLeftOut]:
    """Returns the rows that are skipped with the default columns, and why."""
    no_texts = " OR ".join(f"{each.stored} IS NULL" for each in texts)
    reasons = [(no_text(tuple(each.name for each in texts)), no_texts)] if texts else []
    if label is not None:
        reasons.append((no_label(label.name), f"{label.stored} IS NULL" + (f" AND NOT ({no_texts})" if texts else "")))
    found: list[StoredLeftOut] = []
    if not any(column.missing for column in (*texts, *([label] if label is not None else []))):
        return found
    for reason, condition in reasons:
        (rows,) = _one(database, f"SELECT count(*) FROM {rows_of} WHERE {condition}")
        if rows:
            first = database.execute(
                f"SELECT file_row_number + 1 FROM {rows_of} WHERE {condition} ORDER BY 1 LIMIT 5"
            ).fetchall()
            found.append(StoredLeftOut(reason=reason, rows=rows, first_lines=[line for (line,) in first]))
    return found
