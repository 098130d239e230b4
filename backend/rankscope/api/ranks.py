"""Which components live: snapshots over the steps, and the ledger of what was pruned and came back."""

from typing import Annotated

from fastapi import APIRouter, Query

from rankscope.api.metrics import FromStep, ToStep
from rankscope.api.shapes import Ledger, LedgerLine, RankFrame, RankFrames
from rankscope.deps import EngineDep, RunId
from rankscope.store import runs, series
from rankscope.store.engine import reading

router = APIRouter(prefix="/runs/{run_id}/ranks", tags=["ranks"])

_FRAME_FIELDS = ("seq", "attempt", "step", "budget", "live", "threshold", "pruning", "final", "mask", "scores")


@router.get("")
def get_ranks(
    run_id: RunId,
    engine: EngineDep,
    from_step: FromStep = None,
    to_step: ToStep = None,
    frames: Annotated[int, Query(ge=1, le=5000, description="At most so many.")] = 400,
) -> RankFrames:
    """Rank snapshots with the modules that their rows belong to; empty before the model is loaded."""
    with reading(engine) as session:
        last_seq = runs.get_run(session, run_id).last_seq
        modules = series.modules_event(session, run_id) or {"modules": [], "width": 0}
        found, total = series.rank_frames(session, run_id, from_step=from_step, to_step=to_step, limit=frames)
    return RankFrames(
        modules=modules["modules"],
        width=modules["width"],
        frames=[RankFrame.model_validate({name: event.get(name) for name in _FRAME_FIELDS}) for event in found],
        total_frames=total,
        is_reduced=len(found) < total,
        last_seq=last_seq,
    )


@router.get("/ledger")
def get_ledger(
    run_id: RunId, engine: EngineDep, module: Annotated[int | None, Query(ge=0, le=100_000)] = None
) -> Ledger:
    """One line for each component pruned or regrown, in order of time."""
    with reading(engine) as session:
        runs.get_run(session, run_id)
        modules = (series.modules_event(session, run_id) or {"modules": []})["modules"]
        lines = series.ledger(session, run_id, module=module)
    return Ledger(items=[LedgerLine(**line, module_name=modules[line["module"]]["name"]) for line in lines])
