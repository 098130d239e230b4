"""Live components: snapshots over the steps, and the ledger of what was pruned and restored."""

import base64
from collections import deque
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Query
from sqlmodel import Session

from rankscope.api.deps import EngineDep, RunId
from rankscope.api.guard.access import needs
from rankscope.api.routes.metrics import FromStep, ToStep
from rankscope.api.shapes.history import ComponentHistory, Ledger, LedgerLine, RankFrame, RankFrames, RankHistory
from rankscope.contract.errors import NotFound
from rankscope.contract.stored import StoredModule
from rankscope.store import runs
from rankscope.store.database.engine import reading
from rankscope.store.history import snapshots
from rankscope.store.history.rank_columns import component_columns, module_columns

router = APIRouter(prefix="/runs/{run_id}/ranks", tags=["ranks"])

_MAX_LINES = 10_000
_FRAME_FIELDS = (
    "seq",
    "attempt",
    "step",
    "budget",
    "live",
    "threshold",
    "pruning",
    "final",
    "mask",
    "scores",
    "raw_scores",
)
FrameLimit = Annotated[int, Query(ge=1, le=5000, description="Maximum number of snapshots.")]
Module = Annotated[int, Query(ge=0, le=100_000, description="Index in the list of modules.")]


@router.get("")
@needs("read")
def get_ranks(
    run_id: RunId, engine: EngineDep, from_step: FromStep = None, to_step: ToStep = None, frames: FrameLimit = 400
) -> RankHistory:
    """Rank and importance of every module over the steps; empty before the model is loaded."""
    with reading(engine) as session:
        last_seq = runs.get_run(session, run_id).last_seq
        modules, width = _modules(session, run_id)
        found, total = snapshots.rank_frames(session, run_id, from_step=from_step, to_step=to_step, limit=frames)
    columns = module_columns(found, len(modules), width)
    return RankHistory(
        modules=modules,
        width=width,
        steps=[frame["step"] for frame in found],
        attempts=[frame["attempt"] for frame in found],
        budget=[frame["budget"] for frame in found],
        live=[frame["live"] for frame in found],
        threshold=[frame.get("threshold") for frame in found],
        pruning=[frame["pruning"] for frame in found],
        final=[frame["final"] for frame in found],
        ranks=_base64(columns.ranks),
        importance_mean=_base64(columns.mean),
        importance_max=_base64(columns.max),
        total_frames=total,
        is_reduced=len(found) < total,
        last_seq=last_seq,
    )


@router.get("/frames")
@needs("read")
def get_rank_frames(
    run_id: RunId,
    engine: EngineDep,
    from_step: FromStep = None,
    to_step: ToStep = None,
    frames: Annotated[int, Query(ge=1, le=200, description="Maximum number of snapshots.")] = 100,
) -> RankFrames:
    """Rank snapshots with every component, as recorded."""
    with reading(engine) as session:
        last_seq = runs.get_run(session, run_id).last_seq
        modules, width = _modules(session, run_id)
        found, total = snapshots.rank_frames(session, run_id, from_step=from_step, to_step=to_step, limit=frames)
    return RankFrames(
        modules=modules,
        width=width,
        frames=[RankFrame.model_validate({name: event.get(name) for name in _FRAME_FIELDS}) for event in found],
        total_frames=total,
        is_reduced=len(found) < total,
        last_seq=last_seq,
    )


@router.get("/components")
@needs("read")
def get_components(
    run_id: RunId,
    engine: EngineDep,
    module: Module,
    from_step: FromStep = None,
    to_step: ToStep = None,
    frames: FrameLimit = 400,
) -> ComponentHistory:
    """The components of one module over the steps."""
    with reading(engine) as session:
        last_seq = runs.get_run(session, run_id).last_seq
        modules, width = _modules(session, run_id)
        if module >= len(modules):
            raise NotFound(
                f"Run {run_id} has no module {module}; it has {len(modules)}, numbered from 0.",
                "Use an index of `modules` from GET /ranks.",
            )
        found, total = snapshots.rank_frames(session, run_id, from_step=from_step, to_step=to_step, limit=frames)
    columns = component_columns(found, len(modules), width, module)
    return ComponentHistory(
        module=module,
        name=modules[module]["name"],
        width=width,
        steps=[frame["step"] for frame in found],
        attempts=[frame["attempt"] for frame in found],
        pruning=[frame["pruning"] for frame in found],
        mask=_base64(np.packbits(columns.live, bitorder="little")),
        scores=_base64(columns.scores),
        raw_scores=None if columns.raw_scores is None else _base64(columns.raw_scores),
        total_frames=total,
        is_reduced=len(found) < total,
        last_seq=last_seq,
    )


@router.get("/ledger")
@needs("read")
def get_ledger(
    run_id: RunId,
    engine: EngineDep,
    module: Annotated[
        int | None, Query(ge=0, le=100_000, description="Only this module, by its index in the list of modules.")
    ] = None,
) -> Ledger:
    """One line per pruned or regrown component, in chronological order: the newest 10,000."""
    with reading(engine) as session:
        runs.get_run(session, run_id)
        modules, _ = _modules(session, run_id)
        lines: deque[snapshots.LedgerEntry] = deque(maxlen=_MAX_LINES)
        total = 0
        for line in snapshots.ledger(session, run_id, module=module):
            lines.append(line)
            total += 1
    items = [LedgerLine.model_validate({**line, "module_name": modules[line["module"]]["name"]}) for line in lines]
    return Ledger(items=items, total=total)


def _modules(session: Session, run_id: str) -> tuple[list[StoredModule], int]:
    """The adapted modules and the row length of snapshots; empty before the model is loaded."""
    event = snapshots.modules_event(session, run_id)
    return (event["modules"], event["width"]) if event else ([], 0)


def _base64(column: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(column).tobytes()).decode()
