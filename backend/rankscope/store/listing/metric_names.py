"""The names of the metrics that runs have recorded."""

from sqlalchemy import func, select
from sqlmodel import Session, col

from rankscope.contract.tables import RunMetric
from rankscope.store.listing.fields import described_metrics

_MOST = 2000


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


def metric_names(session: Session) -> list[str]:
    """The recorded ones, and those that some task describes."""
    return list(dict.fromkeys([*recorded_metrics(session), *described_metrics()]))
