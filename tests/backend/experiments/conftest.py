"""The results of a real study, and small experiments with chosen numbers."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from rankscope.contract.experiments.answer import Answer, VariantComparison
from rankscope.contract.experiments.design import (
    Collapse,
    ControlKind,
    Design,
    ExperimentMetric,
    ExperimentTask,
    Role,
    TrialPurpose,
    TrialStatus,
    Variant,
)
from rankscope.experiments.compute import compute
from rankscope.experiments.importing.header import ImportHeader
from rankscope.experiments.importing.read import Imported, read_import
from rankscope.experiments.inputs import AnswerInput, Selection, TrialData

STUDY = Path(__file__).parents[2] / "data/study.jsonl.gz"


@pytest.fixture(scope="session")
def study_text() -> str:
    return gzip.decompress(STUDY.read_bytes()).decode()


@pytest.fixture(scope="session")
def study(study_text: str) -> Imported:
    return read_import(study_text, ImportHeader())


def as_input(imported: Imported, **selected: object) -> AnswerInput:
    trials = [
        TrialData(
            number=number,
            purpose=trial.purpose,
            status=TrialStatus.done,
            task=trial.line.task,
            variant=trial.line.variant,
            budget=trial.line.budget,
            seed=trial.line.seed,
            learning_rate=trial.line.learning_rate,
            value=trial.value,
            ranks=trial.ranks,
            kept_parameters=trial.line.kept_parameters,
            collapse=trial.collapse,
            run_id=None,
        )
        for number, trial in enumerate(imported.trials, start=1)
    ]
    return AnswerInput(
        revision=1,
        design=imported.design,
        is_extended_after_looking=False,
        trials=trials,
        scores={},
        selection=Selection.model_validate(selected),
    )


@pytest.fixture(scope="session")
def study_answer(study: Imported) -> Answer:
    return compute(as_input(study))


def by_name(answer: Answer, task: str, budget: float, variant: str, reference: str = "lora") -> VariantComparison:
    (found,) = [
        each
        for each in answer.comparisons
        if (each.task, each.budget, each.variant, each.reference) == (task, budget, variant, reference)
    ]
    return found


def small(
    values: Mapping[str, Sequence[float | None]],
    *,
    controls: Mapping[str, tuple[ControlKind, str]] | None = None,
    scores: Mapping[tuple[str, int], Sequence[float]] | None = None,
    collapsed: Mapping[tuple[str, int], Collapse] | None = None,
    metric: ExperimentMetric | None = None,
    margin: float = 0.005,
    ranks: Mapping[tuple[str, int], dict[str, int]] | None = None,
) -> AnswerInput:
    """One task and budget; the first variant is the baseline, seeds are counted from 0, None is a trial without a result."""
    names = list(values)
    variants = [
        Variant(
            name=name,
            role=Role.baseline if name == names[0] else Role.control if name in (controls or {}) else Role.method,
            control=(controls or {}).get(name, (None, None))[0],
            of=(controls or {}).get(name, (None, None))[1],
        )
        for name in names
    ]
    cells = [(name, seed, value) for name in names for seed, value in enumerate(values[name])]
    trials = [
        TrialData(
            number=number,
            purpose=TrialPurpose.test,
            status=TrialStatus.done,
            task="reviews",
            variant=name,
            budget=2.0,
            seed=seed,
            learning_rate=0.001,
            value=value,
            ranks=(ranks or {}).get((name, seed)),
            kept_parameters=100,
            collapse=(collapsed or {}).get((name, seed)),
            run_id=f"run{number}",
        )
        for number, (name, seed, value) in enumerate(cells, start=1)
    ]
    numbers = {(trial.variant, trial.seed): trial.number for trial in trials}
    packed = {numbers[key]: np.asarray(of, dtype="<f4").tobytes() for key, of in (scores or {}).items()}
    design = Design(
        metric=metric or ExperimentMetric(name="eval_accuracy", title="accuracy"),
        tasks=[ExperimentTask(name="reviews")],
        variants=variants,
        budgets=[2.0],
        seeds=sorted({seed for _, seed, _ in cells}),
        margin=margin,
    )
    return AnswerInput(revision=1, design=design, is_extended_after_looking=False, trials=trials, scores=packed)
