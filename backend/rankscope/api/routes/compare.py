"""Compares runs."""

from typing import Annotated

from fastapi import APIRouter, Query

from rankscope.api.deps import RUN_ID, EngineDep, NowDep
from rankscope.api.guard.access import needs
from rankscope.api.shapes import views
from rankscope.api.shapes.runs import Comparison, ConfigDifference
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.tables import Run
from rankscope.launch.changes import flat
from rankscope.store import runs
from rankscope.store.database.engine import reading

router = APIRouter(prefix="/compare", tags=["compare"])

_MOST = 20


@router.get("")
@needs("read")
def compare_runs(
    engine: EngineDep,
    now: NowDep,
    wanted: Annotated[list[str], Query(alias="runs", description="Two or more ids, repeated or separated by commas.")],
) -> Comparison:
    """Differences between the configurations, and whether the runs keep the same budget."""
    run_ids = list(dict.fromkeys(part for value in wanted for part in value.split(",") if part))
    _check(run_ids)
    with reading(engine) as session:
        found = runs.find_runs(session, run_ids)
        rows = views.summaries(session, found, now=now)
    kept = {_kept(run) for run in found}
    return Comparison(
        runs=rows,
        differences=differences([RunConfig.stored(run.config).model_dump(mode="json") for run in found]),
        equal_budget=len(kept) == 1 and None not in kept,
    )


def differences(configs: list[dict[str, object]]) -> list[ConfigDifference]:
    """Fields with more than one value, by dotted name, in the order of the first run's configuration."""
    each_flat = [flat(config) for config in configs]
    fields = dict.fromkeys(field for each in each_flat for field in each)
    rows = [ConfigDifference(field=field, values=[each.get(field) for each in each_flat]) for field in fields]
    return [row for row in rows if any(value != row.values[0] for value in row.values)]


def _kept(run: Run) -> tuple[str, int] | None:
    """Returns the run's budget: planned components at the end, or parameters for runs without components."""
    curve = views.planned_budget(run, RunConfig.stored(run.config)).points
    if curve:
        return ("components", curve[-1][1])
    return ("parameters", run.kept_parameters) if run.kept_parameters is not None else None


def _check(run_ids: list[str]) -> None:
    if not 2 <= len(run_ids) <= _MOST:
        raise BadInput(
            [FieldProblem("runs", run_ids, f"has {len(run_ids)} runs", f"Name between 2 and {_MOST} different runs.")]
        )
    for run_id in run_ids:
        if not RUN_ID.fullmatch(run_id):
            raise BadInput(
                [FieldProblem("runs", run_id, f"contains {run_id!r}, which is not a run id", "Use ids from GET /runs.")]
            )
