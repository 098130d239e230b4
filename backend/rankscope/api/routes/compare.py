"""Compares runs."""

import base64
from collections.abc import Sequence
from typing import Annotated, Literal, cast

import numpy as np
from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from rankscope.api.deps import RUN_ID, EngineDep, NowDep
from rankscope.api.guard.access import needs
from rankscope.api.routes.metrics import MetricName
from rankscope.api.shapes import views
from rankscope.api.shapes.base import Number
from rankscope.api.shapes.comparisons import (
    CautionShape,
    ComparedCurves,
    ComparedCurveShape,
    Comparison,
    ConfigDifference,
    GroupShape,
    MetricVerdict,
    RankDifferenceShape,
    RunCost,
    RunForest,
    UnplacedRun,
)
from rankscope.comparison.allocations import Alignment, Allocation, difference, read_allocation
from rankscope.comparison.axes import CurveAxis, live_parameters, trained_seconds
from rankscope.comparison.cautions import cautions
from rankscope.comparison.curves import compared_curves
from rankscope.comparison.groups import RunGroup, seed_groups, single_groups
from rankscope.comparison.results import ValueOf, metric_verdicts
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem, NotFound
from rankscope.contract.metrics import PEAK_GPU_MEMORY, PEAK_MEMORY
from rankscope.contract.tables import Run
from rankscope.launch.changes import flat
from rankscope.store import runs
from rankscope.store.database.engine import reading
from rankscope.store.history.points import marked

router = APIRouter(prefix="/compare", tags=["compare"])

_MOST_GROUPS, _MOST_RUNS = 20, 100
_MOST_METRICS = 12
_MOST_RELATIVES = 1000
RunIds = Annotated[
    list[str],
    Query(
        alias="runs",
        description="Ids of runs, repeated or separated by commas: up to 20, or with group=seed up to 100 in 20 groups.",
    ),
]
Grouping = Annotated[
    Literal["run", "seed"],
    Query(alias="group", description="seed: runs that differ only in their seed are one group, with mean and spread."),
]


@router.get("")
@needs("read")
def compare_runs(engine: EngineDep, now: NowDep, wanted: RunIds, group: Grouping = "run") -> Comparison:
    """Results with their spread over seeds, differences between the configurations, and what makes the runs incomparable."""
    with reading(engine) as session:
        found, configs, groups = _read(session, wanted, group)
        rows = views.summaries(session, found, now=now)
        costs = [_cost(session, run, now) for run in found]
    return Comparison(
        runs=rows,
        groups=_group_shapes(found, groups),
        differences=differences([config.model_dump(mode="json") for config in configs]),
        cautions=[CautionShape(**vars(one) | {"values": list(one.values)}) for one in cautions(found, configs, groups)],
        costs=costs,
        best=_verdicts(found, configs, groups, "best"),
        last=_verdicts(found, configs, groups, "last"),
    )


@router.get("/series", response_model=ComparedCurves)
@needs("read")
def compare_series(
    engine: EngineDep,
    wanted: RunIds,
    names: Annotated[list[MetricName], Query(min_length=1, max_length=_MOST_METRICS, description="Metrics.")],
    axis: Annotated[CurveAxis, Query(description="What the curves are plotted against.")] = "step",
    group: Grouping = "run",
    points: Annotated[int, Query(ge=10, le=5000, description="Approximate maximum number of points per curve.")] = 400,
    smooth: Annotated[float, Query(ge=0, lt=1, description="Weight of the moving average; 0 turns it off.")] = 0.0,
) -> Response:
    """Curves of several metrics on one axis. They are reduced but keep all extremes; groups have their mean and spread."""
    with reading(engine) as session:
        found, configs, groups = _read(session, wanted, group)
        curves, unplaced = compared_curves(
            session, found, configs, groups, list(dict.fromkeys(names)), axis, points=points, smooth=smooth
        )
    body = ComparedCurves.model_construct(
        axis=axis,
        groups=_group_shapes(found, groups),
        curves=[
            # Not validated again: these are up to a hundred thousand numbers.
            ComparedCurveShape.model_construct(
                group=curve.group,
                name=curve.name,
                x=curve.x.tolist(),
                values=cast(list[Number], marked(curve.values)),
                sd=None if curve.sd is None else cast(list[Number], marked(curve.sd)),
                n=curve.runs,
                total_points=curve.total_points,
            )
            for curve in curves
        ],
        unplaced=[UnplacedRun(run_id=one.run_id, reason=one.reason) for one in unplaced],
    )
    return Response(body.model_dump_json(), media_type="application/json")


@router.get("/ranks")
@needs("read")
def compare_ranks(
    engine: EngineDep,
    a: Annotated[str, Query(pattern=RUN_ID.pattern, description="The first run.")],
    b: Annotated[str, Query(pattern=RUN_ID.pattern, description="The second run.")],
    align: Annotated[Alignment, Query(description="Compare the runs at equal steps, progress or budget.")] = "step",
    frames: Annotated[int, Query(ge=1, le=1000, description="Maximum number of positions.")] = 200,
) -> RankDifferenceShape:
    """The ranks of two runs at equal steps, progress or budget, and how similar the two allocations are."""
    with reading(engine) as session:
        one, other = (_allocation(session, run) for run in runs.find_runs(session, [a, b]))
    found = difference(one, other, align, most=frames)
    return RankDifferenceShape.model_validate(
        {
            "align": align,
            "modules": found.modules,
            "width_a": found.widths[0],
            "width_b": found.widths[1],
            "positions": found.positions.tolist(),
            "steps_a": found.steps[0],
            "steps_b": found.steps[1],
            "live_a": found.live[0],
            "live_b": found.live[1],
            "ranks_a": base64.b64encode(found.ranks[0].astype("<u2").tobytes()).decode(),
            "ranks_b": base64.b64encode(found.ranks[1].astype("<u2").tobytes()).decode(),
            "shared_modules": found.shared_modules,
            "spearman": marked(np.round(found.agreement.spearman, 6)),
            "kendall": marked(np.round(found.agreement.kendall, 6)),
        }
    )


@router.get("/tree")
@needs("read")
def compare_trees(engine: EngineDep, wanted: RunIds) -> RunForest:
    """The trees of forks that the runs belong to."""
    run_ids = _checked(wanted)
    items, seen, is_complete = [], set[str](), True
    with reading(engine) as session:
        for run in runs.find_runs(session, run_ids):
            if run.id in seen:
                continue
            tree, is_whole = runs.relatives(session, run, most=_MOST_RELATIVES)
            is_complete = is_complete and is_whole
            items += [views.relative(one) for one in tree if one.id not in seen]
            seen.update(one.id for one in tree)
    return RunForest(items=items, is_complete=is_complete)


def _allocation(session: Session, run: Run) -> Allocation:
    found = read_allocation(session, run)
    if found is None:
        raise NotFound(f"Run {run.id} has no rank snapshots.", "Choose a run of a method with ranks that has begun.")
    return found


def differences(configs: Sequence[dict[str, object]]) -> list[ConfigDifference]:
    """Fields with more than one value, by dotted name, in the order of the first run's configuration."""
    each_flat = [flat(config) for config in configs]
    fields = dict.fromkeys(field for each in each_flat for field in each)
    rows = [ConfigDifference(field=field, values=[each.get(field) for each in each_flat]) for field in fields]
    return [row for row in rows if any(value != row.values[0] for value in row.values)]


def _read(session: Session, wanted: list[str], group: str) -> tuple[list[Run], list[RunConfig], list[RunGroup]]:
    run_ids = _checked(wanted)
    if group == "run" and len(run_ids) > _MOST_GROUPS:
        next_step = f"Compare at most {_MOST_GROUPS} runs, or up to {_MOST_RUNS} with group=seed."
        raise BadInput([FieldProblem("runs", run_ids, f"has {len(run_ids)} runs, which are not grouped", next_step)])
    found = runs.find_runs(session, run_ids)
    configs = [RunConfig.stored(run.config) for run in found]
    if group == "run":
        return found, configs, single_groups(found, configs)
    groups = seed_groups(found, configs)
    if len(groups) > _MOST_GROUPS:
        message = f"has {len(run_ids)} runs in {len(groups)} groups; runs are one group only if nothing but their seed differs"
        raise BadInput([FieldProblem("runs", run_ids, message, f"Compare runs of at most {_MOST_GROUPS} groups.")])
    return found, configs, groups


def _checked(wanted: list[str]) -> list[str]:
    run_ids = list(dict.fromkeys(part for value in wanted for part in value.split(",") if part))
    if not 2 <= len(run_ids) <= _MOST_RUNS:
        next_step = f"Name between 2 and {_MOST_RUNS} different runs."
        raise BadInput([FieldProblem("runs", run_ids, f"has {len(run_ids)} runs", next_step)])
    for run_id in run_ids:
        if not RUN_ID.fullmatch(run_id):
            raise BadInput(
                [FieldProblem("runs", run_id, f"contains {run_id!r}, which is not a run id", "Use ids from GET /runs.")]
            )
    return run_ids


def _group_shapes(found: Sequence[Run], groups: Sequence[RunGroup]) -> list[GroupShape]:
    return [
        GroupShape(name=one.name, run_ids=[found[place].id for place in one.members], seeds=list(one.seeds))
        for one in groups
    ]


def _verdicts(
    found: Sequence[Run], configs: Sequence[RunConfig], groups: Sequence[RunGroup], of: ValueOf
) -> list[MetricVerdict]:
    return [
        MetricVerdict.model_validate(
            {
                "name": one.name,
                "groups": [vars(spread) for spread in one.spreads],
                "winner": one.verdict.winner,
                "sentence": one.verdict.sentence,
            }
        )
        for one in metric_verdicts(found, configs, groups, of)
    ]


def _cost(session: Session, run: Run, now: float) -> RunCost:
    peaks = [run.metrics[name]["max"] for name in (PEAK_GPU_MEMORY, PEAK_MEMORY) if name in run.metrics]
    memory = next((value for value in peaks if not isinstance(value, str)), None)
    return RunCost(
        run_id=run.id,
        kept_parameters=run.kept_parameters,
        live_parameters=live_parameters(session, run),
        trained_s=trained_seconds(session, run, now),
        peak_memory_bytes=memory,
    )
