"""Stores the run of an unpacked bundle: its row, events, attempts, logs and result, under an id that is free."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine

from rankscope.bundles.contents import BundledRun, read_events, read_run
from rankscope.contract.evaluation.results import RESULTS_FILE
from rankscope.contract.events import StatusEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import Environment
from rankscope.contract.tables import Attempt
from rankscope.settings import Settings
from rankscope.store import imported_runs, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history.chunks import pack_old_runs
from rankscope.store.imported_runs import ImportedEvent, ImportedRun

_EVENTS_A_TRANSACTION = 2_000


def import_run(engine: Engine, settings: Settings, folder: Path, *, now: float) -> str:
    """Stores the run of an unpacked bundle, and returns its id: its own if that is free. Raises BadInput.

    Everything is checked before anything is stored. Events are stored a few thousand at a time, so that running trainings
    never wait long for the database; until all are there, the run says that its import did not finish.
    """
    bundled, config = read_run(folder / "run.json")
    file = folder / "events.jsonl"
    for _ in read_events(file, bundled.attempt):
        pass
    imported = _imported(bundled)
    run_id = _free_id(engine, settings, bundled.id)
    with writing(engine) as session:
        imported_runs.create(session, run_id, imported, config, now=now)
    attempts: dict[int, Attempt] = {}
    last = None
    every = _noting_attempts(read_events(file, bundled.attempt), run_id, attempts)
    while batch := list(islice(every, _EVENTS_A_TRANSACTION)):
        last = batch[-1].time
        with writing(engine) as session:
            imported_runs.add_events(session, run_id, batch)
    # Bundles list the newest attempts only; the others are known from their events.
    listed = [one for one in bundled.attempts if one.number <= bundled.attempt]
    attempts |= {one.number: Attempt(run_id=run_id, **one.model_dump()) for one in listed}
    with writing(engine) as session:
        imported_runs.add_attempts(session, attempts)
    pack_old_runs(engine)
    artifact = _move_files(settings, folder, run_id, bundled.attempt)
    with writing(engine) as session:
        imported_runs.finish(session, run_id, imported, artifact=artifact, last=last)
    return run_id


def _imported(bundled: BundledRun) -> ImportedRun:
    environment: Environment = {**bundled.environment, "imported_from": bundled.id}  # type: ignore[typeddict-item]
    fields = {name: getattr(bundled, name) for name in ImportedRun.__dataclass_fields__ if name != "environment"}
    return ImportedRun(**fields, environment=environment)


def _free_id(engine: Engine, settings: Settings, wanted: str) -> str:
    run_id = wanted
    with reading(engine) as session:
        while imported_runs.is_known(session, run_id) or os.path.lexists(settings.runs_dir / run_id):
            run_id = runs.new_run_id()
    return run_id


def _noting_attempts(
    every: Iterator[ImportedEvent], run_id: str, attempts: dict[int, Attempt]
) -> Iterator[ImportedEvent]:
    """Yields the events, and adds the attempts that they belong to."""
    for one in every:
        if one.attempt > 0:
            attempt = attempts.setdefault(
                one.attempt, Attempt(run_id=run_id, number=one.attempt, worker="unknown", started_at=one.time)
            )
            attempt.ended_at = one.time
            if isinstance(one.event, StatusEvent) and one.event.status == RunStatus.running:
                attempt.start_step = one.event.step or 0
        yield one


def _move_files(settings: Settings, folder: Path, run_id: str, newest: int) -> str | None:
    """Moves logs and the result into the attempts' folders. Returns the kind of the result."""
    for log in sorted((folder / "logs").glob("attempt-*.txt")):
        number = int(log.stem.removeprefix("attempt-"))
        if number <= newest:
            _move(log, settings.attempt_dir(run_id, number) / "log.txt")
    target = settings.attempt_dir(run_id, max(1, newest))
    if (folder / RESULTS_FILE).is_file():
        _move(folder / RESULTS_FILE, target / RESULTS_FILE)
    for kind in ("adapter", "model"):
        if (folder / kind).is_dir():
            _move(folder / kind, target / kind)
            return kind
    return None


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
