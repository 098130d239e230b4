"""Measurements of a few steps before a launch. Only the newest are kept."""

from sqlalchemy import delete, select
from sqlmodel import Session, col

from rankscope.contract.config import RunConfig
from rankscope.contract.probes import ProbeResult
from rankscope.contract.tables import Probe
from rankscope.store.runs import new_run_id

MOST = 500


def add(session: Session, config: RunConfig, result: ProbeResult, *, now: float) -> None:
    """Stores a measurement, and deletes those beyond the newest `MOST`."""
    session.add(
        Probe(
            id=new_run_id(),
            created_at=now,
            model_id=config.model.id,
            method=config.method.name,
            task=config.task.name,
            config=config.model_dump(mode="json"),
            result=result.model_dump(mode="json"),
        )
    )
    session.flush()
    older = select(col(Probe.id)).order_by(col(Probe.created_at).desc(), col(Probe.id)).offset(MOST)
    session.execute(delete(Probe).where(col(Probe.id).in_(session.scalars(older).all())))


def like(session: Session, config: RunConfig, limit: int = 100) -> list[Probe]:
    """Returns the newest measurements with this model, method and task."""
    found = (
        select(Probe)
        .where(
            col(Probe.model_id) == config.model.id,
            col(Probe.method) == config.method.name,
            col(Probe.task) == config.task.name,
        )
        .order_by(col(Probe.created_at).desc())
        .limit(limit)
    )
    return list(session.scalars(found))
