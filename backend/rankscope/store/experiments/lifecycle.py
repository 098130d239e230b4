"""Starts, pauses, resumes, stops, extends and deletes experiments."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlmodel import Session

from rankscope.contract.errors import BadInput, FieldProblem, InvalidTransition
from rankscope.contract.experiments.design import Design, ExperimentStatus, TrialPurpose, TrialStatus
from rankscope.contract.experiments.tables import Experiment
from rankscope.store import trial_runs
from rankscope.store.experiments import experiments, trials
from rankscope.store.experiments.plan import MOST_TRIALS, ExperimentPlan
from rankscope.store.experiments.steps import ACTIVE, plan_more, release_waiting_runs

MOST_SEEDS = 200


class FinishedRun(NamedTuple):
    """A run that is the test of a variant at a seed, and need not be trained again."""

    run_id: str
    variant: str
    seed: int


def start(
    session: Session,
    design: Design,
    *,
    name: str,
    notes: str = "",
    now: float,
    finished: FinishedRun | None = None,
) -> Experiment:
    """Stores an experiment with its first trials, which are launched after it."""
    status = ExperimentStatus.tuning if design.tuning.trials else ExperimentStatus.testing
    experiment = experiments.create(session, design, name=name, notes=notes, source="launched", status=status, now=now)
    plan_more(session, experiment, now=now)
    for trial in trials.of(session, experiment.id, purposes=[TrialPurpose.test]):
        if finished is not None and (trial.variant, trial.seed) == (finished.variant, finished.seed):
            trials.attach_run(session, trial, finished.run_id, now=now)
    return experiment


def pause(session: Session, experiment_id: str, *, now: float) -> Experiment:
    """Starts no more runs. Running ones continue; queued ones are launched again after a resume."""
    experiment = experiments.get(session, experiment_id, for_update=True)
    if experiment.status not in ACTIVE:
        raise InvalidTransition(f"Experiment {experiment_id} is {experiment.status}; only a running one can be paused.")
    experiments.set_status(
        session,
        experiment_id,
        ExperimentStatus.paused,
        now=now,
        message="Paused.",
        next_step="Resume it to train the other trials.",
    )
    release_waiting_runs(session, experiment_id, now=now)
    return experiments.get(session, experiment_id)


def resume(session: Session, experiment_id: str, *, now: float) -> Experiment:
    """Continues a paused or stopped experiment."""
    experiment = experiments.get(session, experiment_id, for_update=True)
    if experiment.status not in (ExperimentStatus.paused, ExperimentStatus.stopped):
        raise InvalidTransition(
            f"Experiment {experiment_id} is {experiment.status}; only a paused or stopped one can be resumed."
        )
    experiments.set_status(session, experiment_id, ExperimentStatus.testing, now=now)
    plan_more(session, experiments.get(session, experiment_id), now=now)
    return experiments.get(session, experiment_id)


def stop(session: Session, experiment_id: str, *, now: float) -> tuple[Experiment, list[str]]:
    """Ends an experiment: starts no more runs, and stops the running ones. Returns their ids."""
    experiment = experiments.get(session, experiment_id, for_update=True)
    if experiment.status not in (*ACTIVE, ExperimentStatus.paused):
        raise InvalidTransition(
            f"Experiment {experiment_id} is {experiment.status}; only a running one can be stopped."
        )
    experiments.set_status(
        session,
        experiment_id,
        ExperimentStatus.stopped,
        now=now,
        message="Stopped before all trials had ended.",
        next_step="Resume it to train the others.",
    )
    return experiments.get(session, experiment_id), _end_runs(session, experiment_id, now=now)


def delete(session: Session, experiment_id: str, *, now: float) -> list[str]:
    """Deletes an experiment with its trials, and ends its runs: queued ones are deleted, running ones are stopped.

    Returns the ids of the stopped ones. Finished runs are kept. Raises NotFound.
    """
    experiments.get(session, experiment_id, for_update=True)
    stopped = _end_runs(session, experiment_id, now=now)
    experiments.remove(session, experiment_id)
    return stopped


def _end_runs(session: Session, experiment_id: str, *, now: float) -> list[str]:
    """Deletes runs that no worker has started, and stops the others. Returns the ids of the latter."""
    release_waiting_runs(session, experiment_id, now=now)
    stopped = []
    for trial in trials.of(session, experiment_id):
        is_running = trial.status == TrialStatus.running
        if is_running and trial.run_id and trial_runs.stop(session, trial.run_id, now=now):
            stopped.append(trial.run_id)
    return stopped


def extend(session: Session, experiment_id: str, seeds: Sequence[int], *, now: float) -> Experiment:
    """Adds seeds and the trials that they need. After more looks at the answer than planned, the result is marked."""
    experiment = experiments.get(session, experiment_id, for_update=True)
    if experiment.source != "launched" or experiment.status == ExperimentStatus.failed:
        what = "was imported" if experiment.source != "launched" else "has failed"
        raise InvalidTransition(f"Experiment {experiment_id} {what}; only a launched one can be extended.")
    design = experiments.design_of(experiment)
    known = {*design.seeds, *design.tuning.seeds}
    again = next((seed for at, seed in enumerate(seeds) if seed in known or seed in seeds[:at]), None)
    if again is not None:
        raise BadInput(
            [FieldProblem("seeds", list(seeds), f"has {again}, which is already one of its seeds", "Use new seeds.")]
        )
    longer = design.model_copy(update={"seeds": [*design.seeds, *seeds]})
    total = ExperimentPlan(longer).progress([]).total
    if len(longer.seeds) > MOST_SEEDS or total > MOST_TRIALS:
        raise BadInput(
            [
                FieldProblem(
                    "seeds",
                    list(seeds),
                    f"make {len(longer.seeds)} seeds and {total:,} runs; an experiment has at most {MOST_SEEDS} and "
                    f"{MOST_TRIALS:,}",
                    "Add fewer.",
                )
            ]
        )
    seen = experiment.seen_revision
    if seen is not None and (design.looked_at is None or seen > design.looked_at):
        longer = longer.model_copy(update={"used_looks": design.used_looks + 1, "looked_at": seen})
    experiments.set_design(session, experiment_id, longer, now=now)
    if longer.used_looks >= longer.planned_looks:
        experiments.mark_extended(session, experiment_id)
    if experiment.status in (ExperimentStatus.done, ExperimentStatus.stopped):
        experiments.set_status(session, experiment_id, ExperimentStatus.testing, now=now)
    current = experiments.get(session, experiment_id)
    if current.status in ACTIVE:
        plan_more(session, current, now=now)
    return experiments.get(session, experiment_id)
