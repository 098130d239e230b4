"""Experiments, and how they are built from rows."""

from typing import Annotated, Literal

from pydantic import Field
from sqlmodel import Session

from rankscope.api.shapes.base import RequestBody, Shape
from rankscope.api.shapes.requests import Name, Notes
from rankscope.contract.experiments.design import Design, ExperimentStatus, TrialPurpose
from rankscope.contract.experiments.tables import Experiment
from rankscope.store.experiments import experiments, trials
from rankscope.store.experiments.experiments import TrialCounts, design_of
from rankscope.store.experiments.plan import ExperimentPlan


class TrialCountsShape(Shape):
    """Number of trials by status."""

    planned: int
    running: int
    done: int
    failed: int


class ExperimentSummary(Shape):
    id: str
    name: str
    notes: str
    source: Literal["launched", "imported"]
    status: ExperimentStatus
    message: str | None
    """Why it waits or ended."""
    next_step: str | None
    created_at: float
    updated_at: float
    revision: int
    """Incremented whenever a trial or the design changes."""
    is_extended_after_looking: bool
    trials: TrialCountsShape
    tasks: list[str]
    budgets: list[float]
    """Mean kept ranks, ascending."""
    variants: int
    seeds: int


class ExperimentDetail(ExperimentSummary):
    expected_trials: int
    """All trials that it will have, unless tuning adds rates."""
    design: Design


class ExperimentList(Shape):
    items: list[ExperimentSummary]
    """The newest first, at most 1,000."""


class ExperimentPatch(RequestBody):
    """Only the given fields change."""

    name: Name | None = None
    notes: Notes | None = None


class ImportedExperiment(Shape):
    experiment: ExperimentDetail
    ignored_fields: Annotated[list[str], Field(max_length=100)]
    """Names of fields of the lines that are not used."""


def summary(experiment: Experiment, counts: TrialCounts) -> ExperimentSummary:
    return ExperimentSummary.model_validate(_common(experiment, counts))


def detail(session: Session, experiment: Experiment) -> ExperimentDetail:
    counts = experiments.counts(session, [experiment.id])[experiment.id]
    design = design_of(experiment)
    expected = sum(counts)
    if experiment.source == "launched":
        tuned = trials.count(session, experiment.id, purpose=TrialPurpose.tune)
        expected = max(expected, ExperimentPlan(design).expected(tuned))
    return ExperimentDetail.model_validate(
        _common(experiment, counts) | {"design": design, "expected_trials": expected}
    )


def _common(experiment: Experiment, counts: TrialCounts) -> dict[str, object]:
    design = design_of(experiment)
    own = ("id", "name", "notes", "source", "status", "message", "next_step", "created_at", "updated_at", "revision")
    return {name: getattr(experiment, name) for name in own} | {
        "is_extended_after_looking": experiment.is_extended_after_looking,
        "trials": TrialCountsShape(**counts._asdict()),
        "tasks": [task.name for task in design.tasks],
        "budgets": design.budgets,
        "variants": len(design.variants),
        "seeds": len(design.seeds),
    }
