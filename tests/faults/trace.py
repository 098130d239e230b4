"""Trace: the visible results of a run. Two runs of one configuration must have identical traces."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from rankscope.contract.metrics import is_machine_metric
from rankscope.contract.tables import Event
from rankscope.store.database.engine import reading
from rankscope.store.history import event_text, events, snapshots
from rankscope.store.history.points import marked
from rankscope.store.history.series import read_curves
from tests.faults.installation import Installation

_PLACE = ("seq", "attempt", "time")


@dataclass(frozen=True)
class Trace:
    metrics: dict[str, list[tuple[int, float | str]]]
    """By name: (step, value) of every visible point."""
    ranks: list[dict[str, Any]]
    """Every visible snapshot: mask, scores, budget, live, threshold."""
    prunings: list[dict[str, Any]]
    files: dict[str, str]
    """SHA-256 of each file of the adapter."""

    def differences(self, other: "Trace") -> list[str]:
        """Descriptions of the differences; empty if there are none."""
        found = []
        for name in sorted(self.metrics.keys() | other.metrics.keys()):
            mine, theirs = self.metrics.get(name, []), other.metrics.get(name, [])
            if mine != theirs:
                found.append(f"metric {name}: {_first_difference(mine, theirs)}")
        for what in ("ranks", "prunings"):
            mine_, theirs_ = getattr(self, what), getattr(other, what)
            if mine_ != theirs_:
                found.append(f"{what}: {_first_difference(mine_, theirs_)}")
        if self.files != other.files:
            names = sorted(name for name in self.files | other.files if self.files.get(name) != other.files.get(name))
            found.append(f"files of the adapter: {', '.join(names)}")
        return found


def _first_difference(mine: list[Any], theirs: list[Any]) -> str:
    for index, (one, other) in enumerate(zip(mine, theirs, strict=False)):
        if one != other:
            return f"entry {index} is {str(one)[:120]}, undisturbed {str(other)[:120]}"
    return f"{len(mine)} entries, undisturbed {len(theirs)}"


def trace(installation: Installation, run_id: str) -> Trace:
    run = installation.run(run_id)
    with reading(installation.engine) as session:
        metrics = {
            name: list(zip(curve.points.steps.tolist(), marked(curve.points.values), strict=True))
            for name, curve in read_curves(session, run_id).items()
            if not is_machine_metric(name)
        }
        frames, _ = snapshots.rank_frames(session, run_id, limit=1_000_000)
        shown = session.scalars(
            select(Event)
            .where(col(Event.run_id) == run_id, col(Event.kind) == "prune", events.visible(session, run_id))
            .order_by(col(Event.step), col(Event.seq))
        )
        prunings = [_placeless(event_text.stored(row)) for row in shown]
    folder = installation.attempt_folder(run_id, run.attempt) / (run.artifact or "adapter")
    files = {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Trace(metrics, [_placeless(frame) for frame in frames], prunings, files)


def _placeless(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in _PLACE}
