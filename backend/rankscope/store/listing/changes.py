"""Which runs have changed since a cursor, so that readers don't have to read the list again.

Every insert and update of a run gives it a number (`contract.tables.next_change`). A cursor is the smallest number that a
change can have that its reader has not seen. On PostgreSQL that is the oldest transaction that was still running: what
committed since then may be reported twice, but is never missed.
"""

import re
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlmodel import Session, col

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.tables import DeletedRun, Run, next_change
from rankscope.store.listing.cursors import Key
from rankscope.store.listing.run_list import Filter, conditions, joined, order_of, read_runs

KEPT_S = 43_200.0
"""A cursor can be used for twelve hours: deletions are kept for a day."""
MOST = 500
_CURSOR = re.compile(r"(\d{1,18})-(\d{1,12})")


@dataclass(frozen=True)
class Changes:
    cursor: str
    runs: list[Run]
    """Those that match the filter."""
    keys: list[Key]
    """Each run's value in the sorted column."""
    gone: list[str]
    """Runs that were deleted or no longer match."""
    total: int
    is_reset: bool
    """The cursor is too old, or too much has changed: read the list again."""


def current_cursor(session: Session, *, now: float) -> str:
    """The cursor of what this transaction sees."""
    if session.get_bind().dialect.name == "postgresql":
        number = session.scalar(text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)"))
    else:
        number = session.scalar(select(next_change()))
    return f"{number}-{int(now)}"


def read_changes(session: Session, since: str, filter: Filter, *, sort: str, now: float) -> Changes:
    """What has changed since the cursor, for a list with this filter and order."""
    number, asked_at = _decode(since)
    cursor = current_cursor(session, now=now)
    latest = int(cursor.split("-")[0])
    order = order_of(sort)
    where = conditions(session, filter)
    changed = session.scalars(select(col(Run.id)).where(col(Run.changed) >= number).limit(MOST + 1)).all()
    deleted = session.scalars(select(col(DeletedRun.id)).where(col(DeletedRun.changed) >= number).limit(MOST + 1)).all()
    if now - asked_at > KEPT_S or number > latest or len(changed) > MOST or len(deleted) > MOST:
        return Changes(cursor, [], [], [], 0, is_reset=True)
    if not changed and not deleted:
        return Changes(cursor, [], [], [], -1, is_reset=False)
    column = order.value.column
    query = select(col(Run.id).label("id"), column.label("key")).where(col(Run.id).in_(changed), *where)
    rows = session.execute(joined(query, order.value)).all()
    found = read_runs(session, [row.id for row in rows], with_metrics=False)
    gone = [*deleted, *sorted(set(changed) - found.keys())]
    total = session.scalar(select(func.count()).select_from(Run).where(*where)) or 0
    return Changes(cursor, [found[row.id] for row in rows], [row.key for row in rows], gone, total, is_reset=False)


def _decode(since: str) -> tuple[int, int]:
    parts = _CURSOR.fullmatch(since)
    if parts is None:
        message = f"is {since[:50]!r}, which is not a cursor of this API"
        raise BadInput(
            [FieldProblem("since", since[:200], message, "Send `changes` of a list, or `cursor`, unchanged.")]
        )
    return int(parts[1]), int(parts[2])
