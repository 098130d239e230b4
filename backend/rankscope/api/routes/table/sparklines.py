"""Small curves for the rows of the runs table."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from rankscope.api.deps import EngineDep
from rankscope.api.guard.access import needs
from rankscope.api.run_query import names_of
from rankscope.api.shapes.run_table import SparklineList, SparklineShape
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.store.database.engine import reading
from rankscope.store.history.sparklines import read_sparklines
from rankscope.store.listing.cursors import is_storable

router = APIRouter(prefix="/runs", tags=["runs"])

_MOST = 100


@router.get("/sparklines")
@needs("read")
def read_run_sparklines(
    engine: EngineDep,
    runs: Annotated[
        list[str], Query(max_length=_MOST, description="Ids of up to 100 runs, repeated or separated by commas.")
    ],
    metric: Annotated[str, Query(min_length=1, max_length=100, description="Metric of the curves.")] = "train_loss",
) -> SparklineList:
    """The shape of one metric's curve of each run, in 20 levels. Runs without a curve, and unknown ids, are left out."""
    run_ids = list(dict.fromkeys(run_id for run_id in names_of(runs) if is_storable(run_id)))
    if len(run_ids) > _MOST:
        message = f"has {len(run_ids)} ids"
        raise BadInput([FieldProblem("runs", len(run_ids), message, f"Send at most {_MOST} a request.")])
    with reading(engine) as session:
        found = read_sparklines(session, run_ids, metric) if is_storable(metric) else {}
    return SparklineList(items=[SparklineShape(id=run_id, **asdict(line)) for run_id, line in found.items()])
