"""The report of an experiment, readable without RankScope: sentences, controls, differences, table, protocol.

HTML without scripts, in a light and a dark theme; charts are SVG.
"""

from collections.abc import Sequence
from html import escape

from rankscope import __version__
from rankscope.contract.experiments.answer import Answer, VariantComparison, Verdict
from rankscope.contract.experiments.design import Collapse, Design, TrialPurpose

_STYLE = """
:root{color-scheme:light dark;--ink:#1b2733;--muted:#5b6875;--line:#dfe4e9;--paper:#fff;--band:#1763a61a;
--better:#1d7a3c;--worse:#c92a2a;--equivalent:#1763a6;--cannot_tell:#5b6875}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--muted:#9aa7b4;--line:#333b44;--paper:#14181d;--band:#6cb8f62b;
--better:#7fdc9b;--worse:#ff8787;--equivalent:#6cb8f6;--cannot_tell:#9aa7b4}}
body{font:14px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:980px;margin:32px auto;padding:0 20px}
h1{font-size:24px;margin:0}h2{font-size:16px;margin:28px 0 8px}.small{color:var(--muted);font-size:12px}
ul{padding:0;list-style:none}li{padding:5px 0;border-bottom:1px solid var(--line)}b.verdict{margin-right:8px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:3px 14px 3px 0;text-align:left;vertical-align:top;white-space:nowrap}td.n,th.n{text-align:right}
th{font-weight:500;color:var(--muted)}td.text{white-space:normal}
svg{width:100%;min-width:640px;height:auto;font:11px system-ui,sans-serif}svg text{fill:var(--ink)}
@media(max-width:600px){.rows th{white-space:normal}}
@media print{body{margin:0}h2{break-after:avoid}}
"""
_WORDS = {
    Verdict.better: "Better",
    Verdict.worse: "Worse",
    Verdict.equivalent: "Equivalent",
    Verdict.cannot_tell: "Can't tell",
}
_REASONS = {Collapse.majority: "always one class", Collapse.diverged: "diverged"}
_WIDTH, _NAMES, _ROW = 940, 330, 20


def experiment_report(name: str, notes: str, design: Design, answer: Answer) -> str:
    """Returns the page. Its size grows with the trials: about 150 kB for 600."""
    methods = [each for each in answer.comparisons if not each.is_control]
    sections = [
        f"<h1>{escape(name)}</h1>",
        f"<p>{escape(notes)}</p>" if notes else "",
        _facts(design, answer),
        "<h2>What the results show</h2>",
        _sentences(methods),
        _list("Notes", [note.text for note in answer.notes]),
        _controls(answer),
        "<h2>Differences to the baseline</h2>",
        "<p class='small'>Ring: one seed. Dot: their mean with its 95 % interval. Band: the margin.</p>",
        _differences(methods, design),
        "<h2>Results</h2>",
        _results(design, answer),
        _list("Agreement of the ranks between seeds", _agreements(answer)),
        _list("Collapsed trials", _collapsed(answer)),
        "<h2>Protocol</h2>",
        _protocol(design),
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape(name)} · RankScope</title><style>{_STYLE}</style></head><body>{''.join(sections)}"
        f"<p class='small'>Written by RankScope {escape(__version__)}.</p></body></html>"
    )


def _facts(design: Design, answer: Answer) -> str:
    done = sum(cell.n for cell in answer.cells)
    budgets = ", ".join(f"{budget:g}" for budget in design.budgets)
    text = (
        f"{done:,} results, mean rank {budgets}, p values corrected for {answer.family} comparisons by Holm's method"
        + (
            f" and for {design.planned_looks} planned looks by Pocock's; intervals of differences are corrected for the looks."
            if design.planned_looks > 1
            else "; intervals are not corrected."
        )
    )
    return f"<p class='small'>{escape(text)}</p>"


def _sentences(comparisons: Sequence[VariantComparison]) -> str:
    items = (
        f"<li><b class='verdict' style='color:var(--{each.verdict})'>{_WORDS[each.verdict]}</b>{escape(each.text)}</li>"
        for each in comparisons
    )
    return f"<ul>{''.join(items)}</ul>" if comparisons else "<p>Nothing can be compared yet.</p>"


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>{escape(title)}</h2><ul>{items}</ul>" if lines else ""


def _controls(answer: Answer) -> str:
    parts = []
    for chain in answer.chains:
        where = escape(f"{chain.method}, mean rank {chain.budget:g} on {chain.task}")
        steps = "".join(f"<li>{escape(step.text)}</li>" for step in chain.steps)
        parts.append(f"<p><b>{where}</b></p><ul>{steps}</ul>")
    return f"<h2>Why: the controls</h2>{''.join(parts)}" if parts else ""


def _differences(comparisons: Sequence[VariantComparison], design: Design) -> str:
    """One row per comparison, in the order of the sentences."""
    factor = 100 if design.metric.in_points else 1
    rows = [each for each in comparisons if each.difference.mean is not None]
    if not rows:
        return "<p class='small'>No differences yet.</p>"
    ends = [design.margin, -design.margin]
    for each in rows:
        interval = each.difference.interval
        ends += [each.difference.mean or 0.0] if interval is None else [interval.low, interval.high]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    height = _ROW * len(rows) + 30

    def at(value: float) -> float:
        return _NAMES + (_WIDTH - _NAMES - 10) * (value - low) / span

    parts = [
        f"<div class='wide'><svg viewBox='0 0 {_WIDTH} {height}' role='img' aria-label='Differences to the baseline'>",
        f"<rect x='{at(-design.margin):.1f}' y='0' width='{at(design.margin) - at(-design.margin):.1f}' "
        f"height='{height - 24}' fill='var(--band)'/>",
        f"<line x1='{at(0):.1f}' x2='{at(0):.1f}' y1='0' y2='{height - 24}' stroke='var(--muted)'/>",
    ]
    for place, each in enumerate(rows):
        y = _ROW * place + _ROW / 2
        colour, mean, interval = f"var(--{each.verdict})", each.difference.mean or 0.0, each.difference.interval
        label = f"{each.variant}, rank {each.budget:g}" + (f", {each.task}" if len(design.tasks) > 1 else "")
        parts.append(f"<text x='{_NAMES - 10}' y='{y + 4:.0f}' text-anchor='end'>{escape(label[:60])}</text>")
        for pair in each.pairs:
            if pair.value is not None and pair.reference_value is not None:
                value = pair.value - pair.reference_value
                if low <= value <= high:
                    parts.append(f"<circle cx='{at(value):.1f}' cy='{y}' r='2.6' fill='none' stroke='var(--muted)'/>")
        if interval is not None:
            parts.append(
                f"<line x1='{at(interval.low):.1f}' x2='{at(interval.high):.1f}' y1='{y}' y2='{y}' "
                f"stroke='{colour}' stroke-width='2'/>"
            )
        parts.append(f"<circle cx='{at(mean):.1f}' cy='{y}' r='4' fill='{colour}'/>")
    unit = "points" if design.metric.in_points else design.metric.title
    for value in (low, 0.0, high):
        anchor = "start" if value == low else "end" if value == high else "middle"
        text = f"{value * factor:+.3g}" if value else f"0 {unit}"
        parts.append(f"<text x='{at(value):.1f}' y='{height - 8}' text-anchor='{anchor}'>{escape(text)}</text>")
    return "".join([*parts, "</svg></div>"])


def _results(design: Design, answer: Answer) -> str:
    """Every cell with the values of its seeds."""
    factor, digits = (100, 2) if design.metric.in_points else (1, 4)

    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value * factor:.{digits}f}"

    head = ["Task", "Mean rank", "Variant", design.metric.title, "sd", "median", "Kept parameters", "Seeds"]
    lines = [
        "".join(
            f"<th class='{'n' if place in (1, 3, 4, 5, 6) else ''}'>{escape(name)}</th>"
            for place, name in enumerate(head)
        )
    ]
    for cell in answer.cells:
        mean = f"<b>{shown(cell.mean)}</b>" if cell.is_winner else shown(cell.mean)
        kept = "–" if cell.kept_parameters is None else f"{cell.kept_parameters:,.0f}"
        seeds = ", ".join(f"{shown(one.value)}{'†' if one.collapse else ''}" for one in cell.values)
        lines.append(
            f"<td>{escape(cell.task)}</td><td class='n'>{cell.budget:g}</td><td>{escape(cell.variant)}</td>"
            f"<td class='n'>{mean}</td><td class='n'>{shown(cell.sd)}</td><td class='n'>{shown(cell.median)}</td>"
            f"<td class='n'>{kept}</td><td>{seeds}</td>"
        )
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    has_collapsed = any(one.collapse for cell in answer.cells for one in cell.values)
    note = "<p class='small'>† The trial collapsed.</p>" if has_collapsed else ""
    return f"<div class='wide'><table>{rows}</table></div>{note}"


def _agreements(answer: Answer) -> list[str]:
    return [
        f"{cell.variant}, mean rank {cell.budget:g} on {cell.task}: {cell.agreement.text}"
        for cell in answer.cells
        if cell.agreement is not None and cell.agreement.spearman is not None
    ]


def _collapsed(answer: Answer) -> list[str]:
    """One line for all collapsed trials of a variant at a budget, with the same cause."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for each in answer.collapsed:
        part = "tuning, " if each.purpose == TrialPurpose.tune else ""
        where = f"{each.variant}, mean rank {each.budget:g} on {each.task}"
        seeds.setdefault((where, f"{part}{_REASONS[each.reason]}"), []).append(each.seed)
    return [
        f"{where}: {len(of)} trial{'' if len(of) == 1 else 's'} ({why}), seeds {', '.join(map(str, sorted(set(of))))}"
        for (where, why), of in seeds.items()
    ]


def _protocol(design: Design) -> str:
    tuning = design.tuning
    rates = "" if tuning.lowest_rate is None else f", learning rates {tuning.lowest_rate:g} to {tuning.highest_rate:g}"
    seeds = ", ".join(map(str, tuning.seeds))
    rows = {
        "Metric": f"{design.metric.title}, {'lower' if design.metric.lower_is_better else 'higher'} is better",
        "Margin": f"{design.margin * (100 if design.metric.in_points else 1):g}{' points' if design.metric.in_points else ''}",
        "Seeds": ", ".join(map(str, design.seeds)),
        "Tuning": f"up to {tuning.trials} trials for each method and budget, seeds {seeds}{rates}, rows: {tuning.measured_on}"
        if tuning.trials
        else "none",
        **design.protocol,
        **{f"Variant {each.name}": _variant(each.description, each.options) for each in design.variants},
    }
    cells = "".join(
        f"<tr><th>{escape(name)}</th><td class='text'>{escape(text)}</td></tr>" for name, text in rows.items()
    )
    return f"<table class='rows'>{cells}</table>"


def _variant(description: str, options: object) -> str:
    return " ".join(filter(None, [description, f"Options: {options}." if options else ""])) or "default options"
