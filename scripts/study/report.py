"""The tables of docs/study.md, from the stored answers: no number of them is typed in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.study.launching import State

BEGIN, END = "<!-- written by `make study-report` -->\n", "<!-- end of what `make study-report` writes -->\n"
Json = dict[str, Any]


def write(page: Path, folder: Path) -> None:
    """Replaces what is between the marks in `page` by the parts in `folder`."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no line {(END if begin else BEGIN).strip()!r}: add both where the tables belong.")
    page.write_text(f"{before}{BEGIN}\n{tables(folder)}\n{END}{after}", encoding="utf-8")


def tables(folder: Path) -> str:
    found = sorted(folder.glob("*.json"))
    return "\n\n".join("\n".join(_part(file)).strip() for file in found) + "\n" if found else "Nothing yet.\n"


def overview(states: list[State]) -> str:
    """One line for each part, and how long the rest takes."""
    rows = [("part", "state", "runs", "remaining")]
    for one in states:
        failed = f" ({one.failed} failed)" if one.failed else ""
        runs = f"{one.ended} of {one.expected}{failed}" if one.expected else ""
        rows.append((one.part.name, one.status, runs, _duration(one.remaining_s) if one.expected else ""))
    widths = [min(60, max(len(row[at]) for row in rows)) for at in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, _missing(states)])


def _missing(states: list[State]) -> str:
    missing = [(one.expected - one.ended, one.remaining_s) for one in states if one.expected > one.ended]
    if not missing:
        return "No run is missing."
    known = [(runs, seconds) for runs, seconds in missing if seconds is not None]
    text = f"{sum(runs for runs, _ in missing):,} runs are missing"
    if not known:
        return f"{text}. Their time is unknown until a run of their shape has ended."
    rest = sum(runs for runs, _ in missing) - sum(runs for runs, _ in known)
    more = f", and {rest:,} runs whose time is unknown until one of their shape has ended" if rest else ""
    return f"{text}: {_duration(sum(seconds for _, seconds in known))}{more}."


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    hours, minutes = divmod(round(seconds / 60), 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _part(file: Path) -> Iterator[str]:
    found: Json = json.loads(file.read_text(encoding="utf-8"))
    answer, design, trials = found["answer"], found["design"], found["trials"]
    name = file.stem
    yield f"### {found['title']}"
    yield ""
    yield from _table(["", ""], _conditions(design, trials, found["status"]))
    yield ""
    metric = design["metric"]["title"]
    yield from _table(
        ["variant", "trainings", f"{metric}, mean ± sd", "mean kept rank", "kept parameters"],
        [_cell(one) for one in answer["cells"]],
    )
    collapsed = [
        f"{one['variant']}, seed {one['seed']} ({one['reason']})" for one in answer["collapsed"] if _counts(one)
    ]
    if collapsed:
        yield from ("", f"Collapsed trainings: {'; '.join(collapsed)}.")
    yield from _listed(
        "Learning rates, with the result on held-out training rows:", [_tuned(one) for one in answer["tuning"]]
    )
    yield from _listed("What it says:", [one["text"] for one in answer["comparisons"]])
    steps = [f"{chain['method']}: {step['text']}" for chain in answer["chains"] for step in chain["steps"]]
    yield from _listed("Controls:", steps)
    agreements = [
        f"{one['variant']}: {one['agreement']['text']}"
        for one in answer["cells"]
        if one["agreement"] and not one["agreement"]["is_given"]
    ]
    yield from _listed("Do the seeds find the same ranks?", agreements)
    yield from _listed("Notes:", [one["text"] for one in answer["notes"]])
    yield ""
    yield f"The whole answer: [{name}.json](study/{name}.json); the table: [{name}.csv](study/{name}.csv)."


def _counts(trial: Json) -> bool:
    return bool(trial["purpose"] != "tune")


def _conditions(design: Json, trials: Json, status: str) -> list[list[str]]:
    base = design["tasks"][0]["base"]
    training, tuning = base["training"], design["tuning"]
    rate = f"{training['learning_rate']:g} for every variant, not tuned"
    if tuning["trials"]:
        lowest, highest = tuning["lowest_rate"], tuning["highest_rate"]
        rate = (
            f"{tuning['trials']} rates from {lowest:g} to {highest:g} for each method, the best on held-out training rows "
            f"of seed {', '.join(map(str, tuning['seeds']))}"
        )
    failed = f", {trials['failed']} of them without a result" if trials["failed"] else ""
    ended = trials["done"] + trials["failed"]
    budgets = ", ".join(f"{one:g}" for one in design["budgets"])
    return [
        *([title, text] for title, text in design["protocol"].items()),
        ["Tokens of a row", f"at most {training['max_length']}"],
        ["Learning rate", rate],
        ["Mean rank; seeds", f"{budgets}; {', '.join(map(str, design['seeds']))}"],
        ["Margin", f"{design['margin'] * 100:g} points" if design["metric"]["in_points"] else f"{design['margin']:g}"],
        ["Runs", f"{ended} of {trials['expected']} ended{failed}; the experiment is {status}"],
    ]


def _tuned(cell: Json) -> str:
    tried = ", ".join(
        f"{one['learning_rate']:.2g} {'diverged' if one['value'] is None else format(one['value'], '.4f')}"
        for one in cell["rates"]
    )
    best = "none had a result" if cell["best"] is None else f"{cell['best']:.2g} was chosen"
    return f"{cell['variant']}, mean rank {cell['budget']:g}: {tried}; {best}."


def _cell(cell: Json) -> list[str]:
    mean, sd = cell["mean"], cell["sd"]
    value = "" if mean is None else f"{mean:.4f}" + ("" if sd is None else f" ± {sd:.4f}")
    kept, rank = cell["kept_parameters"], cell["mean_rank"]
    return [
        cell["variant"],
        f"{cell['n']} of {cell['planned']}",
        value,
        "" if rank is None else f"{rank:.2f}",
        "" if kept is None else f"{kept:,.0f}",
    ]


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _listed(title: str, texts: list[str]) -> Iterator[str]:
    if texts:
        yield from ("", title, "", *(f"- {text}" for text in texts))
