"""Numbers over the steps."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from rankscope.api.shapes import Ghost, MetricNames, Series
from rankscope.deps import EngineDep, RunId
from rankscope.store import runs, series
from rankscope.store.engine import reading

router = APIRouter(prefix="/runs/{run_id}/metrics", tags=["metrics"])

FromStep = Annotated[int | None, Query(alias="from", ge=0, le=2**31 - 1, description="First step.")]
ToStep = Annotated[int | None, Query(alias="to", ge=0, le=2**31 - 1, description="Last step.")]


@router.get("")
def list_metrics(run_id: RunId, engine: EngineDep) -> MetricNames:
    """Every metric with its last, smallest and largest value."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        return MetricNames.model_validate({"items": run.metrics, "last_seq": run.last_seq})


@router.get("/{name:path}")
def get_metric(
    run_id: RunId,
    name: Annotated[str, Path(min_length=1, max_length=100, examples=["train_loss"])],
    engine: EngineDep,
    points: Annotated[
        str, Query(pattern=r"^(all|[1-9][0-9]{0,6})$", description="At most about so many, or all.")
    ] = "2000",
    from_step: FromStep = None,
    to_step: ToStep = None,
    ghost: Annotated[bool, Query(description="Also what a resume has replaced.")] = False,
) -> Series:
    """One metric; empty before its first point. Reduced so that every extreme stays."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        every = series.metric_points(session, run_id, name, from_step=from_step, to_step=to_step)
        tails = series.ghost_points(session, run_id, name) if ghost else {}
        last_seq = run.last_seq

    def reduced(points_of: list[series.Point]) -> list[series.Point]:
        return points_of if points == "all" else series.reduce_points(points_of, int(points))

    kept = reduced(every)
    return Series(
        name=name,
        steps=[point.step for point in kept],
        values=[point.value for point in kept],
        total_points=len(every),
        is_reduced=len(kept) < len(every),
        ghosts=[
            Ghost(attempt=attempt, steps=[point.step for point in tail], values=[point.value for point in tail])
            for attempt, whole in tails.items()
            for tail in [reduced(whole)]
        ],
        last_seq=last_seq,
    )
