"""Computed answers: kept until a trial or the design changes."""

from sqlalchemy import select, update
from sqlmodel import Session, col, delete

from rankscope.contract.experiments.answer import ANSWER_FORMAT
from rankscope.contract.experiments.tables import Experiment, ExperimentAnswer

MOST_SELECTIONS = 50


def find(session: Session, experiment: Experiment, selection: str) -> str | None:
    """Returns the stored answer as JSON, if it is of this revision and version."""
    found = session.get(ExperimentAnswer, (experiment.id, selection), populate_existing=True)
    if found is None or (found.revision, found.format) != (experiment.revision, ANSWER_FORMAT):
        return None
    return found.answer


def save(
    session: Session, experiment_id: str, selection: str, revision: int, answer: str, *, has_results: bool
) -> None:
    """Stores an answer that is about to be shown, unless the experiment has changed or was deleted."""
    query = select(col(Experiment.revision)).where(col(Experiment.id) == experiment_id).with_for_update()
    if session.scalar(query) != revision:
        return
    of = col(ExperimentAnswer.experiment_id) == experiment_id
    outdated = (col(ExperimentAnswer.revision) != revision) | (col(ExperimentAnswer.selection) == selection)
    session.execute(delete(ExperimentAnswer).where(of, outdated))
    if len(session.scalars(select(col(ExperimentAnswer.selection)).where(of)).all()) >= MOST_SELECTIONS:
        session.execute(delete(ExperimentAnswer).where(of))
    session.add(
        ExperimentAnswer(
            experiment_id=experiment_id, selection=selection, revision=revision, format=ANSWER_FORMAT, answer=answer
        )
    )
    session.flush()
    if has_results:
        seen = update(Experiment).where(col(Experiment.id) == experiment_id).values(seen_revision=revision)
        session.execute(seen)
