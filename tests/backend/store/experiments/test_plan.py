"""The plan of an experiment, driven by a simulation: what is trained when, and that nothing is trained twice."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from rankscope.contract.experiments.design import (
    ControlKind,
    Design,
    ExperimentMetric,
    ExperimentTask,
    Role,
    TrialPurpose,
    TrialStatus,
    Tuning,
    Variant,
)
from rankscope.store.experiments.plan import ExperimentPlan, KnownTrial, NewTrial

CONTROLS = [Variant(name=kind, role=Role.control, control=kind, of="ours") for kind in ControlKind]
VARIANTS = [Variant(name="plain", role=Role.baseline), Variant(name="ours"), *CONTROLS]
Score = Callable[[NewTrial], float | None]


def design(**changes: Any) -> Design:
    settings: dict[str, Any] = {
        "metric": ExperimentMetric(name="eval_accuracy", title="accuracy"),
        "tasks": [ExperimentTask(name="reviews")],
        "variants": VARIANTS,
        "budgets": [1.0, 2.0],
        "seeds": [0, 1, 2],
        "tuning": Tuning(trials=3, seeds=[100], lowest_rate=1e-4, highest_rate=1e-2),
    }
    return Design(**(settings | changes))


def best_at(rate: float) -> Score:
    return lambda trial: -abs(math.log(float(trial.options["learning_rate"]) / rate))


class Simulation:
    """Ends the running trials one by one, in the order in which one or two workers would."""

    def __init__(self, of: Design, score: Score, fails: Callable[[NewTrial], bool] = lambda _: False) -> None:
        self.plan = ExperimentPlan(of)
        self.trials: list[KnownTrial] = []
        self.made: list[NewTrial] = []
        self._add(self.plan.initial())
        while running := [at for at, one in enumerate(self.trials) if one.status == TrialStatus.running]:
            assert not self.plan.progress(self.trials).is_done
            at = running[-1] if len(self.trials) % 2 else running[0]
            one, new = self.trials[at], self.made[at]
            value = None if fails(new) else score(new) if "learning_rate" in new.options else 0.5
            status = TrialStatus.failed if fails(new) else TrialStatus.done
            self.trials[at] = KnownTrial(
                one.number, one.purpose, status, one.cell, one.seed, one.options, value, status == TrialStatus.done
            )
            added = self.plan.trial_ended(self.trials)
            self._add(added)
            if any(each.failure for each in added):
                self._add(self.plan.trial_ended(self.trials))
            assert self.plan.trial_ended(self.trials) == []

    def _add(self, new: list[NewTrial]) -> None:
        for one in new:
            status = TrialStatus.running if one.failure is None else TrialStatus.failed
            self.made.append(one)
            number = len(self.made)
            self.trials.append(KnownTrial(number, one.purpose, status, one.cell, one.seed, one.options))

    def count(self) -> Counter[str]:
        return Counter(one.purpose for one in self.trials)

    def rates(self, purpose: TrialPurpose) -> set[float]:
        return {float(one.options["learning_rate"]) for one in self.made if one.purpose == purpose}


def test_every_cell_is_tuned_alike_then_tested_and_controlled_on_other_seeds() -> None:
    life = Simulation(design(), best_at(1e-3))
    assert life.count() == {"tune": 2 * 2 * 3, "test": 2 * 2 * 3, "control": 5 * 2 * 3}
    keys = [(one.purpose, one.cell, one.seed, one.options.get("learning_rate")) for one in life.trials]
    assert len(set(keys)) == len(keys)
    by_cell = {
        cell: sorted(
            (one.seed, one.options["learning_rate"])
            for one in life.trials
            if one.cell == cell and one.purpose == "tune"
        )
        for cell in {one.cell for one in life.trials if one.purpose == "tune"}
    }
    assert len(by_cell) == 4
    assert all(rates == [(100, 1e-4), (100, 1e-3), (100, 1e-2)] for rates in by_cell.values())
    assert life.rates(TrialPurpose.test) == {1e-3}
    assert {one.seed for one in life.trials if one.purpose != "tune"} == {0, 1, 2}
    tests = [one for one in life.trials if one.purpose == "test"]
    assert [one.seed for one in tests] == sorted(one.seed for one in tests)  # each seed's cells before the next seed
    done = life.plan.progress(life.trials)
    assert (done.ended, done.total, done.is_tuned, done.is_done) == (54, 54, True, True)
    # The total is known before anything has ended.
    assert ExperimentPlan(design()).progress([]).total == 54


def test_a_control_waits_for_the_trial_whose_ranks_it_gets() -> None:
    life = Simulation(design(), best_at(1e-3))
    tested = {
        (one.cell.budget, one.seed): one.number
        for one in life.trials
        if one.cell.variant == "ours" and one.purpose == "test"
    }
    for one in life.trials:
        if one.purpose == "control" and one.cell.variant != "random_score":
            seed = (one.seed + 1) % 3 if one.cell.variant == "other_seed_ranks" else one.seed
            source = tested[one.cell.budget, seed]
            assert one.options["source_trial"] == source < one.number


@pytest.mark.parametrize(
    ("best", "rates"),
    [
        (1e-3, [1e-4, 1e-3, 1e-2]),
        (2e-2, [1e-4, 1e-3, 1e-2, 0.1]),
        (5.0, [1e-4, 1e-3, 1e-2, 0.1, 1.0]),
        (1e-9, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
    ],
)
def test_the_range_is_extended_for_everyone_if_the_best_rate_of_one_is_at_its_edge(
    best: float, rates: list[float]
) -> None:
    def score(trial: NewTrial) -> float | None:
        return best_at(best if trial.cell.variant == "ours" else 1e-3)(trial)

    life = Simulation(design(), score)
    assert sorted(life.rates(TrialPurpose.tune)) == rates
    assert life.count()["tune"] == 4 * len(rates)


def test_a_rate_at_which_a_seed_diverges_is_not_chosen() -> None:
    tuning = Tuning(trials=3, seeds=[100, 101], lowest_rate=1e-4, highest_rate=1e-2)

    def score(trial: NewTrial) -> float | None:
        rate = float(trial.options["learning_rate"])
        return None if (rate, trial.seed) == (1e-2, 101) else rate

    life = Simulation(design(tuning=tuning), score)
    assert life.rates(TrialPurpose.test) == {1e-3}


def test_failed_trials_are_counted_and_cost_only_what_depends_on_them() -> None:
    def fails(trial: NewTrial) -> bool:
        return trial.purpose == "test" and trial.cell.variant == "ours" and trial.seed == 1

    life = Simulation(design(), best_at(1e-3), fails)
    failed = [one for one in life.made if one.failure is not None]
    assert Counter(one.cell.variant for one in failed) == dict.fromkeys(
        ("same_parameters", "found_ranks", "other_seed_ranks", "permuted_ranks"), 2
    )
    assert life.plan.progress(life.trials).is_done
    assert life.count() == {"tune": 12, "test": 12, "control": 30}
    no_rate = Simulation(
        design(), best_at(1e-3), lambda trial: trial.purpose == "tune" and trial.cell.variant == "ours"
    )
    why = {one.failure for one in no_rate.made if one.purpose == "test" and one.cell.variant == "ours"}
    assert why == {
        "No tuning trial of ours at budget 1 had a result.",
        "No tuning trial of ours at budget 2 had a result.",
    }


def test_without_tuning_everything_starts_at_once_and_more_seeds_continue() -> None:
    untuned = Tuning(trials=0)
    life = Simulation(design(tuning=untuned), lambda _: 0.5)
    assert life.count() == {"test": 12, "control": 30}
    more = ExperimentPlan(design(tuning=untuned, seeds=[0, 1, 2, 3]))
    new = more.trial_ended(life.trials)
    # The other seed of the last one is the first: those of seed 2 exist, and are kept.
    assert Counter((one.purpose, one.seed) for one in new) == {("test", 3): 4, ("control", 3): 4}
    assert {one.cell.variant for one in new if one.purpose == "control"} == {"random_score", "other_seed_ranks"}
    alone = Simulation(design(tuning=untuned, seeds=[7]), lambda _: 0.5)
    assert "other_seed_ranks" not in {one.cell.variant for one in alone.trials}
    assert alone.plan.progress(alone.trials).is_done
