"""Runs in groups with equal values of some fields, with mean and standard deviation of others."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.tables import Run
from rankscope.store.listing.cells import Cell, as_kind
from rankscope.store.listing.fields import Field
from rankscope.store.listing.run_list import Filter, conditions, joined
from rankscope.store.listing.values import value_of

MOST_GROUPS = 500


@dataclass(frozen=True)
class Spread:
    """Of the runs of a group that have a value. `sd` is that of a sample; None for a single run."""

    n: int
    mean: float | None
    sd: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True)
class Group:
    keys: list[Cell]
    run_ids: list[str]
    spreads: list[Spread]


def read_groups(
    session: Session, filter: Filter, *, by: Sequence[Field], of: Sequence[Field], falling: bool
) -> tuple[list[Group], int]:
    """The groups, ordered by the mean of the first of `of`, and how many there are; at most 500 are returned."""
    values = [value_of(field) for field in (*by, *of)]
    columns = [value.column.label(f"v{place}") for place, value in enumerate(values)]
    query = select(col(Run.id), *columns).where(*conditions(session, filter)).order_by(col(Run.created_at), col(Run.id))
    members: dict[tuple[Any, ...], list[Any]] = {}
    for row in session.execute(joined(query, *values)):
        members.setdefault(tuple(row[1 : 1 + len(by)]), []).append(row)
    groups = [
        Group(
            [as_kind(field, value) for field, value in zip(by, key, strict=True)],
            [row[0] for row in rows],
            [_spread([row[1 + len(by) + place] for row in rows]) for place in range(len(of))],
        )
        for key, rows in members.items()
    ]

    def order(group: Group) -> tuple[bool, float, str]:
        mean = group.spreads[0].mean if group.spreads else -len(group.run_ids)
        return (mean is None, (-1 if falling else 1) * (mean or 0.0), str(group.keys))

    return sorted(groups, key=order)[:MOST_GROUPS], len(groups)


def _spread(values: Sequence[float | None]) -> Spread:
    known = [float(value) for value in values if value is not None]
    if not known:
        return Spread(0, None, None, None, None)
    sd = statistics.stdev(known) if len(known) > 1 else None
    return Spread(len(known), statistics.fmean(known), sd, min(known), max(known))
