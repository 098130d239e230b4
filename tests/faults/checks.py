"""Invariants of every run under any fault. Each breach is named; the limit of every row is no breach."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from rankscope.contract.metrics import is_machine_metric
from rankscope.contract.status import TRANSITIONS, RunStatus
from rankscope.store.database.engine import reading
from rankscope.store.history import events
from tests.faults.installation import DEADLINE_S, Installation
from tests.faults.trace import Trace, trace

Kind = Literal["lost run", "difference", "event", "executor", "viewer", "order", "checkpoint", "leak"]
KINDS: dict[Kind, str] = {
    "lost run": "runs that did not finish",
    "difference": "runs not bit-identical to the undisturbed one (losses, masks, metrics, adapter)",
    "event": "events lost, doubled or out of order",
    "executor": "attempts executed by more than one child",
    "viewer": "viewers that missed an event or saw one twice",
    "order": "runs that started before one with a better place in the queue",
    "checkpoint": "damaged or lost checkpoints that were not found, not told of or not passed over",
    "leak": "processes, file handles, leases or memory that were left over",
}
ALWAYS: tuple[Kind, ...] = ("lost run", "difference", "event", "executor", "viewer")
"""Checked for every run of every row."""


@dataclass(frozen=True)
class Breach:
    kind: Kind
    run_id: str
    text: str


def check_run(installation: Installation, run_id: str, undisturbed: Trace | None) -> list[Breach]:
    """Every breach of a run that should be done by now. `undisturbed`: the trace that it must have."""
    run = installation.run(run_id)
    found: list[Breach] = []
    if run.status != RunStatus.done:
        found.append(Breach("lost run", run_id, f"it is {run.status}: {run.reason}: {run.message}"))
    with reading(installation.engine) as session:
        recorded = events.read_after(session, run_id, 0, limit=1_000_000)
    found += [Breach("event", run_id, text) for text in _event_breaches(recorded, run.last_seq)]
    executors = installation.executors()
    for attempt in range(1, run.attempt + 1):
        if (count := executors[run_id, attempt]) > 1:
            found.append(Breach("executor", run_id, f"attempt {attempt} had {count} children"))
    for number, viewer in enumerate(installation.viewers.get(run_id, []), start=1):
        if run.status == RunStatus.done and not viewer.join(DEADLINE_S):
            found.append(Breach("viewer", run_id, f"viewer {number} was not told of the end"))
        if viewer.events != recorded:
            seen = [event["seq"] for event in viewer.events]
            found.append(Breach("viewer", run_id, f"viewer {number}: {_numbering(seen, run.last_seq) or 'other text'}"))
    if undisturbed is not None and run.status == RunStatus.done:
        differences = trace(installation, run_id).differences(undisturbed)
        found += [Breach("difference", run_id, text) for text in differences]
    return found


def _event_breaches(recorded: list[dict[str, Any]], last_seq: int) -> list[str]:
    found = []
    if wrong := _numbering([event["seq"] for event in recorded], last_seq):
        found.append(wrong)
    for before, after in pairwise(event["attempt"] for event in recorded):
        if after < before:
            found.append(f"attempt {before} was followed by a write of attempt {after}")
    # Within an attempt every point is recorded once, so a late writer or a batch written twice shows here. Hardware
    # metrics are recorded by time: a step that waits for the database has several points.
    points = Counter(
        (event["attempt"], name, event["step"], event["time"] if is_machine_metric(name) else None)
        for event in recorded
        if event["kind"] == "metrics"
        for name in event["values"]
    )
    found += [
        f"attempt {attempt} has {name} of step {step} {count} times"
        for (attempt, name, step, _), count in points.items()
        if count > 1
    ]
    statuses = [RunStatus(event["status"]) for event in recorded if event["kind"] == "status"]
    found += [
        f"{before} was followed by {after}" for before, after in pairwise(statuses) if after not in TRANSITIONS[before]
    ]
    return found


def _numbering(numbers: list[int], last_seq: int) -> str:
    if numbers == list(range(1, last_seq + 1)):
        return ""
    doubled = sorted(number for number, count in Counter(numbers).items() if count > 1)
    missing = sorted(set(range(1, last_seq + 1)) - set(numbers))
    return f"of 1..{last_seq}, numbers {missing[:10]} are missing and {doubled[:10]} are doubled"
