"""The list of runs: filters, order, and pages that start after the last row of the previous page.

A page begins after a row, not after a number of rows: a run that is launched or deleted in the meantime shifts nothing. A run
whose value in the sorted column changes between two pages appears at its new position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import defer
from sqlmodel import Session, col

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.tables import Run, RunMetric, RunTag
from rankscope.contract.tasks import TASKS
from rankscope.store.listing import cursors, filter_text
from rankscope.store.listing.conditions import names_field, to_sql
from rankscope.store.listing.cursors import Key
from rankscope.store.listing.fields import Field, find_field, hint_for
from rankscope.store.listing.metric_names import metric_names
from rankscope.store.listing.values import Value, value_of

_MAX_WORDS = 20
# Lists don't show these, and reading a page of large configurations takes seconds.
_UNREAD = ("config", "environment", "notes", "metrics", "memory_estimate", "steer_requests")


@dataclass(frozen=True)
class Filter:
    """Any of `statuses`, any of `methods`, all of `tags` (exactly as written), all words of `search` (in any case).

    `text`: a condition in the filter language, too. Archived runs are left out unless it names the field `archived`.
    """

    statuses: Sequence[str] = ()
    tags: Sequence[str] = ()
    methods: Sequence[str] = ()
    search: str = ""
    text: str = ""
    now: float = 0.0
    """For ages such as `-7d`."""


@dataclass(frozen=True)
class Page:
    runs: list[Run]
    keys: list[Key]
    """Each run's value in the sorted column."""
    next_cursor: str | None
    total: int


@dataclass(frozen=True)
class Order:
    sort: str
    field: Field
    value: Value
    is_falling: bool


def list_runs(
    session: Session,
    filter: Filter,
    *,
    sort: str = "-created",
    limit: int = 100,
    cursor: str | None = None,
    with_metrics: bool = True,
) -> Page:
    """One page, and the number of all runs that match the filter. Runs without a value in the sorted column come last.

    `with_metrics`: whether to read the runs' metric summaries with them.
    """
    order = order_of(sort)
    where = conditions(session, filter)
    total = session.scalar(select(func.count()).select_from(Run).where(*where)) or 0
    column = order.value.column
    query = joined(select(col(Run.id).label("id"), column.label("key")).where(*where), order.value)
    if cursor is not None:
        query = query.where(_after(column, *cursors.decode(cursor, sort, order.field), is_falling=order.is_falling))
    by = column.desc().nulls_last() if order.is_falling else column.asc().nulls_last()
    rows = session.execute(query.order_by(by, col(Run.id)).limit(limit + 1)).all()
    shown = rows[:limit]
    found = read_runs(session, [row.id for row in shown], with_metrics=with_metrics)
    next_cursor = cursors.encode(sort, shown[-1].key, shown[-1].id) if len(rows) > limit else None
    return Page([found[row.id] for row in shown], [row.key for row in shown], next_cursor, total)


def read_runs(session: Session, run_ids: Sequence[str], *, with_metrics: bool) -> dict[str, Run]:
    """By id, without what lists don't show."""
    unread = [defer(getattr(Run, name)) for name in _UNREAD if not (with_metrics and name == "metrics")]
    return {run.id: run for run in session.scalars(select(Run).options(*unread).where(col(Run.id).in_(run_ids)))}


def read_headlines(session: Session, runs: Sequence[Run]) -> dict[str, Any]:
    """By run, the summary of the metric that it is judged by."""
    wanted = {(run.id, TASKS[run.task].headline_of(run.headline_metric).name) for run in runs}
    run_ids, names = {run_id for run_id, _ in wanted}, {name for _, name in wanted}
    columns = RunMetric.__table__.c  # type: ignore[attr-defined]
    rows = session.execute(select(*columns).where(columns.run_id.in_(run_ids), columns.name.in_(names)))
    return {row.run_id: row for row in rows if (row.run_id, row.name) in wanted}


def joined(query: Select[Any], *values: Value) -> Select[Any]:
    for value in values:
        for table, on in value.joins:
            query = query.outerjoin(table, on)
    return query


# ---------------------------------------------------------------- order


def order_of(sort: str) -> Order:
    """`sort`: the name of a field, with - in front to reverse. Raises BadInput if there is no such field."""
    name = sort.removeprefix("-")
    field = find_field(name) if cursors.is_storable(name) else None
    if field is None:
        usual = "Use the name of a field, for example created or metrics.eval_loss.best, with - to reverse."
        next_step = " ".join(filter(None, [hint_for(name), usual]))
        raise BadInput([FieldProblem("sort", sort, f"is {sort!r}, which is not a field", next_step)])
    if not field.is_sortable:
        raise BadInput([FieldProblem("sort", sort, f"is {sort!r}, which has no order", "Sort by another field.")])
    return Order(sort, field, value_of(field), sort.startswith("-"))


def _after(column: ColumnElement[Any], key: Key, run_id: str, *, is_falling: bool) -> ColumnElement[bool]:
    is_later_twin = col(Run.id) > run_id
    if key is None:
        return and_(column.is_(None), is_later_twin)
    is_beyond = column < key if is_falling else column > key
    return or_(is_beyond, and_(column == key, is_later_twin), column.is_(None))


# ---------------------------------------------------------------- filters


def conditions(session: Session, filter: Filter) -> list[ColumnElement[bool]]:
    try:
        condition = filter_text.parse(filter.text, now=filter.now, metrics=lambda: metric_names(session))
    except filter_text.FilterProblem as problem:
        raise problem.bad_input(filter.text) from problem
    where: list[ColumnElement[bool]] = []
    if not names_field(condition, "archived"):
        where.append(col(Run.archived_at).is_(None))
    if condition is not None:
        where.append(to_sql(condition))
    if filter.statuses:
        where.append(col(Run.status).in_(filter.statuses))
    if filter.methods:
        where.append(col(Run.method).in_(filter.methods))
    where += [
        col(Run.id).in_(select(col(RunTag.run_id)).where(col(RunTag.tag) == tag)) for tag in dict.fromkeys(filter.tags)
    ]
    words = list(dict.fromkeys(filter.search.split()))
    if len(words) > _MAX_WORDS:
        message = f"has {len(words)} words; at most {_MAX_WORDS} are allowed"
        raise BadInput([FieldProblem("search", filter.search, message, "Search for fewer words.")])
    for word in words:
        fields = (Run.name, Run.id, Run.model_id, Run.data_id)
        where.append(or_(*(col(field).icontains(word, autoescape=True) for field in fields)))
    return where
