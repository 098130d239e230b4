"""Values of evaluations as rows, so that lists can filter and sort by the value at a step."""

import math
from collections.abc import Iterable, Mapping

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from rankscope.contract.events import RunEvent
from rankscope.contract.metrics import EVALUATION
from rankscope.contract.tables import EvaluationPoint
from rankscope.store.history.points import Points


def store_evaluations(session: Session, run_id: str, batch: Iterable[RunEvent]) -> None:
    """Stores the evaluations of these events. A second value of the same step replaces the first."""
    _store(
        session,
        run_id,
        {
            (name, event.step): value
            for event in batch
            if event.kind == "metrics"
            for name, value in event.values.items()
            if name.startswith(EVALUATION)
        },
    )


def replace_evaluations(session: Session, run_id: str, visible: Mapping[str, Points]) -> None:
    """Replaces all points of the run with these. `visible`: by metric."""
    session.execute(delete(EvaluationPoint).where(col(EvaluationPoint.run_id) == run_id))
    _store(
        session,
        run_id,
        {
            (name, step): value
            for name, of in visible.items()
            if name.startswith(EVALUATION)
            for step, value in zip(of.steps.tolist(), of.values.tolist(), strict=True)
        },
    )


def _store(session: Session, run_id: str, values: Mapping[tuple[str, int], float]) -> None:
    if not values:
        return
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(EvaluationPoint)
    rows = [
        {"run_id": run_id, "name": name, "step": step, "value": value if math.isfinite(value) else None}
        for (name, step), value in values.items()
    ]
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "name", "step"], set_={"value": statement.excluded.value}
        ),
        rows,
    )
