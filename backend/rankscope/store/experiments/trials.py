"""Trials: plan them, attach their runs, store their results. Every change invalidates the answer of the experiment."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select, update
from sqlmodel import Session, col, delete

from rankscope.contract.experiments.design import Collapse, TrialPurpose, TrialStatus
from rankscope.contract.experiments.tables import Trial, TrialRows
from rankscope.store.experiments import row_scores
from rankscope.store.experiments.experiments import touch
from rankscope.store.experiments.plan import LEARNING_RATE, SOURCE_TRIAL


@dataclass(frozen=True)
class TrialResult:
    """What a finished training has measured; see the columns of `Trial`."""

    value: float | None
    metrics: dict[str, float | str] = field(default_factory=dict)
    ranks: dict[str, int] | None = None
    kept_parameters: int | None = None
    collapse: Collapse | None = None


def add(session: Session, experiment_id: str, trials: Sequence[Trial], *, now: float) -> None:
    """Stores new trials of an experiment, which have their numbers. IntegrityError if a number exists."""
    for trial in trials:
        trial.experiment_id = experiment_id
    session.add_all(trials)
    session.flush()
    touch(session, experiment_id, now=now)


def of(session: Session, experiment_id: str, *, purposes: Collection[TrialPurpose] | None = None) -> list[Trial]:
    """Returns the trials of an experiment by number; only those for `purposes` unless it is None."""
    query = select(Trial).where(col(Trial.experiment_id) == experiment_id)
    if purposes is not None:
        query = query.where(col(Trial.purpose).in_(purposes))
    return list(session.scalars(query.order_by(col(Trial.number)).execution_options(populate_existing=True)))


def counts(session: Session, experiment_ids: Sequence[str], *, purpose: TrialPurpose) -> dict[str, int]:
    """Returns the number of trials with this purpose of each experiment."""
    of = (col(Trial.experiment_id).in_(experiment_ids), col(Trial.purpose) == purpose)
    query = select(col(Trial.experiment_id), func.count()).where(*of).group_by(col(Trial.experiment_id))
    return dict.fromkeys(experiment_ids, 0) | {each: int(n) for each, n in session.execute(query)}


def learning_rate_of(trial: Trial) -> float | None:
    """Returns the rate that the trial chose, or that was imported as a number with it."""
    rate = trial.options.get(LEARNING_RATE)
    return float(rate) if isinstance(rate, int | float) else None


def source_of(trial: Trial) -> int | None:
    """Returns the number of the trial whose ranks a control gets."""
    number = trial.options.get(SOURCE_TRIAL)
    return number if isinstance(number, int) else None


def of_run(session: Session, run_id: str) -> list[Trial]:
    """Returns the trials that a run was launched for."""
    query = select(Trial).where(col(Trial.run_id) == run_id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def attach_run(session: Session, trial: Trial, run_id: str, *, now: float) -> None:
    """Stores that a run was launched for a planned trial."""
    _change(session, trial, {"run_id": run_id, "status": TrialStatus.running}, now=now)


def detach_run(session: Session, trial: Trial, *, now: float) -> None:
    """Stores that a trial waits for a run again, because its run was deleted before it had started."""
    _change(session, trial, {"run_id": None, "status": TrialStatus.planned}, now=now)


def finish(
    session: Session, trial: Trial, result: TrialResult, *, now: float, scores: Sequence[float] | None = None
) -> None:
    """Stores the result of a trial. `scores`: one number per evaluation row, whose mean is `result.value`."""
    values: dict[str, object] = {
        "status": TrialStatus.done,
        "value": result.value,
        "metrics": result.metrics,
        "ranks": result.ranks,
        "kept_parameters": result.kept_parameters,
        "collapse": result.collapse,
        "message": None,
    }
    _change(session, trial, values, now=now)
    if scores is not None:
        set_scores(session, trial.experiment_id, {trial.number: scores})


def fail(session: Session, trial: Trial, message: str, *, now: float) -> None:
    """Stores that a trial ended without a result."""
    _change(session, trial, {"status": TrialStatus.failed, "message": message}, now=now)


def set_scores(session: Session, experiment_id: str, scores: Mapping[int, Sequence[float]]) -> None:
    """Stores the scores of the evaluation rows of trials, by number of the trial."""
    for number, values in scores.items():
        at = (col(TrialRows.experiment_id) == experiment_id, col(TrialRows.number) == number)
        session.execute(delete(TrialRows).where(*at))
        packed = row_scores.pack(values)
        session.add(TrialRows(experiment_id=experiment_id, number=number, n=len(values), scores=packed))
    session.flush()


def scores_of(session: Session, experiment_id: str) -> dict[int, bytes]:
    """Returns the packed scores of all trials that have some, by number of the trial (see `row_scores.unpack`)."""
    query = select(col(TrialRows.number), col(TrialRows.scores)).where(col(TrialRows.experiment_id) == experiment_id)
    return {row.number: row.scores for row in session.execute(query)}


def _change(session: Session, trial: Trial, values: dict[str, object], *, now: float) -> None:
    at = (col(Trial.experiment_id) == trial.experiment_id, col(Trial.number) == trial.number)
    session.execute(update(Trial).where(*at).values(**values))
    session.refresh(trial)
    touch(session, trial.experiment_id, now=now)
