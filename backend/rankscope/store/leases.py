"""Leases of workers on rows that they work on: claim, renew, and find those whose worker is gone. Runs and jobs use them.

`attempt` is the fence. A claim raises it, and every write of a worker names the attempt it belongs to: a worker that was
frozen and wakes up after its row was taken over writes nothing.
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
    """Who may write to a row, and until when by its worker's clock; each renewal makes another one."""

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
        """Takes the first row of `best`, by one UPDATE: (id, attempt, *returning). None when there is no row.

        Two workers never get the same row: SQLite has one writer at a time; on PostgreSQL the row is locked, and rows
        that others have locked are skipped.
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
        """Writes `values` to a row that this attempt owns, and returns (id, *returning). Raises LeaseLost if it does not."""
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
        return LeaseLost(f"Attempt {attempt} no longer owns {self.table.__tablename__} {id}.")

    def held(self, session: Session) -> list[Lease]:
        """Every lease as it is now."""
        table = self.table
        rows = session.execute(
            select(col(table.id), col(table.attempt), col(table.lease_expires_at)).where(
                col(table.status).in_(self.owned)
            )
        )
        return [Lease(*row) for row in rows]

    def lapsed(self, session: Session, *, now: float, lapsed: Collection[Lease] | None) -> list[Owned]:
        """Locks and returns the rows whose lease has lapsed.

        `lapsed`: leases that have not changed for too long; those that have been renewed since are left out. None: the
        leases that are over by `now`.
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
        """Locks and returns the rows that a worker holds."""
        table = self.table
        query = select(table).where(col(table.status).in_(self.owned), col(table.worker) == worker)
        return list(session.scalars(query.with_for_update()))


RUNS = Leases(Run, claimable=CLAIMABLE, owned=OWNED)
JOBS = Leases(Job, claimable=JOB_CLAIMABLE, owned=JOB_OWNED)
