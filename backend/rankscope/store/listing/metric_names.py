"""The names of the metrics that runs have recorded."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlmodel import Session, col

from rankscope.contract.metrics import EVALUATION
from rankscope.contract.tables import EvaluationPoint, RunMetric
from rankscope.store.listing.fields import described_metrics

_MOST = 2000
_MOST_STEPS = 100
"""Limit for each metric."""
_SAMPLED = 8


def recorded_metrics(session: Session) -> list[str]:
    """In alphabetical order, at most 2,000. Steps from one name to the next in the index, without reading all rows."""
    first = select(func.min(col(RunMetric.name)).label("name")).cte("names", recursive=True)
    following = (
        select(func.min(col(RunMetric.name)))
        .where(col(RunMetric.name) > first.c.name)
        .correlate(first)
        .scalar_subquery()
    )
    names = first.union_all(select(following).select_from(first).where(first.c.name.is_not(None)))
    query = select(names.c.name).where(names.c.name.is_not(None)).limit(_MOST)
    return sorted(session.scalars(query))


def evaluation_steps(session: Session, metric: str) -> list[int]:
    """The first 100 steps at which any run was evaluated by this metric, read from the index like the names."""
    point = EvaluationPoint
    first = (
        select(func.min(col(point.step)).label("step")).where(col(point.name) == metric).cte("steps", recursive=True)
    )
    following = (
        select(func.min(col(point.step)))
        .where(col(point.name) == metric, col(point.step) > first.c.step)
        .correlate(first)
        .scalar_subquery()
    )
    steps = first.union_all(select(following).select_from(first).where(first.c.step.is_not(None)))
    return list(session.scalars(select(steps.c.step).where(steps.c.step.is_not(None)).limit(_MOST_STEPS)))


def usual_steps(session: Session, recorded: Sequence[str]) -> list[int]:
    """Steps of evaluations, of a few of the recorded metrics: those of one evaluation share theirs."""
    names = [name for name in recorded if name.startswith(EVALUATION)][:_SAMPLED]
    return sorted({step for name in names for step in evaluation_steps(session, name)})[:_MOST_STEPS]


def metric_names(session: Session) -> list[str]:
    """The recorded ones, and those that some task describes."""
    return list(dict.fromkeys([*recorded_metrics(session), *described_metrics()]))
