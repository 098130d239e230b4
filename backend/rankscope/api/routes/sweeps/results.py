"""List sweeps, read their results, rename and delete them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from rankscope.api.deps import AnswersDep, DoorbellDep, EngineDep, NowDep, SweepId
from rankscope.api.guard.access import SMALL_JSON, needs
from rankscope.api.shapes.sweeps import (
    Leaderboard,
    SweepDetail,
    SweepList,
    SweepPatch,
    detail,
    point_shape,
    summaries,
)
from rankscope.api.sweep_results import analysis_input, check_matrix, read_board
from rankscope.contract.sweeps.analysis import SweepAnalysis
from rankscope.search.tables import sweep_table
from rankscope.store import trial_runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.sweeps import lifecycle, sweeps
from rankscope.table_text import ENDINGS, MEDIA_TYPES, TableFormat

router = APIRouter(prefix="/sweeps", tags=["sweeps"])


@router.get("")
@needs("read")
def list_sweeps(engine: EngineDep) -> SweepList:
    """The newest first, with the best point of each."""
    with reading(engine) as session:
        return SweepList(items=summaries(session, sweeps.list_newest(session)))


@router.get("/{sweep_id}")
@needs("read")
def get_sweep(sweep_id: SweepId, engine: EngineDep, now: NowDep) -> SweepDetail:
    """Design and state."""
    with reading(engine) as session:
        return detail(session, sweeps.get(session, sweep_id), now)


@router.patch("/{sweep_id}")
@needs("launch", SMALL_JSON)
def change_sweep(sweep_id: SweepId, body: SweepPatch, engine: EngineDep, now: NowDep) -> SweepDetail:
    """Changes name or notes."""
    with writing(engine) as session:
        sweeps.change(session, sweep_id, name=body.name, notes=body.notes, now=now)
    return get_sweep(sweep_id, engine, now)


@router.delete("/{sweep_id}", status_code=204)
@needs("admin")
def delete_sweep(sweep_id: SweepId, engine: EngineDep, doorbell: DoorbellDep, now: NowDep) -> None:
    """Deletes a sweep with its trials. Its queued runs are deleted, running ones are stopped, finished ones kept."""
    with writing(engine) as session:
        stopped = lifecycle.delete(session, sweep_id, now=now)
        numbers = trial_runs.last_seqs(session, stopped)
    for run_id, last_seq in numbers.items():
        doorbell.ring(run_id, last_seq)


@router.get("/{sweep_id}/leaderboard")
@needs("read")
def get_leaderboard(
    sweep_id: SweepId,
    engine: EngineDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of points.")] = 100,
    offset: Annotated[int, Query(ge=0, le=1000, description="Points to skip.")] = 0,
) -> Leaderboard:
    """Points with mean, median, standard deviation, minimum and maximum over their seeds, the best first."""
    board = read_board(engine, sweep_id)
    return Leaderboard(
        revision=board.revision,
        metric=board.design.metric,
        total=len(board.standings),
        items=[
            point_shape(board.design, one, board.trials[one.point.number])
            for one in board.standings[offset : offset + limit]
        ],
    )


@router.get("/{sweep_id}/analysis")
@needs("read")
def get_sweep_analysis(sweep_id: SweepId, engine: EngineDep, answers: AnswersDep) -> SweepAnalysis:
    """Parallel coordinates, importance of the parameters, and their correlation with the metric.

    Importance is by PED-ANOVA, correlations by Spearman's rank correlation. Computing them takes some seconds, once for
    the same results.
    """
    return answers.run_once("rankscope.search", analysis_input(read_board(engine, sweep_id)), SweepAnalysis)


@router.get(
    "/{sweep_id}/table",
    response_class=Response,
    responses={200: {"content": {name: {"schema": {"type": "string"}} for name in MEDIA_TYPES.values()}}},
)
@needs("read")
def get_sweep_table(
    sweep_id: SweepId,
    engine: EngineDep,
    form: Annotated[TableFormat, Query(alias="format", description="LaTeX needs the package booktabs.")] = "csv",
    rows: Annotated[
        str | None,
        Query(max_length=100, description="Parameter of the rows, such as method.name. Default: all points."),
    ] = None,
    columns: Annotated[
        list[str] | None, Query(max_length=2, description="Parameters of the columns, such as budget. May be repeated.")
    ] = None,
) -> Response:
    """All points, or a matrix of parameters with the best point for each combination: mean and standard deviation."""
    board = read_board(engine, sweep_id)
    across = check_matrix(board.design, rows, columns or [])
    return Response(
        sweep_table(board.design, board.standings, form, rows, across),
        media_type=f"{MEDIA_TYPES[form]}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="sweep-{sweep_id}.{ENDINGS[form]}"'},
    )
