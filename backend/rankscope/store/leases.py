"""Leases on the rows that workers process, used by runs and jobs: claim, renew, and find those of lost workers.

`attempt` is a fencing token. A claim increments it, and every write of a worker names its attempt. So a worker that was
frozen and wakes up after its row was taken over can't write anything.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Select, select, update
from sqlmodel import Session, col

from rankscope.contract.errors import LeaseLost
from rankscope.contract.jobs import JOB_CLAIMABLE, JOB_OWNED
from rankscope.contract.status import CLAIMABLE, OWNED
from rankscope.contract.tables import Job, Run

Owned = TypeVar("Owned", Run, Job)


class Lease(NamedTuple):
    """The attempt that may write to a row, and when the lease expires by its worker's clock. Every renewal changes it."""

    id: str
    attempt: int
    expires_at: float | None


@dataclass(frozen=True)
class Leases(Generic[Owned]):
    """The leases on the rows of one table; `claimable` and `owned` are values of its `status`."""

    table: type[Owned]
    claimable: Collection[Any]
    owned: Collection[Any]

    def claim(
        self,
        session: Session,
        best: Select[Any],
        *,
        worker: str,
        lease_s: float,
        now: float,
        values: Mapping[str, object],
        returning: Sequence[Any] = (),
    ) -> tuple[Any, ...] | None:
        """Claims the first row of `best` with one UPDATE. Returns (id, attempt, *returning), or None if there is no row.

        Two workers never get the same row: SQLite has one writer at a time, and PostgreSQL locks the row and skips rows
        that are locked.
        """
        table = self.table
        first = best.limit(1).with_for_update(skip_locked=True).scalar_subquery()
        row = session.execute(
            update(table)
            .where(col(table.id) == first, col(table.status).in_(self.claimable))
            .values(
                attempt=col(table.attempt) + 1,
                worker=worker,
                lease_expires_at=now + lease_s,
                updated_at=now,
                **values,
            )
            .returning(col(table.id), col(table.attempt), *returning)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        return None if row is None else tuple(row)

    def change(
        self, session: Session, id: str, attempt: int, values: Mapping[str, object], returning: Sequence[Any] = ()
    ) -> tuple[Any, ...]:
        """Writes `values` to a row that this attempt owns, and returns (id, *returning). Raises LeaseLost if it doesn't own it."""
        table = self.table
        row = session.execute(
            update(table)
            .where(col(table.id) == id, col(table.attempt) == attempt, col(table.status).in_(self.owned))
            .values(**values)
            .returning(col(table.id), *returning)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if row is None:
            raise self.lost(id, attempt)
        return tuple(row)

    def lost(self, id: str, attempt: int) -> LeaseLost:
        """Returns the error for an attempt that does not own the row."""
        return LeaseLost(f"Attempt {attempt} no longer owns {self.table.__tablename__} {id}.")

    def held(self, session: Session) -> list[Lease]:
        """Returns all current leases."""
        table = self.table
        rows = session.execute(
            select(col(table.id), col(table.attempt), col(table.lease_expires_at)).where(
                col(table.status).in_(self.owned)
            )
        )
        return [Lease(*row) for row in rows]

    def lapsed(self, session: Session, *, now: float, lapsed: Collection[Lease] | None) -> list[Owned]:
        """Locks and returns the rows whose lease has lapsed.

        `lapsed`: leases that have not changed for too long, unless they have been renewed since. None: the leases that expired
        before `now`.
        """
        table = self.table
        query = select(table).where(col(table.status).in_(self.owned)).with_for_update(skip_locked=True)
        if lapsed is None:
            query = query.where(col(table.lease_expires_at) < now)
        else:
            query = query.where(col(table.id).in_([lease.id for lease in lapsed]))
        return [
            row
            for row in session.scalars(query)
            if lapsed is None or Lease(row.id, row.attempt, row.lease_expires_at) in lapsed
        ]

    def of_worker(self, session: Session, worker: str) -> list[Owned]:
        """Locks and returns the rows that this worker has claimed."""
        table = self.table
        query = select(table).where(col(table.status).in_(self.owned), col(table.worker) == worker)
        return list(session.scalars(query.with_for_update()))


RUNS = Leases(Run, claimable=CLAIMABLE, owned=OWNED)
JOBS = Leases(Job, claimable=JOB_CLAIMABLE, owned=JOB_OWNED)
