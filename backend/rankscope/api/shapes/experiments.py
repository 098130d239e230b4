"""Experiments, and how they are built from rows."""

from collections.abc import Sequence
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
    """Why it is waiting or has ended."""
    next_step: str | None
    created_at: float
    updated_at: float
    revision: int
    """Incremented whenever a trial or the design changes."""
    is_extended_after_looking: bool
    trials: TrialCountsShape
    expected_trials: int
    """All trials that it will have, unless tuning adds rates."""
    tasks: list[str]
    budgets: list[float]
    """Mean kept ranks, ascending."""
    variants: int
    seeds: int


class ExperimentDetail(ExperimentSummary):
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


def summaries(session: Session, found: Sequence[Experiment]) -> list[ExperimentSummary]:
    ids = [each.id for each in found]
    counted, tuned = experiments.counts(session, ids), trials.counts(session, ids, purpose=TrialPurpose.tune)
    return [
        ExperimentSummary.model_validate(_common(each, design_of(each), counted[each.id], tuned[each.id]))
        for each in found
    ]


def detail(session: Session, experiment: Experiment) -> ExperimentDetail:
    only, design = [experiment.id], design_of(experiment)
    counts = experiments.counts(session, only)[experiment.id]
    tuned = trials.counts(session, only, purpose=TrialPurpose.tune)[experiment.id]
    return ExperimentDetail.model_validate(_common(experiment, design, counts, tuned) | {"design": design})


def _common(experiment: Experiment, design: Design, counts: TrialCounts, tuned: int) -> dict[str, object]:
    planned = ExperimentPlan(design).expected(tuned) if experiment.source == "launched" else 0
    own = ("id", "name", "notes", "source", "status", "message", "next_step", "created_at", "updated_at", "revision")
    return {name: getattr(experiment, name) for name in own} | {
        "is_extended_after_looking": experiment.is_extended_after_looking,
        "trials": TrialCountsShape(**counts._asdict()),
        "expected_trials": max(sum(counts), planned),
        "tasks": [task.name for task in design.tasks],
        "budgets": design.budgets,
        "variants": len(design.variants),
        "seeds": len(design.seeds),
    }
