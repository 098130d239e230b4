"""Results of a sweep as a table: all points, or the best point for each combination of two or three parameters."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from pydantic import JsonValue

from rankscope.contract.sweeps.design import SweepDesign, SweepMetric, SweepTrialStatus
from rankscope.search.board import Standing
from rankscope.table_text import TableFormat, csv_text, latex_text, markdown_row, markdown_text

STATISTICS = ("n", "mean", "sd", "median", "min", "max")


class SweepTable(NamedTuple):
    head: list[tuple[str, str]]
    """For each column: the title shared with its neighbours (mostly empty), and its own title."""
    rows: list[list[str]]


def sweep_table(
    design: SweepDesign, standings: Sequence[Standing], form: TableFormat, rows: str | None, columns: Sequence[str]
) -> str:
    """Returns the table as text. `standings`: in the order of the leaderboard. `rows`, `columns`: parameters of a matrix."""
    ranked = [one for one in standings if one.mean is not None and one.status != SweepTrialStatus.pruned]
    if rows is not None:
        ranked = _best_of_each(ranked, (rows, *columns))
    if form == "csv":
        return _csv(design, ranked)
    table = _points(design, ranked) if rows is None else _matrix(design, ranked, rows, columns)
    return _markdown(table) if form == "markdown" else _latex(table)


def _best_of_each(ranked: Sequence[Standing], names: Sequence[str]) -> list[Standing]:
    best: dict[tuple[str, ...], Standing] = {}
    for one in ranked:
        best.setdefault(tuple(_text(one.point.values.get(name)) for name in names), one)
    return list(best.values())


def _csv(design: SweepDesign, ranked: Sequence[Standing]) -> str:
    """One row per point, with every number in full."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["point", *design.parameters, "metric", *STATISTICS])
    for one in ranked:
        values = [_csv_value(one.point.values.get(name)) for name in design.parameters]
        numbers = ["" if (value := getattr(one, name)) is None else value for name in STATISTICS]
        writer.writerow([one.point.number, *values, design.metric.name, *numbers])
    return out.getvalue()


def _points(design: SweepDesign, ranked: Sequence[Standing]) -> SweepTable:
    titles = [*map(_label, design.parameters), "n", design.metric.title, "median", "min", "max"]
    rows = [
        [
            *(_text(one.point.values.get(name)) for name in design.parameters),
            str(one.n),
            _short(design.metric, one),
            *(_number(design.metric, value) for value in (one.median, one.min, one.max)),
        ]
        for one in ranked
    ]
    return SweepTable([("", title) for title in titles], rows)


def _matrix(design: SweepDesign, ranked: Sequence[Standing], rows: str, columns: Sequence[str]) -> SweepTable:
    def key(one: Standing, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(_text(one.point.values.get(name)) for name in names)

    def order(name: str) -> Callable[[str], tuple[float, str]]:
        listed = [_text(value) for value in design.parameters[name].values or []]
        return lambda text: (listed.index(text) if text in listed else _as_number(text), text)

    down = sorted({key(one, [rows])[0] for one in ranked}, key=order(rows))
    orders = [order(name) for name in columns]
    across = sorted(
        {key(one, columns) for one in ranked},
        key=lambda texts: [each(text) for each, text in zip(orders, texts, strict=True)],
    )
    cells = {(key(one, [rows])[0], key(one, columns)): one for one in ranked}
    titles = [
        [_value_title(design, name, text) for name, text in zip(columns, texts, strict=True)] or [design.metric.title]
        for texts in across
    ]
    return SweepTable(
        [("", _label(rows)), *((", ".join(title[:-1]), title[-1]) for title in titles)],
        [
            [row, *(_short(design.metric, cells[row, column]) if (row, column) in cells else "" for column in across)]
            for row in down
        ],
    )


def _value_title(design: SweepDesign, name: str, text: str) -> str:
    """A number needs its parameter's name; a text, such as a method, speaks for itself."""
    values = design.parameters[name].values or [0]
    return text if all(isinstance(one, str) for one in values) else f"{_label(name)} {text}"


def _label(name: str) -> str:
    """`training.learning_rate` -> "learning rate", `method.name` -> "method"."""
    *parents, own = name.split(".")
    return (parents[-1] if parents and own in ("name", "id") else own).replace("_", " ")


def _markdown(table: SweepTable) -> str:
    titles = [", ".join(filter(None, column)) for column in table.head]
    lines = [markdown_row(map(markdown_text, titles)), markdown_row("---" for _ in titles)]
    return "\n".join([*lines, *(markdown_row(map(markdown_text, row)) for row in table.rows)]) + "\n"


def _latex(table: SweepTable) -> str:
    """Needs the package booktabs."""

    def line(cells: Sequence[str]) -> str:
        shown = [latex_text(cell).replace("±", r"$\pm$") for cell in cells]
        return f"{' & '.join(shown)} \\\\"

    lines = [f"\\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}", r"\toprule"]
    if any(shared for shared, _ in table.head):
        groups = [(shared, len(list(own))) for shared, own in groupby(shared for shared, _ in table.head)]
        spans = [f"\\multicolumn{{{n}}}{{c}}{{{latex_text(shared)}}}" if shared else "" for shared, n in groups]
        lines.append(f"{' & '.join(spans)} \\\\")
    lines += [line([own for _, own in table.head]), r"\midrule", *map(line, table.rows)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _short(metric: SweepMetric, one: Standing) -> str:
    return _number(metric, one.mean) + ("" if one.sd is None else f" ± {_number(metric, one.sd)}")


def _number(metric: SweepMetric, value: float | None) -> str:
    """Shares in points."""
    if value is None:
        return ""
    return f"{value * 100:.2f}" if metric.in_points else f"{value:.4f}"


def _text(value: JsonValue) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _csv_value(value: JsonValue) -> str | float:
    return value if isinstance(value, int | float) else csv_text(_text(value))


def _as_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
