"""Sweeps: requests, plans, states, and leaderboards, and how they are built from rows."""

from collections.abc import Sequence
from statistics import stdev

from pydantic import Field
from sqlmodel import Session

from rankscope.api.shapes.base import FieldProblemShape, RequestBody, Shape
from rankscope.api.shapes.requests import Name, Notes
from rankscope.contract.sweeps.design import (
    SearchKind,
    SweepDesign,
    SweepMetric,
    SweepStatus,
    SweepTrialStatus,
    Values,
)
from rankscope.contract.sweeps.tables import Sweep
from rankscope.launch.sweeps.request import SweepRequest
from rankscope.search.board import Standing
from rankscope.search.plan import SweepPlan
from rankscope.store.sweeps import sweeps
from rankscope.store.sweeps.sweeps import PointMean, StoredTrial, SweepCounts


class SweepCreate(SweepRequest):
    name: Name
    notes: Notes = ""


class SweepPatch(RequestBody):
    """Only the given fields change."""

    name: Name | None = None
    notes: Notes | None = None


class SweepPlanShape(Shape):
    points: int
    trials: int
    """Runs."""
    metric: SweepMetric
    examples: list[Values]
    """The values of the first points, at most 10."""
    rungs: list[int]
    """Halving: steps at which points are compared; otherwise empty."""
    run_s: float | None
    """Seconds of one run on a free worker, from earlier runs of the same shape; null without one."""
    total_s: float | None
    """Estimated seconds of all runs with the slots of the workers that are online, without those that halving saves."""
    slots: int
    """Of the workers that are online."""
    warnings: list[str]


class SweepVerdict(Shape):
    """Either problems or a plan."""

    problems: list[FieldProblemShape]
    plan: SweepPlanShape | None


class SweepCountsShape(Shape):
    """Number of trials by status."""

    planned: int
    running: int
    done: int
    pruned: int
    """Stopped by halving."""
    failed: int


class BestPoint(Shape):
    point: int
    values: Values
    mean: float
    sd: float | None
    n: int
    """Trials with a result."""


class SweepSummary(Shape):
    id: str
    name: str
    notes: str
    status: SweepStatus
    message: str | None
    """Why it is waiting or has ended."""
    next_step: str | None
    created_at: float
    updated_at: float
    revision: int
    """Incremented by every change of its status, design or trials."""
    kind: SearchKind
    metric: SweepMetric
    parameters: list[str]
    seeds: int
    trials: SweepCountsShape
    points: int
    """That exist so far."""
    expected_trials: int
    """All trials that it will have, unless halving or a limit saves some."""
    best: BestPoint | None


class SweepDetail(SweepSummary):
    design: SweepDesign
    active_s: float
    """Time that it ran, without pauses."""


class SweepList(Shape):
    items: list[SweepSummary]
    """The newest first, at most 200."""


class SweepTrialShape(Shape):
    number: int
    seed: int
    status: SweepTrialStatus
    value: float | None
    run_id: str | None
    """Its run, which may have been deleted since."""
    message: str | None
    """Why it was stopped or has failed."""


class PointShape(Shape):
    rank: int | None
    """Null without a result, and for points that halving has stopped."""
    point: int
    values: Values
    """Without parameters that the point's method does not have."""
    status: SweepTrialStatus
    n: int
    """Trials with a result."""
    planned: int
    """All trials of the point."""
    mean: float | None
    median: float | None
    sd: float | None
    """Standard deviation over the seeds, with n - 1."""
    min: float | None
    max: float | None
    rung: int | None
    """Halving: the last rung that it has reached, from 0."""
    rung_step: int | None
    rung_value: float | None
    trials: list[SweepTrialShape]


class Leaderboard(Shape):
    revision: int
    metric: SweepMetric
    total: int
    """All points."""
    items: list[PointShape] = Field(max_length=1000)
    """Those with a result first, the best on top; then running, stopped, queued and failed ones."""


def summaries(session: Session, found: Sequence[Sweep]) -> list[SweepSummary]:
    ids = [each.id for each in found]
    counts, means = sweeps.counts(session, ids), sweeps.point_means(session, ids)
    points = sweeps.count_points(session, ids)
    return [
        SweepSummary.model_validate(_common(session, each, counts[each.id], means[each.id], points[each.id]))
        for each in found
    ]


def detail(session: Session, sweep: Sweep, now: float) -> SweepDetail:
    (plain,) = summaries(session, [sweep])
    return SweepDetail.model_validate(
        plain.model_dump() | {"design": sweeps.design_of(sweep), "active_s": sweeps.active_s(sweep, now)}
    )


def _common(
    session: Session, sweep: Sweep, counts: SweepCounts, means: Sequence[PointMean], points: int
) -> dict[str, object]:
    design = sweeps.design_of(sweep)
    own = ("id", "name", "notes", "status", "message", "next_step", "created_at", "updated_at", "revision")
    return {name: getattr(sweep, name) for name in own} | {
        "kind": design.search.kind,
        "metric": design.metric,
        "parameters": list(design.parameters),
        "seeds": len(design.seeds),
        "trials": SweepCountsShape(**counts._asdict()),
        "points": points,
        "expected_trials": sum(counts)
        if sweep.status == SweepStatus.done
        else max(sum(counts), SweepPlan(design).expected),
        "best": _best(session, sweep.id, design, means),
    }


def _best(session: Session, sweep_id: str, design: SweepDesign, means: Sequence[PointMean]) -> BestPoint | None:
    sign = 1 if design.metric.lower_is_better else -1
    best = min(means, key=lambda one: (one.is_diverged, sign * one.mean, one.point), default=None)
    if best is None:
        return None
    trials = sweeps.read_trials(session, sweep_id, point=best.point)
    values = [one.value for one in trials if one.value is not None]
    return BestPoint(
        point=best.point,
        values=trials[0].options,
        mean=sum(values) / len(values),
        sd=stdev(values) if len(values) > 1 else None,
        n=len(values),
    )


def point_shape(design: SweepDesign, standing: Standing, trials: Sequence[StoredTrial]) -> PointShape:
    """`trials`: all trials of the point."""
    own = ("rank", "status", "n", "mean", "median", "sd", "min", "max", "rung", "rung_value")
    trial = ("number", "seed", "status", "value", "run_id", "message")
    return PointShape(
        **{name: getattr(standing, name) for name in own},
        point=standing.point.number,
        values=standing.point.values,
        planned=len(trials),
        rung_step=None if standing.rung is None else design.rungs[standing.rung],
        trials=[SweepTrialShape(**{name: getattr(one, name) for name in trial}) for one in trials],
    )
