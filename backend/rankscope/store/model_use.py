"""Which runs use which model."""

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlmodel import Session, col

from rankscope.contract.status import TERMINAL, RunStatus
from rankscope.contract.tables import Run

_SHOWN = 3


@dataclass(frozen=True)
class ModelUse:
    """The number of runs with a model, and the one that was launched last."""

    runs: int
    active: int
    """Runs that are not terminal."""
    last_id: str
    last_name: str
    last_status: RunStatus
    last_at: float


def model_use(session: Session) -> dict[str, ModelUse]:
    """Returns the use of every model that a run was launched with, by model id."""
    model = col(Run.model_id)
    rows = select(
        model,
        func.count().over(partition_by=model).label("runs"),
        func.sum(case((col(Run.status).in_(TERMINAL), 0), else_=1)).over(partition_by=model).label("active"),
        col(Run.id),
        col(Run.name),
        col(Run.status),
        col(Run.created_at),
        func.row_number().over(partition_by=model, order_by=(col(Run.created_at).desc(), col(Run.id))).label("place"),
    ).subquery()
    found = session.execute(select(rows).where(rows.c.place == 1))
    return {row.model_id: ModelUse(row.runs, row.active, row.id, row.name, row.status, row.created_at) for row in found}


def why_in_use(session: Session, model_id: str) -> str | None:
    """Returns the runs that need the model now, in a sentence; None if there are none."""
    query = (
        select(col(Run.id), col(Run.status))
        .where(col(Run.model_id) == model_id, col(Run.status).not_in(TERMINAL))
        .order_by(col(Run.created_at))
    )
    found = session.execute(query.limit(_SHOWN + 1)).all()
    if not found:
        return None
    runs = ", ".join(f"{row.id} ({row.status})" for row in found[:_SHOWN])
    return f"it is used by {runs}{' and more' if len(found) > _SHOWN else ''}. Stop or delete these runs first."
