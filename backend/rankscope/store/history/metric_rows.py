"""Metric summaries as rows, so that lists can filter and sort by them. They equal `Run.metrics`, and are stored with it."""

from collections.abc import Mapping

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from rankscope.contract.stored import MetricSummary
from rankscope.contract.tables import RunMetric

_VALUES = ("last", "last_step", "min", "min_step", "max", "max_step")


def store_metrics(
    session: Session, run_id: str, before: Mapping[str, MetricSummary], after: Mapping[str, MetricSummary]
) -> None:
    """Writes the summaries that differ from those before, and removes those that no longer exist."""
    gone = before.keys() - after.keys()
    if gone:
        session.execute(delete(RunMetric).where(col(RunMetric.run_id) == run_id, col(RunMetric.name).in_(gone)))
    rows = [
        {"run_id": run_id, "name": name, **_columns(summary)}
        for name, summary in sorted(after.items())
        if before.get(name) != summary
    ]
    if not rows:
        return
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(RunMetric)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "name"], set_={name: statement.excluded[name] for name in _VALUES}
        ),
        rows,
    )


def _columns(summary: MetricSummary) -> dict[str, float | int | None]:
    return {
        # Values that aren't finite are stored as text.
        "last": None if isinstance(summary["last"], str) else summary["last"],
        "last_step": summary["last_step"],
        "min": None if isinstance(summary["min"], str) else summary["min"],
        "min_step": summary["min_step"],
        "max": None if isinstance(summary["max"], str) else summary["max"],
        "max_step": summary["max_step"],
    }
