"""Writes the rows of a source to a Parquet file, with bounded memory. Rows that can't be read are left out and counted."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import duckdb

from rankscope.catalog.data.column_names import check_names
from rankscope.catalog.data.csv_rows import CSV_MISSING, csv_header
from rankscope.catalog.data.files import BrokenFile, opened
from rankscope.catalog.data.lines import Lines
from rankscope.catalog.imported.parquet import connection, quoted
from rankscope.contract.imports import ImportOptions, RejectedRow, ValueKind
from rankscope_worker.child.importing.json_source import write_plain_rows
from rankscope_worker.child.importing.parquet_file import BATCH_ROWS, RowFacts, TooManyRows, write_parquet_file
from rankscope_worker.child.importing.rejects import KEPT, Rejects
from rankscope_worker.child.importing.source import MAX_UNPACKED_BYTES, Report, Source

MEMORY = "800MB"
MAX_ROWS = 100_000_000
_LONGEST_ROW = 32 << 20
_MOST_REJECTED = 100_000
_BLOCK = 4 << 20
_BATCH_BYTES = 64 << 20
_MIXED_LINE_ENDS = "CSV Parser state machine reached an invalid state"
"""DuckDB's message about a file in which some lines end with CR LF and others with LF."""
_SPACES = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)"
_REASONS = {
    "UNQUOTED VALUE": "A quote is not closed, or not written twice inside a quoted text.",
    "INVALID ENCODING": "It has bytes that are not UTF-8, or a NUL character.",
    "LINE SIZE OVER MAXIMUM": f"It is longer than {_LONGEST_ROW >> 20} MB.",
}
_FIELDS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_NUMBERS = re.compile("(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL)")


@dataclass(frozen=True)
class Written:
    names: list[str]
    kinds: list[ValueKind]
    """A CSV file's values are all text."""
    separator: str | None
    rejects: Rejects
    facts: RowFacts


def threads() -> int:
    """Returns DuckDB's number of threads. One core is left for compression, which runs at the same time."""
    return max(1, min(4, (os.cpu_count() or 1) - 1))


def write_rows(source: Source, options: ImportOptions, target: Path, work: Path, report: Report) -> Written:
    """Writes `target`, in which columns are named c0, c1, ... Raises BrokenFile if no row can be read."""
    rejects = Rejects()
    with connection(target.parent, memory=MEMORY, threads=threads(), also=source.path.parent) as database:
        try:
            if source.format == "csv":
                try:
                    written = _write_csv(database, source, options, target, work, rejects)
                except duckdb.Error as error:
                    if _MIXED_LINE_ENDS not in str(error):
                        raise
                    rejects = Rejects()
                    source = _with_one_line_end(source, target.parent / f"{target.stem}.csv")
                    written = _write_csv(database, source, options, target, work, rejects)
                    source.path.unlink()
            elif source.format == "json":
                written = _write_json(database, source, target, work, rejects, report)
            else:
                written = _write_parquet(database, source, target, work, rejects)
        except duckdb.OutOfMemoryException as error:
            raise BrokenFile(
                f"Its rows are too large: importing it takes more than {MEMORY}.", "Split its longest texts."
            ) from error
        except duckdb.Error as error:
            raise BrokenFile(
                f"It can't be read: {_first_line(error, source)}", "Check the format, or export it again."
            ) from error
    return written


def _write_csv(
    database: duckdb.DuckDBPyConnection,
    source: Source,
    options: ImportOptions,
    target: Path,
    work: Path,
    rejects: Rejects,
) -> Written:
    with opened(source.path) as file:
        lines = Lines(file, source.path, "utf-8-sig", newline="", errors="replace")
        head = file.head.decode("utf-8-sig", "replace")
        separator, names, _ = csv_header(lines, head, source.name, options.separator)
        skip = _lines_before_header(head, separator)
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(names)))
    reader = (
        f"read_csv({quoted(str(source.path))}, delim = {quoted(separator)}, quote = '\"', escape = '\"', "
        f"header = true, skip = {skip}, columns = {{{columns}}}, auto_detect = false, null_padding = false, "
        f"store_rejects = true, rejects_limit = {_MOST_REJECTED}, max_line_size = {_LONGEST_ROW}, buffer_size = {_LONGEST_ROW})"
    )
    cells = ", ".join(_csv_cell(f"c{place}") for place in range(len(names)))
    # A line without text is not a row. With several columns, DuckDB skips it.
    only = " WHERE c0 IS NOT NULL" if len(names) == 1 else ""
    facts = _write(database, f"SELECT * FROM (SELECT {cells} FROM {reader}){only}", len(names), target, work)
    _read_rejects(database, source.path, rejects)
    _check(facts, rejects)
    return Written(names, ["text"] * len(names), separator, rejects, facts)


def _csv_cell(name: str) -> str:
    """Returns the expression of a cell without the spaces around it; null if it is one of the forms of a missing value.

    Trimming is slow, and few cells need it. All spaces and line breaks sort up to ' ', and '!' is the next character.
    The length is compared first because that is faster than comparing with the missing forms.
    """
    missing = ", ".join(map(quoted, sorted(CSV_MISSING)))
    longest = max(len(form.encode()) for form in CSV_MISSING)
    trimmed = f"trim({name}, {_SPACES})"
    return (
        f"CASE WHEN {name} < '!' OR {name}[-1] <= ' ' THEN CASE WHEN {trimmed} IN ({missing}) THEN NULL ELSE {trimmed} END "
        f"WHEN strlen({name}) <= {longest} AND {name} IN ({missing}) THEN NULL ELSE {name} END AS {name}"
    )


def _lines_before_header(head: str, separator: str) -> int:
    """Returns the number of lines that name the separator, or are empty."""
    lines = head.split("\n")
    count = 1 if lines[0].lstrip('"').startswith("sep=") else 0
    while count < len(lines) - 1 and not lines[count].strip(f' \t\r"{separator}'):
        count += 1
    return count


def _read_rejects(database: duckdb.DuckDBPyConnection, source: Path, rejects: Rejects) -> None:
    # A row may have several errors; the first one counts.
    first = (
        "SELECT *, row_number() OVER (PARTITION BY line_byte_position ORDER BY column_idx) AS nth FROM reject_errors"
    )
    found = database.execute(
        f"SELECT line_byte_position, error_type, error_message, csv_line FROM ({first}) WHERE nth = 1 ORDER BY 1 LIMIT {KEPT}"
    ).fetchall()
    lines = _lines_at(source, [position for position, *_ in found])
    for line, (_, kind, message, text) in zip(lines, found, strict=True):
        rejects.add(RejectedRow(line=line, reason=_reason(kind, message, text or ""), text=(text or "").strip()[:200]))
    counted = database.execute("SELECT count(DISTINCT line_byte_position) FROM reject_errors").fetchone()
    rejects.count = int(counted[0]) if counted else 0


def _lines_at(path: Path, positions: list[int]) -> list[int]:
    """Returns the line of each byte, counted from 1; `positions` ascend. DuckDB's own numbers count a row of several lines once."""
    found: list[int] = []
    line, start = 1, 0
    with path.open("rb") as file:
        while len(found) < len(positions) and (block := file.read(_BLOCK)):
            before = 0
            while len(found) < len(positions) and positions[len(found)] - 1 < start + len(block):
                at = max(0, positions[len(found)] - 1 - start)
                line += block.count(b"\n", before, at)
                before = at
                found.append(line)
            line += block.count(b"\n", before)
            start += len(block)
    return found + [line] * (len(positions) - len(found))


def _reason(kind: str, message: str, text: str) -> str:
    if fields := _FIELDS.search(message):
        reason = f"It has {fields[2]} field{'s' * (fields[2] != '1')}, but the header has {fields[1]}."
    else:
        reason = _REASONS.get(kind, message.splitlines()[0][:200])
    lines = text.strip().count("\n") + 1
    # An unclosed quote swallows everything up to the next quote, which can be most of a file.
    return reason if lines == 1 else f"{reason} {lines:,} lines up to the next quote are left out with it."


def _write_json(
    database: duckdb.DuckDBPyConnection, source: Source, target: Path, work: Path, rejects: Rejects, report: Report
) -> Written:
    plain = work / "rows.jsonl"
    names, kinds = write_plain_rows(source.path, plain, rejects, report)
    if not names:
        _refuse_nothing(rejects, "None of its rows can be read." if rejects.count else "Its rows are empty objects.")
    check_names(names)
    types = [kind.sql for kind in kinds]
    columns = ", ".join(f"'c{place}': '{kind}'" for place, kind in enumerate(types))
    reader = (
        f"read_json({quoted(str(plain))}, format = 'newline_delimited', records = true, auto_detect = false, "
        f"columns = {{{columns}}}, maximum_object_size = {2 * _LONGEST_ROW})"
    )
    cells = ", ".join(_cell(f"c{place}", kind) for place, kind in enumerate(types))
    facts = _write(database, f"SELECT {cells} FROM {reader}", len(names), target, work)
    _check(facts, rejects)
    return Written(names, [kind.shown for kind in kinds], None, rejects, facts)


def _write_parquet(
    database: duckdb.DuckDBPyConnection, source: Source, target: Path, work: Path, rejects: Rejects
) -> Written:
    reader = f"read_parquet({quoted(str(source.path))})"
    described: list[tuple[Any, ...]] = database.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()
    # Equal values take almost no space, so a small file can have any number of rows.
    (n_rows,) = database.execute(
        f"SELECT sum(num_rows) FROM parquet_file_metadata({quoted(str(source.path))})"
    ).fetchall()
    if (n_rows[0] or 0) > MAX_ROWS:
        _refuse_many_rows()
    (size,) = database.execute(
        f"SELECT sum(total_uncompressed_size) FROM parquet_metadata({quoted(str(source.path))})"
    ).fetchall()
    if (size[0] or 0) > MAX_UNPACKED_BYTES:
        raise BrokenFile(
            f"Its columns have {size[0] / 1e9:.1f} GB when they are unpacked; at most "
            f"{MAX_UNPACKED_BYTES / 1e9:.0f} GB are possible.",
            "Split it into smaller files.",
        )
    # Bytes, such as those of images, can't be a text or a target.
    used = [(name, kind) for name, kind, *_ in described if "BLOB" not in kind and kind != "BIT"]
    if not used:
        raise BrokenFile("It has no column with texts or numbers.", "Use another file.")
    check_names([name for name, _ in used])
    cells = ", ".join(
        _cell('"' + name.replace('"', '""') + '"', kind, f"c{place}") for place, (name, kind) in enumerate(used)
    )
    longest = _check_texts(database, f"SELECT {cells} FROM {reader}", [_kind(kind) for _, kind in used])
    batch_rows = max(1, min(BATCH_ROWS, _BATCH_BYTES // max(1, longest)))
    facts = _write(database, f"SELECT {cells} FROM {reader}", len(used), target, work, batch_rows)
    _check(facts, rejects)
    return Written([name for name, _ in used], [_kind(kind) for _, kind in used], None, rejects, facts)


def _check_texts(database: duckdb.DuckDBPyConnection, query: str, kinds: list[ValueKind]) -> int:
    """Returns the bytes of the longest row's texts. Raises BrokenFile if one text, or all texts together, are too long.

    A repeated text is stored once, so a file of a few kB can have rows of any size.
    """
    sizes = [f"coalesce(strlen(c{place}), 0)" for place, kind in enumerate(kinds) if kind in ("text", "list or object")]
    if not sizes:
        return 0
    row = f"SELECT {' + '.join(sizes)} AS bytes FROM ({query})"
    ((total, longest),) = database.execute(
        f"SELECT coalesce(sum(bytes), 0), coalesce(max(bytes), 0) FROM ({row})"
    ).fetchall()
    if total > MAX_UNPACKED_BYTES:
        raise BrokenFile(
            f"Its texts have {total / 1e9:.1f} GB when they are unpacked; at most {MAX_UNPACKED_BYTES / 1e9:.0f} GB are "
            "possible.",
            "Split it into smaller files.",
        )
    if longest > _LONGEST_ROW:
        raise BrokenFile(
            f"It has a row with {longest / 1e6:,.0f} MB; at most {_LONGEST_ROW >> 20} MB are possible.",
            "Split its longest texts.",
        )
    return int(longest)


def _kind(sql_type: str) -> ValueKind:
    if _is_nested(sql_type):
        return "list or object"
    if sql_type == "BOOLEAN":
        return "true or false"
    return "number" if _NUMBERS.match(sql_type) else "text"


def _is_nested(sql_type: str) -> bool:
    return sql_type == "JSON" or sql_type.endswith("]") or sql_type.startswith(("STRUCT", "MAP", "UNION"))


def _cell(name: str, sql_type: str, to: str | None = None) -> str:
    """Returns the expression of a cell: lists and objects as JSON, dates as text, a blank text as null."""
    to = to or name
    if _is_nested(sql_type):
        return f"CAST(to_json({name}) AS VARCHAR) AS {to}"
    if sql_type in ("FLOAT", "DOUBLE") or sql_type.startswith(("DECIMAL", "HUGEINT", "UHUGEINT")):
        number = f"CAST({name} AS DOUBLE)"
        return f"CASE WHEN isnan({number}) THEN NULL ELSE {number} END AS {to}"
    if sql_type == "BOOLEAN" or _NUMBERS.match(sql_type):
        return f"{name} AS {to}"
    text = f"CAST({name} AS VARCHAR)"
    return f"CASE WHEN regexp_full_match({text}, '\\s*') THEN NULL ELSE {text} END AS {to}"


def _write(
    database: duckdb.DuckDBPyConnection,
    query: str,
    n_columns: int,
    target: Path,
    work: Path,
    batch_rows: int = BATCH_ROWS,
) -> RowFacts:
    try:
        return write_parquet_file(database, query, n_columns, target, work, MAX_ROWS, batch_rows)
    except TooManyRows:
        _refuse_many_rows()


def _check(facts: RowFacts, rejects: Rejects) -> None:
    if rejects.count >= _MOST_REJECTED:
        _refuse_nothing(rejects, f"{rejects.count:,} rows or more can't be read.")
    if not facts.rows:
        _refuse_nothing(
            rejects, "It has a header but no rows." if not rejects.count else "None of its rows can be read."
        )


def _refuse_many_rows() -> NoReturn:
    raise BrokenFile(f"It has more than {MAX_ROWS:,} rows.", "Split it into smaller files.")


def _refuse_nothing(rejects: Rejects, problem: str) -> NoReturn:
    if rejects.first:
        first = rejects.first[0]
        raise BrokenFile(
            f"{problem} Line {first.line}: {first.reason}", "Check format, separator and encoding, or fix the file."
        )
    raise BrokenFile(problem, "Add rows, then upload it again.")


def _first_line(error: Exception, source: Source) -> str:
    """Returns the beginning of DuckDB's message, without the folder of the file."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.replace(str(source.path), source.name.name).split(": ", 1)[-1][:300]


def _with_one_line_end(source: Source, target: Path) -> Source:
    """Returns a copy in which every line ends with a line feed."""
    with source.path.open("rb") as file, target.open("wb") as copy:
        rest = b""
        while block := file.read(_BLOCK):
            block = rest + block
            rest = b"\r" if block.endswith(b"\r") else b""
            copy.write(block[: len(block) - len(rest)].replace(b"\r\n", b"\n"))
        copy.write(rest)
    return replace(source, path=target)
