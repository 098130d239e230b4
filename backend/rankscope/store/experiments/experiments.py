"""Experiments: create, find, rename, change status, delete."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlmodel import Session, col, delete

from rankscope.contract.errors import NotFound
from rankscope.contract.experiments.design import Design, ExperimentStatus, TrialStatus
from rankscope.contract.experiments.tables import Experiment, ExperimentAnswer, Trial, TrialRows
from rankscope.store.runs import new_run_id


class TrialCounts(NamedTuple):
    planned: int
    running: int
    done: int
    failed: int


def create(
    session: Session,
    design: Design,
    *,
    name: str,
    source: str,
    status: ExperimentStatus,
    now: float,
    notes: str = "",
) -> Experiment:
    """Stores an experiment without trials."""
    experiment = Experiment(
        id=new_run_id(),
        name=name,
        notes=notes,
        source=source,
        status=status,
        design=design.model_dump(mode="json"),
        created_at=now,
        updated_at=now,
    )
    session.add(experiment)
    session.flush()
    return experiment


def get(session: Session, experiment_id: str, *, for_update: bool = False) -> Experiment:
    """Returns the experiment. `for_update`: no other transaction changes it before this one ends. Raises NotFound."""
    found = session.get(Experiment, experiment_id, populate_existing=True, with_for_update=for_update or None)
    if found is None:
        raise NotFound(f"There is no experiment {experiment_id!r}.", "The list of experiments shows all of them.")
    return found


def design_of(experiment: Experiment) -> Design:
    return Design.model_validate(experiment.design)


def list_all(session: Session, *, limit: int = 1000) -> list[Experiment]:
    """Returns the newest experiments."""
    query = select(Experiment).order_by(col(Experiment.created_at).desc(), col(Experiment.id)).limit(limit)
    return list(session.scalars(query))


def counts(session: Session, experiment_ids: Sequence[str]) -> dict[str, TrialCounts]:
    """Returns the number of trials of each experiment, by status."""
    query = (
        select(col(Trial.experiment_id), col(Trial.status), func.count())
        .where(col(Trial.experiment_id).in_(experiment_ids))
        .group_by(col(Trial.experiment_id), col(Trial.status))
    )
    found: dict[str, dict[TrialStatus, int]] = {each: {} for each in experiment_ids}
    for experiment_id, status, n in session.execute(query):
        found[experiment_id][status] = n
    return {each: TrialCounts(*(n.get(status, 0) for status in TrialStatus)) for each, n in found.items()}


def change(session: Session, experiment_id: str, *, name: str | None, notes: str | None, now: float) -> Experiment:
    """Renames an experiment, or changes its notes; None leaves a field as it is."""
    experiment = get(session, experiment_id, for_update=True)
    experiment.name = experiment.name if name is None else name
    experiment.notes = experiment.notes if notes is None else notes
    experiment.updated_at = now
    session.add(experiment)
    session.flush()
    return experiment


def set_status(
    session: Session,
    experiment_id: str,
    status: ExperimentStatus,
    *,
    now: float,
    message: str | None = None,
    next_step: str | None = None,
) -> None:
    values = {"status": status, "message": message, "next_step": next_step, "updated_at": now}
    session.execute(update(Experiment).where(col(Experiment.id) == experiment_id).values(**values))


def set_design(session: Session, experiment_id: str, design: Design, *, now: float) -> None:
    """Replaces the design, for example by one with more seeds."""
    values = {"design": design.model_dump(mode="json")}
    session.execute(update(Experiment).where(col(Experiment.id) == experiment_id).values(**values))
    touch(session, experiment_id, now=now)


def mark_extended(session: Session, experiment_id: str) -> None:
    """Marks that unplanned seeds were added after the answer had been shown."""
    query = update(Experiment).where(col(Experiment.id) == experiment_id)
    session.execute(query.values(is_extended_after_looking=True))


def touch(session: Session, experiment_id: str, *, now: float) -> None:
    """Invalidates the answer, because a trial or the design has changed."""
    query = update(Experiment).where(col(Experiment.id) == experiment_id)
    session.execute(query.values(revision=Experiment.revision + 1, updated_at=now))


def remove(session: Session, experiment_id: str) -> None:
    """Deletes an experiment with its trials; their runs are kept. Raises NotFound."""
    get(session, experiment_id, for_update=True)
    for table in (ExperimentAnswer, TrialRows, Trial):
        session.execute(delete(table).where(col(table.experiment_id) == experiment_id))
    session.execute(delete(Experiment).where(col(Experiment.id) == experiment_id))
