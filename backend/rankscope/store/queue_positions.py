"""Queue positions: which runs wait, in which order, and how to reorder them."""

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlmodel import Session, col

from rankscope.contract.errors import BadInput, FieldProblem, InvalidTransition
from rankscope.contract.status import CLAIMABLE
from rankscope.contract.tables import Run
from rankscope.store import runs


def waiting(*columns: Any) -> Select[Any]:
    """Runs that wait for a worker, in the order in which they will start."""
    return (
        select(*columns)
        .where(col(Run.status).in_(CLAIMABLE))
        .order_by(col(Run.priority).desc(), col(Run.queue_order), col(Run.id))
    )


def queue_positions(session: Session) -> dict[str, int]:
    """Run id -> position among the waiting runs; 1 is next."""
    return {run_id: index for index, run_id in enumerate(session.scalars(waiting(Run.id)), start=1)}


def waiting_runs(session: Session, *, limit: int) -> tuple[list[Run], int]:
    """The first waiting runs, next one first, and the number of all waiting runs."""
    total = session.scalar(select(func.count()).select_from(waiting(col(Run.id)).subquery())) or 0
    return list(session.scalars(waiting(Run).limit(limit))), total


def next_in_queue(session: Session, *, limit: int) -> list[str]:
    """The ids of the first waiting runs, next one first."""
    return list(session.scalars(waiting(Run.id).limit(limit)))


def reorder(session: Session, run_ids: Sequence[str]) -> list[Run]:
    """Distributes these runs, in this order, over the positions that they have now. A run gets the priority of its position.

    Raises InvalidTransition if a run no longer waits; nothing is changed then.
    """
    if len(set(run_ids)) != len(run_ids):
        raise BadInput([FieldProblem("run_ids", list(run_ids), "contains a run twice", "Send each run once.")])
    every = list(session.scalars(waiting(Run).with_for_update()))
    by_id = {run.id: run for run in every}
    for run_id in run_ids:
        if run_id not in by_id:
            run = runs.get_run(session, run_id)
            raise InvalidTransition(
                f"Run {run_id} is {run.status}; only waiting runs have a position.", "Reload the queue."
            )
    chosen = set(run_ids)
    new_order = iter(run_ids)
    arranged = [by_id[next(new_order)] if run.id in chosen else run for run in every]
    places = [(run.priority, run.queue_order) for run in every]
    last: tuple[int, float] | None = None
    for (priority, order), run in zip(places, arranged, strict=True):
        if last is not None and last[0] == priority:
            # Two runs queued at the same moment have the same order; their positions must differ.
            order = max(order, math.nextafter(last[1], math.inf))
        last = run.priority, run.queue_order = priority, order
        session.add(run)
    session.flush()
    return arranged
