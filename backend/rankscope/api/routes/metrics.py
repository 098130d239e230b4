"""Metrics over the steps."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from sqlmodel import Session

from rankscope.api.deps import EngineDep, RunId
from rankscope.api.guard.access import needs
from rankscope.api.shapes.history import MetricNames, MetricSeries, SeriesList
from rankscope.store import runs
from rankscope.store.database.engine import reading
from rankscope.store.history.points import Points, marked
from rankscope.store.history.series import EVERY_STEP, Curve, Steps, read_curves

router = APIRouter(prefix="/runs/{run_id}", tags=["metrics"])

MetricName = Annotated[str, Query(min_length=1, max_length=100)]
FromStep = Annotated[int | None, Query(alias="from", ge=0, le=2**31 - 1, description="First step.")]
ToStep = Annotated[int | None, Query(alias="to", ge=0, le=2**31 - 1, description="Last step.")]
PointLimit = Annotated[
    str,
    Query(
        pattern=r"^(all|[1-9][0-9]{0,6})$",
        description="Approximate maximum number of points per metric, or all; at most a million over all metrics.",
    ),
]
_MAX_POINTS, _FEWEST_POINTS = 1_000_000, 1000
"""Limit per response, and minimum per metric however many are requested."""


@dataclass(frozen=True)
class SeriesQuery:
    """Which part of a metric to return, and how."""

    from_step: FromStep = None
    to_step: ToStep = None
    smooth: Annotated[float, Query(ge=0, lt=1, description="Weight of the moving average; 0 turns it off.")] = 0.0
    with_ghosts: Annotated[bool, Query(alias="ghost", description="Include the parts that a resume has replaced.")] = (
        False
    )
    with_times: Annotated[bool, Query(alias="times", description="Include when each point was recorded.")] = False

    def read(self, session: Session, run_id: str, names: list[str] | None, points: str) -> list[dict[str, object]]:
        """A series for each name."""
        count = len(names) if names is not None else len(runs.get_run(session, run_id).metrics)
        most = max(_FEWEST_POINTS, _MAX_POINTS // max(1, count))
        first, last = EVERY_STEP
        within = Steps(
            first if self.from_step is None else self.from_step, last if self.to_step is None else self.to_step
        )
        curves = read_curves(
            session,
            run_id,
            names,
            limit=most if points == "all" else min(int(points), most),
            within=within,
            smooth=self.smooth,
            with_ghosts=self.with_ghosts,
        )
        return [_series(name, curve, self.with_times) for name, curve in curves.items()]


SeriesQueryDep = Annotated[SeriesQuery, Depends()]


@router.get("/metrics")
@needs("read")
def list_metrics(run_id: RunId, engine: EngineDep) -> MetricNames:
    """Every metric with its last, smallest and largest value."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        return MetricNames.model_validate({"items": run.metrics, "last_seq": run.last_seq})


@router.get("/series")
@needs("read")
def get_series(
    run_id: RunId,
    engine: EngineDep,
    query: SeriesQueryDep,
    names: Annotated[list[MetricName] | None, Query(max_length=1000, description="Default: every metric.")] = None,
    points: PointLimit = "600",
) -> SeriesList:
    """Several metrics at once. Curves are reduced but keep all extremes; with few points, they are exact."""
    with reading(engine) as session:
        last_seq = runs.get_run(session, run_id).last_seq
        items = query.read(session, run_id, names, points)
    return SeriesList.model_validate({"items": items, "last_seq": last_seq})


@router.get("/metrics/{name:path}")
@needs("read")
def get_metric(
    run_id: RunId,
    name: Annotated[str, Path(min_length=1, max_length=100, examples=["train_loss"])],
    engine: EngineDep,
    query: SeriesQueryDep,
    points: PointLimit = "2000",
) -> MetricSeries:
    """One metric; empty before its first point. The curve is reduced but keeps all extremes."""
    with reading(engine) as session:
        last_seq = runs.get_run(session, run_id).last_seq
        (series,) = query.read(session, run_id, [name], points)
    return MetricSeries.model_validate(series | {"last_seq": last_seq})


def _series(name: str, curve: Curve, with_times: bool) -> dict[str, object]:
    return {
        "name": name,
        **_columns(curve.points),
        "times": curve.points.times.tolist() if with_times else None,
        "smoothed": None if curve.smoothed is None else marked(curve.smoothed),
        "total_points": curve.total,
        "is_reduced": len(curve.points) < curve.total,
        "ghosts": [{"attempt": attempt, **_columns(ghost)} for attempt, ghost in curve.ghosts],
    }


def _columns(of: Points) -> dict[str, object]:
    return {"steps": of.steps.tolist(), "values": marked(of.values)}
