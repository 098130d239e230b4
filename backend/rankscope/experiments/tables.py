"""The table for a paper: methods x tasks and budgets with mean and standard deviation, as CSV, Markdown or LaTeX."""

import csv
import io
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rankscope.contract.experiments.answer import Answer, Cell
from rankscope.contract.experiments.design import Design, ExperimentMetric
from rankscope.table_text import TableFormat, csv_text, latex_text, markdown_row, markdown_text

_COLLAPSED = "At least one trial collapsed: it always predicts one class, or it diverged."


class Column(NamedTuple):
    task: str
    budget: float


class PaperTable(NamedTuple):
    metric: ExperimentMetric
    columns: list[Column]
    rows: list[str]
    """Variants in the order of the design."""
    cells: Mapping[tuple[str, Column], Cell]
    has_tasks: bool
    """Whether there are several tasks, so that columns name theirs."""


def paper_table(design: Design, answer: Answer) -> PaperTable:
    cells = {(cell.variant, Column(cell.task, cell.budget)): cell for cell in answer.cells}
    columns = [
        Column(task.name, budget)
        for task in design.tasks
        for budget in design.budgets
        if any(column == (task.name, budget) for _, column in cells)
    ]
    rows = [variant.name for variant in design.variants if any(name == variant.name for name, _ in cells)]
    return PaperTable(design.metric, columns, rows, cells, len(design.tasks) > 1)


def as_text(table: PaperTable, form: TableFormat) -> str:
    forms: dict[TableFormat, Callable[[PaperTable], str]] = {"csv": _csv, "markdown": _markdown, "latex": _latex}
    return forms[form](table)


def _csv(table: PaperTable) -> str:
    """One row per cell, with every number in full."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [
        "n",
        "mean",
        "sd",
        "median",
        "collapsed",
        "mean_without_collapsed",
        "kept_parameters",
        "mean_rank",
        "is_winner",
    ]
    writer.writerow(["variant", "task", "budget", "metric", *names])
    for row in table.rows:
        for column in table.columns:
            cell = table.cells.get((row, column))
            if cell is not None:
                numbers = cell.model_dump(include={*names}) | {"collapsed": _collapsed(cell)}
                values = ["" if numbers[name] is None else numbers[name] for name in names]
                writer.writerow([csv_text(row), csv_text(column.task), column.budget, table.metric.name, *values])
    return out.getvalue()


def _markdown(table: PaperTable) -> str:
    head = [markdown_text(_metric(table)), *(markdown_text(_title(table, column)) for column in table.columns)]
    lines = [markdown_row(head), markdown_row(["---", *("---:" for _ in table.columns)])]
    for row in table.rows:
        cells = [table.cells.get((row, column)) for column in table.columns]
        lines.append(
            markdown_row([markdown_text(row), *(_short(table.metric, cell, "±", "†", "**", "**") for cell in cells)])
        )
    note = ["", f"† {_COLLAPSED}"] if _has_collapsed(table) else []
    return "\n".join([*lines, *note]) + "\n"


def _latex(table: PaperTable) -> str:
    """Needs the package booktabs."""

    lines = [f"\\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule"]
    if table.has_tasks:
        tasks = list(dict.fromkeys(column.task for column in table.columns))
        widths = [sum(column.task == task for column in table.columns) for task in tasks]
        spans = [f"\\multicolumn{{{n}}}{{c}}{{{latex_text(task)}}}" for task, n in zip(tasks, widths, strict=True)]
        lines.append(f" & {' & '.join(spans)} \\\\")
        ends = [1 + sum(widths[: place + 1]) for place in range(len(tasks))]
        rules = [f"\\cmidrule(lr){{{end - n + 1}-{end}}}" for end, n in zip(ends, widths, strict=True)]
        lines.append(" ".join(rules))
    ranks = " & ".join(f"rank {column.budget:g}" for column in table.columns)
    lines.append(f"{latex_text(_metric(table))} & {ranks} \\\\")
    lines.append(r"\midrule")
    for row in table.rows:
        cells = [table.cells.get((row, column)) for column in table.columns]
        shown = [_short(table.metric, cell, r"$\pm$", r"$^\dagger$", r"\textbf{", "}") for cell in cells]
        lines.append(f"{latex_text(row)} & {' & '.join(shown)} \\\\")
    lines.append(r"\bottomrule")
    if _has_collapsed(table):
        lines.append(f"\\multicolumn{{{len(table.columns) + 1}}}{{l}}{{\\footnotesize $^\\dagger$ {_COLLAPSED}}} \\\\")
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def _metric(table: PaperTable) -> str:
    return f"{table.metric.title}, %" if table.metric.in_points else table.metric.title


def _collapsed(cell: Cell) -> int:
    return sum(one.collapse is not None for one in cell.values)


def _has_collapsed(table: PaperTable) -> bool:
    return any(_collapsed(cell) for cell in table.cells.values())


def _title(table: PaperTable, column: Column) -> str:
    return f"{column.task}, rank {column.budget:g}" if table.has_tasks else f"rank {column.budget:g}"


def _short(metric: ExperimentMetric, cell: Cell | None, plus_minus: str, mark: str, bold: str, end: str) -> str:
    """Mean and standard deviation, shares in points; the winner in bold; marked if a trial collapsed."""
    if cell is None or (cell.mean is None and not _collapsed(cell)):
        return ""
    if cell.mean is None:
        return f"–{mark}"
    factor, digits = (100, 2) if metric.in_points else (1, 4)
    text = f"{cell.mean * factor:.{digits}f}"
    if cell.sd is not None:
        text += f" {plus_minus} {cell.sd * factor:.{digits}f}"
    text += mark if _collapsed(cell) else ""
    return f"{bold}{text}{end}" if cell.is_winner else text
