"""Requests for experiments, and what they would train."""

from pydantic import Field

from rankscope.api.shapes.base import FieldProblemShape, RequestBody, Shape
from rankscope.api.shapes.requests import Name, Notes
from rankscope.contract.experiments.design import Design
from rankscope.launch.experiments.request import ExperimentRequest, Seed


class ExperimentCreate(ExperimentRequest):
    name: Name
    notes: Notes = ""


class ExperimentOfRun(RequestBody):
    """Asks whether the allocation of a finished run helped."""

    name: Name | None = None
    """Default: generated from the run's name."""
    seeds: int = Field(default=3, ge=1, le=20)
    """Number of seeds, starting with that of the run. One seed does not show how much results vary by chance."""


class ExperimentSeeds(RequestBody):
    seeds: list[Seed] = Field(min_length=1, max_length=50)
    """New ones, in addition to those of the experiment."""


class PlannedTrials(Shape):
    """The trials of one variant."""

    variant: str
    tuning: int
    test: int
    run_s: float | None
    """Seconds of one run on a free worker, from earlier runs of the same shape; null without one."""
    kept_parameters: list[int]
    """At each budget, without the head."""


class ExperimentPlanShape(Shape):
    design: Design
    trials: int
    """Runs, without rates that tuning may add at the edge of its range."""
    items: list[PlannedTrials]
    total_s: float | None
    """Estimated seconds with the slots of the workers that are online; null if no earlier run had the same shape."""
    slots: int
    """Of the workers that are online."""
    warnings: list[str]


class ExperimentVerdict(Shape):
    """Either problems or a plan."""

    problems: list[FieldProblemShape]
    plan: ExperimentPlanShape | None
