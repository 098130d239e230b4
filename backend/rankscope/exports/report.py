"""A one-page report of a run, readable without RankScope: result, ranks, curves, configuration.

HTML without scripts, in a light and a dark theme.
"""

from html import escape
from typing import cast

import numpy as np
from sqlmodel import Session

from rankscope import __version__, yaml_text
from rankscope.contract.events import Module
from rankscope.contract.metrics import EVAL_LOSS, TRAIN_LOSS
from rankscope.contract.stored import StoredRanks, StoredWarning
from rankscope.exports.drawing import Line, curves, heatmap
from rankscope.exports.exported_run import ExportedRun
from rankscope.store.history import events, series, snapshots
from rankscope.store.history.rank_columns import module_columns

_POINTS, _FRAMES = 400, 200
_STYLE = """
:root{color-scheme:light dark;--ink:#1b2733;--muted:#5b6875;--grid:#e1e6eb;--paper:#fff;--soft:#f5f7f9;--empty:#e3e6ea;
--planned:#8a94a0;--first:#1763a6;--metric:#238046;--loss:#d9580d}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--muted:#9aa7b4;--grid:#333b44;--paper:#14181d;--soft:#222831;
--empty:#3a434d;--first:#6cb8f6;--metric:#7fdc9b;--loss:#ff9b5e}}
body{font:14px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:980px;margin:32px auto;padding:0 20px}
h1{font-size:24px;margin:0}h2{font-size:16px;margin:28px 0 8px}
table{border-collapse:collapse}td,th{text-align:left;padding:3px 18px 3px 0;vertical-align:top}
th{font-weight:500;color:var(--muted)}.two{display:grid;grid-template-columns:1fr 1fr;gap:24px}
svg{width:100%;height:auto;font:11px system-ui,sans-serif}.legend{color:var(--muted);font-size:12px;margin:2px 0}
.legend span{margin-right:14px}.legend i{display:inline-block;width:14px;height:3px;margin:0 6px 3px 0}
pre{background:var(--soft);padding:12px;overflow:auto;font-size:12px}.none,.small{color:var(--muted);font-size:12px}
@media(max-width:700px){.two{grid-template-columns:1fr}}@media print{body{margin:0}h2{break-after:avoid}}
"""


def report(session: Session, run: ExportedRun) -> str:
    """Returns the report of the run in its current state, with a note if it has not ended."""
    metrics = series.read_curves(session, run.id, limit=_POINTS)
    frames, _ = snapshots.rank_frames(session, run.id, limit=_FRAMES)
    warnings = cast(list[StoredWarning], events.read_after(session, run.id, 0, 100, ["warning"]))
    sections = [
        _head(run),
        _facts(run),
        _ranks(run, frames),
        "<div class='two'>"
        + _budget(run, frames)
        + _loss(metrics)
        + _evaluation(metrics, run.headline.name)
        + "</div>",
        _warnings(warnings),
        _configuration(run),
    ]
    title = escape(f"{run.name} · RankScope")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{''.join(sections)}"
        f"<p class='small'>Written by RankScope {escape(__version__)}.</p></body></html>"
    )


def _head(run: ExportedRun) -> str:
    ended = "" if run.status.is_terminal else " It has not ended; this report shows its current state."
    why = f"<p>{escape(run.message)}</p>" if run.message else ""
    notes = f"<p>{escape(run.notes)}</p>" if run.notes else ""
    return f"<h1>{escape(run.name)}</h1><p class='small'>Run {run.id}, {run.status}.{ended}</p>{why}{notes}"


def _facts(run: ExportedRun) -> str:
    headline = run.headline
    last = run.metrics.get(headline.name)
    rows = [
        ("Method", run.method),
        ("Model", run.model_id),
        ("Data", run.data_id),
        ("Steps", f"{run.step} of {run.total_steps or 'unknown'}"),
        (
            f"Best {headline.title}",
            "none" if headline.best is None else f"{_short(headline.best)} at step {headline.best_step}",
        ),
        (f"Last {headline.title}", "none" if last is None else f"{_short(last.last)} at step {last.last_step}"),
        ("Live components", "none" if run.live is None else f"{run.live:,}"),
        ("Mean rank", "none" if run.mean_rank is None else f"{run.mean_rank:.2f}"),
        ("Trained parameters", _count(run.trained_parameters)),
        ("Kept parameters", _count(run.kept_parameters)),
        ("Attempts", str(run.attempt)),
    ]
    return "<h2>Result</h2>" + _table(rows)


def _short(value: float | str) -> str:
    """Values that are not finite are text already."""
    return value if isinstance(value, str) else f"{value:.5g}"


def _ranks(run: ExportedRun, frames: list[StoredRanks]) -> str:
    if not frames or not run.modules or run.width is None:
        return ""
    last = module_columns(frames[-1:], len(run.modules), run.width).ranks[0]
    rows, columns, places = _grid(run.modules)
    cells = np.full((len(rows), len(columns)), -1)
    for (row, column), rank in zip(places, last, strict=True):
        cells[row, column] = rank
    step = frames[-1]["step"]
    return f"<h2>Rank of each module at step {step}</h2>" + heatmap(rows, columns, cells, run.width)


def _grid(modules: list[Module]) -> tuple[list[str], list[str], list[tuple[int, int]]]:
    """Rows by stack and layer, columns by kind, in forward order; modules with the same place get separate columns."""
    rows: dict[str, int] = {}
    columns: dict[str, int] = {}
    places: list[tuple[int, int]] = []
    for module in modules:
        layer = "other" if module.layer is None else str(module.layer)
        row = rows.setdefault(f"{module.stack} {layer}".strip(), len(rows))
        name, twin = module.kind, 2
        while (row, columns.setdefault(name, len(columns))) in places:
            name, twin = f"{module.kind} ({twin})", twin + 1
        places.append((row, columns[name]))
    return list(rows), list(columns), places


def _budget(run: ExportedRun, frames: list[StoredRanks]) -> str:
    if not frames:
        return ""
    planned_x: list[float] = [point.step for point in run.planned_budget]
    planned_y: list[float] = [point.budget for point in run.planned_budget]
    lines = [
        Line("planned", planned_x, planned_y, "var(--planned)", is_dashed=True),
        Line("live", [frame["step"] for frame in frames], [frame["live"] for frame in frames], "var(--first)"),
    ]
    return "<div><h2>Live components</h2>" + curves(lines, x_title="step") + "</div>"


def _loss(metrics: dict[str, series.Curve]) -> str:
    return "<div><h2>Train loss</h2>" + curves(_lines(metrics, {TRAIN_LOSS: "var(--first)"}), x_title="step") + "</div>"


def _evaluation(metrics: dict[str, series.Curve], headline: str) -> str:
    colours = {headline: "var(--metric)", EVAL_LOSS: "var(--loss)"}
    return "<div><h2>Evaluation</h2>" + curves(_lines(metrics, colours), x_title="step") + "</div>"


def _lines(metrics: dict[str, series.Curve], colours: dict[str, str]) -> list[Line]:
    return [
        Line(name, metrics[name].points.steps.tolist(), metrics[name].points.values.tolist(), colour)
        for name, colour in colours.items()
        if name in metrics
    ]


def _warnings(found: list[StoredWarning]) -> str:
    if not found:
        return ""
    items = "".join(
        f"<li>{escape(' '.join(filter(None, [event['message'], event.get('next_step')])))}</li>" for event in found
    )
    return f"<h2>Warnings</h2><ul>{items}</ul>"


def _configuration(run: ExportedRun) -> str:
    config = yaml_text.dump(run.config.model_dump(mode="json"))
    environment = yaml_text.dump(run.environment) if run.environment else "unknown"
    return f"<h2>Configuration</h2><pre>{escape(config)}</pre><h2>Environment</h2><pre>{escape(environment)}</pre>"


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"
