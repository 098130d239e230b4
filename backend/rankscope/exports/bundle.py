"""A run in one zip: its history as files for a spreadsheet or a script, and the result."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlmodel import Session

from rankscope import yaml_text
from rankscope.contract.evaluation.results import RESULTS_FILE
from rankscope.exports.archive import Member, members_of, parts_of
from rankscope.exports.exported_run import ExportedRun
from rankscope.exports.report import report
from rankscope.store.database.engine import reading
from rankscope.store.history import events, series, snapshots
from rankscope.store.history.rank_columns import module_columns

_PAGE = 1000
_MAX_CHARACTERS = 8_000_000
_FRAMES_A_READ = 100
_BYTES_A_READ = 64_000_000


def bundle(
    engine: Engine, run: ExportedRun, logs: dict[int, Path], result: Path | None, results: Path | None = None
) -> Iterator[Member]:
    """`logs`: attempt -> its log file. `result`: the folder of the adapter or model; None if there is none yet.

    `results`: the file with the predictions of the evaluation rows.
    """

    def text(name: str, parts: Iterable[str]) -> Member:
        return Member(f"{run.id}/{name}", (part.encode() for part in parts), is_deflated=True)

    def read(make: Callable[[Session], str]) -> Iterator[str]:
        with reading(engine) as session:
            yield make(session)

    yield text("run.json", [run.model_dump_json(indent=1)])
    yield text("config.yaml", [yaml_text.dump(run.config.model_dump(mode="json"))])
    yield text("report.html", read(lambda session: report(session, run)))
    yield text("metrics.csv", _metrics(engine, run.id))
    yield text("ledger.csv", _ledger(engine, run))
    yield text("ranks.csv", _ranks(engine, run))
    yield text("events.jsonl", _events(engine, run.id))
    for attempt, path in sorted(logs.items()):
        yield Member(f"{run.id}/logs/attempt-{attempt}.txt", parts_of(path), is_deflated=True)
    if results is not None:
        yield Member(f"{run.id}/{RESULTS_FILE}", parts_of(results), is_deflated=True)
    if result is not None:
        yield from members_of(result, f"{run.id}/{result.name}/")


def _events(engine: Engine, run_id: str) -> Iterator[str]:
    after = 0
    while True:
        with reading(engine) as session:
            page = events.texts_after(session, run_id, after, _PAGE, max_characters=_MAX_CHARACTERS)
        if not page:
            return
        after = page[-1][0]
        yield "".join(f"{text}\n" for _, text in page)


def _metrics(engine: Engine, run_id: str) -> Iterator[str]:
    """metric, step, time (seconds since 1970), value."""
    with reading(engine) as session:
        names = list(series.read_curves(session, run_id, limit=4))
    yield _lines([["metric", "step", "time", "value"]])
    for name in names:
        with reading(engine) as session:
            found = series.read_curves(session, run_id, [name])[name].points
        columns = zip(found.steps.tolist(), found.times.tolist(), found.values.tolist(), strict=True)
        yield _lines([name, step, time, value] for step, time, value in columns)


def _ledger(engine: Engine, run: ExportedRun) -> Iterator[str]:
    fields: Final = ("step", "change", "module", "component", "score", "order", "total", "threshold", "budget")
    with reading(engine) as session:
        lines = list(snapshots.ledger(session, run.id))
    yield _lines([[*fields, "module_name"]])
    yield _lines([*(line[field] for field in fields), run.modules[line["module"]].name] for line in lines)


def _ranks(engine: Engine, run: ExportedRun) -> Iterator[str]:
    """One line per snapshot: step, budget, then each module's live rank."""
    yield _lines([["step", "budget", *(module.name for module in run.modules)]])
    if not run.modules or run.width is None:
        return
    with reading(engine) as session:
        steps = snapshots.rank_steps(session, run.id)
    # Each component takes one bit and two 2-byte numbers, in base64.
    frames_a_read = max(1, min(_FRAMES_A_READ, _BYTES_A_READ // (6 * len(run.modules) * run.width)))
    for start in range(0, len(steps), frames_a_read):
        part = steps[start : start + frames_a_read]
        with reading(engine) as session:
            frames, _ = snapshots.rank_frames(session, run.id, from_step=part[0], to_step=part[-1], limit=None)
        ranks = module_columns(frames, len(run.modules), run.width).ranks
        yield _lines(
            [frame["step"], frame["budget"], *line] for frame, line in zip(frames, ranks.tolist(), strict=True)
        )


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """Numbers unchanged; text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")) or value == "-Infinity":
        return value
    return f"'{value}"
