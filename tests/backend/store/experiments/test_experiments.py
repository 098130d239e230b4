"""Experiments and trials in both databases."""

import numpy as np
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from rankscope.contract.errors import NotFound
from rankscope.contract.experiments.design import ExperimentStatus, TrialPurpose, TrialStatus
from rankscope.contract.experiments.tables import Trial
from rankscope.store.database.engine import reading, writing
from rankscope.store.experiments import experiments, row_scores, trials
from tests.backend.store_setup import experiment_with_trial


def test_result_of_a_trial_is_read_as_it_was_stored(engine: Engine) -> None:
    experiment_id = experiment_with_trial(engine, run_id="run1")
    with reading(engine) as session:
        (trial,) = trials.of(session, experiment_id)
        assert (trial.run_id, trial.status, trial.value) == ("run1", TrialStatus.done, 2 / 3)
        assert trial.ranks == {"a": 4, "b": 0}
        assert trial.metrics == {"eval_accuracy": 2 / 3, "eval_loss": "NaN"}
        assert row_scores.unpack(trials.scores_of(session, experiment_id)[1]).tolist() == [1.0, 0.0, 1.0]
        assert [each.number for each in trials.of_run(session, "run1")] == [1]
        assert trials.of(session, experiment_id, purposes=[TrialPurpose.tune]) == []
        assert experiments.counts(session, [experiment_id]) == {experiment_id: (0, 0, 1, 0)}


def test_every_change_of_a_trial_invalidates_the_answer(engine: Engine) -> None:
    experiment_id = experiment_with_trial(engine)
    with writing(engine) as session:
        before = experiments.get(session, experiment_id).revision
        (trial,) = trials.of(session, experiment_id)
        trials.fail(session, trial, "Out of memory.", now=5.0)
        experiment = experiments.get(session, experiment_id)
        assert (experiment.revision, experiment.updated_at, trial.status) == (before + 1, 5.0, TrialStatus.failed)


def test_a_trial_is_never_planned_twice(engine: Engine) -> None:
    experiment_id = experiment_with_trial(engine)
    with reading(engine) as session:
        (planned,) = trials.of(session, experiment_id)
        again = Trial(**planned.model_dump())
    with pytest.raises(IntegrityError), writing(engine) as session:
        trials.add(session, experiment_id, [again], now=5.0)


def test_deleted_experiment_leaves_nothing(engine: Engine) -> None:
    experiment_id = experiment_with_trial(engine)
    with writing(engine) as session:
        experiments.set_status(session, experiment_id, ExperimentStatus.done, now=5.0)
        experiments.remove(session, experiment_id)
    with reading(engine) as session, pytest.raises(NotFound, match=f"There is no experiment '{experiment_id}'"):
        experiments.get(session, experiment_id)
    with reading(engine) as session:
        for name in ("experiment", "trial", "trial_rows", "experiment_answer"):
            assert session.scalar(select(func.count()).select_from(SQLModel.metadata.tables[name])) == 0


def test_scores_keep_their_values_and_their_length_is_bounded() -> None:
    scores = np.random.default_rng(0).normal(size=1000).astype("f4")
    assert row_scores.unpack(row_scores.pack(scores.tolist())).tolist() == scores.tolist()
    with pytest.raises(ValueError, match="5,000,001 rows"):
        row_scores.pack(range(5_000_001))
