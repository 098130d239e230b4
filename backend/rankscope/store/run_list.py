"""The list of runs: filters, order, and pages that start after the last row of the previous page.

A page begins after a row, not after a number of rows: a run that is launched or deleted in the meantime shifts nothing. A run
whose value in the sorted column changes between two pages appears at its new position.
"""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    String,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import defer
from sqlmodel import Session, col

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.metrics import Metric
from rankscope.contract.tables import Run
from rankscope.contract.tasks import TASKS

Key = str | int | float | None
"""A row's value in the sorted column."""

_LONGEST_CURSOR = 4000
_MAX_WORDS = 20


@dataclass(frozen=True)
class Filter:
    """Any of `statuses`, any of `methods`, all of `tags` (exactly as written), all words of `search` (in any case)."""

    statuses: Sequence[str] = ()
    tags: Sequence[str] = ()
    methods: Sequence[str] = ()
    search: str = ""


@dataclass(frozen=True)
class Page:
    runs: list[Run]
    next_cursor: str | None
    total: int


def list_runs(
    session: Session, filter: Filter, *, sort: str = "-created_at", limit: int = 100, cursor: str | None = None
) -> Page:
    """One page, and the number of all runs that match the filter. Runs without a value in the sorted column come last."""
    dialect = session.get_bind().dialect.name
    column = _sorted_column(sort, dialect)
    where = _conditions(filter, dialect)
    total = session.scalar(select(func.count()).select_from(Run).where(*where)) or 0
    is_falling = sort.startswith("-")
    order = column.desc().nulls_last() if is_falling else column.asc().nulls_last()
    if cursor is not None:
        where.append(_after(column, *_decode(cursor, sort), is_falling=is_falling))
    # Lists don't show these, and reading a page of large configurations takes seconds.
    unread = [defer(getattr(Run, name)) for name in ("config", "environment", "notes")]
    rows = session.execute(
        select(Run, column.label("key")).options(*unread).where(*where).order_by(order, col(Run.id)).limit(limit + 1)
    ).all()
    shown = rows[:limit]
    next_cursor = _encode(sort, shown[-1].key, shown[-1].Run.id) if len(rows) > limit else None
    return Page([row.Run for row in shown], next_cursor, total)


# ---------------------------------------------------------------- order

SORTS = (
    "created_at",
    "name",
    "status",
    "method",
    "model_id",
    "data_id",
    "step",
    "live",
    "mean_rank",
    "headline",
    "accuracy",
    "priority",
)
_INTEGERS = frozenset({"step", "live", "priority"})
_FLOATS = frozenset({"created_at", "mean_rank", "headline", "accuracy"})


def _sorted_column(sort: str, dialect: str) -> ColumnElement[Any]:
    match sort.removeprefix("-"):
        case "mean_rank":
            return cast(Run.live, Float) / func.nullif(Run.n_modules, 0)
        case "headline" | "accuracy":  # its name before there were tasks
            return _headline(dialect)
        case "status":
            return type_coerce(col(Run.status), String)  # as text, because a cursor may contain any value
        case field if field in SORTS:
            return type_coerce(col(getattr(Run, field)), getattr(Run, field).type)
        case _:
            raise BadInput(
                [
                    FieldProblem(
                        "sort", sort, f"is {sort!r}", f"Use one of {', '.join(SORTS)}, with - in front to reverse."
                    )
                ]
            )


def _headline(dialect: str) -> ColumnElement[Any]:
    """The best value of the run's headline metric."""
    usual = case(*((col(Run.task) == name, kind.usual_headline().name) for name, kind in TASKS.items()))
    chosen = func.coalesce(col(Run.headline_metric), usual)
    known = {metric.name: metric for kind in TASKS.values() for metric in kind.described()}
    names = dict.fromkeys(name for kind in TASKS.values() for name in kind.best_by())
    return case(*((chosen == name, _best(dialect, known[name])) for name in names))


def _best(dialect: str, metric: Metric) -> ColumnElement[Any]:
    """The best value of a metric; NULL if it has no finite value (other values are stored as text)."""
    best = "min" if metric.lower_is_better else "max"
    if dialect == "postgresql":
        value = cast(col(Run.metrics), JSONB)[metric.name][best]
        return case((func.jsonb_typeof(value) == "number", cast(value.astext, Float)))
    path = f'$."{metric.name}"."{best}"'
    is_number = func.json_type(col(Run.metrics), path).in_(["integer", "real"])
    return case((is_number, cast(func.json_extract(col(Run.metrics), path), Float)))


def _after(column: ColumnElement[Any], key: Key, run_id: str, *, is_falling: bool) -> ColumnElement[bool]:
    is_later_twin = col(Run.id) > run_id
    if key is None:
        return and_(column.is_(None), is_later_twin)
    is_beyond = column < key if is_falling else column > key
    return or_(is_beyond, and_(column == key, is_later_twin), column.is_(None))


def _encode(sort: str, key: Key, run_id: str) -> str:
    text = json.dumps([sort, key, run_id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str, sort: str) -> tuple[Key, str]:
    """The last row's key and id. Raises BadInput for a cursor that this API did not issue, or issued for another order."""
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError("too long")
        own_sort, key, run_id = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        if not isinstance(own_sort, str) or not _is_key(key, own_sort) or not _is_storable(run_id):
            raise ValueError("odd parts")
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        message = f"is {cursor[:50]!r}, which is not a cursor of this API"
        raise BadInput([FieldProblem("cursor", cursor[:200], message, "Send next_cursor unchanged.")]) from error
    if own_sort != sort:
        message = f"belongs to a list sorted by {own_sort!r}, not by {sort!r}"
        raise BadInput(
            [FieldProblem("cursor", cursor, message, "Start without a cursor after changing the sort order.")]
        )
    return key, run_id


def _is_key(key: object, sort: str) -> bool:
    if key is None:
        return True
    field = sort.removeprefix("-")
    if field in _INTEGERS:
        return isinstance(key, int) and not isinstance(key, bool) and abs(key) < 2**31
    if field in _FLOATS:
        return isinstance(key, float) and math.isfinite(key)
    return _is_storable(key)


def _is_storable(text: object) -> bool:
    """Whether both databases can compare with this text: no NUL, no lone surrogates."""
    return isinstance(text, str) and "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


# ---------------------------------------------------------------- filters


def _conditions(filter: Filter, dialect: str) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if filter.statuses:
        where.append(col(Run.status).in_(filter.statuses))
    if filter.methods:
        where.append(col(Run.method).in_(filter.methods))
    where += [_has_tag(tag, dialect) for tag in dict.fromkeys(filter.tags)]
    words = list(dict.fromkeys(filter.search.split()))
    if len(words) > _MAX_WORDS:
        message = f"has {len(words)} words; at most {_MAX_WORDS} are allowed"
        raise BadInput([FieldProblem("search", filter.search, message, "Search for fewer words.")])
    for word in words:
        fields = (Run.name, Run.id, Run.model_id, Run.data_id)
        where.append(or_(*(col(field).icontains(word, autoescape=True) for field in fields)))
    return where


def _has_tag(tag: str, dialect: str) -> ColumnElement[bool]:
    """Whether the run has exactly this tag. Tags are a JSON list, which escapes some characters."""
    if dialect == "postgresql":
        tags = func.json_array_elements_text(Run.tags).table_valued("value")
        # json_array_elements_text fails on a NUL, which older versions accepted.
        return case(
            (cast(Run.tags, String).contains("\\u0000", autoescape=True), false()),
            else_=exists(select(literal(1)).select_from(tags).where(tags.c.value == tag)),
        )
    tags = func.json_each(Run.tags).table_valued("value")
    return exists(select(literal(1)).select_from(tags).where(tags.c.value == tag))
