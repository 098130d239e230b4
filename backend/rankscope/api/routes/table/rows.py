"""Rows of the runs table, what has changed in it, and groups."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import Session

from rankscope.api.deps import EngineDep, NowDep
from rankscope.api.guard.access import needs
from rankscope.api.run_query import Columns, FilterDep, Sort, names_of
from rankscope.api.shapes.run_table import RunGroup, RunGroups, RunTable, SpreadShape, TableChanges
from rankscope.api.shapes.table_rows import field_shape, table_rows
from rankscope.comparison.groups import without_seed
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.tables import Run
from rankscope.contract.tasks import TASKS
from rankscope.store import runs
from rankscope.store.database.engine import reading
from rankscope.store.listing import changes, groups, run_list
from rankscope.store.listing.cells import chosen_fields
from rankscope.store.queue_positions import next_in_queue

router = APIRouter(prefix="/runs", tags=["runs"])

_MOST_IDS = 100
_QUEUE = 100
_MOST_GROUPED = 8


@router.get("/table")
@needs("read")
def read_table(
    engine: EngineDep,
    now: NowDep,
    filter: FilterDep,
    columns: Columns = None,
    sort: Sort = "-created",
    limit: Annotated[int, Query(ge=1, le=500, description="Maximum number of runs on a page.")] = 100,
    cursor: Annotated[str | None, Query(max_length=4000, description="`next_cursor` of the previous page.")] = None,
    baseline: Annotated[str | None, Query(pattern="^[a-z0-9]{1,16}$", description="A run to return as well.")] = None,
) -> RunTable:
    """One page of the runs table, with the chosen columns alone."""
    fields = chosen_fields(names_of(columns or []))
    with reading(engine) as session:
        page = run_list.list_runs(session, filter, sort=sort, limit=limit, cursor=cursor, with_metrics=False)
        rows = table_rows(session, page.runs, page.keys, fields, now=now)
        pinned = None
        if baseline is not None and cursor is None:
            (pinned,) = table_rows(session, [runs.get_run(session, baseline)], [None], fields, now=now)
        return RunTable.model_construct(
            columns=[field_shape(field) for field in fields],
            rows=rows,
            next_cursor=page.next_cursor,
            total=page.total,
            baseline=pinned,
            queue=_queue(session),
            changes=changes.current_cursor(session, now=now),
        )


@router.get("/changes")
@needs("read")
def read_changes(
    engine: EngineDep,
    now: NowDep,
    filter: FilterDep,
    since: Annotated[str, Query(max_length=50, description="`changes` of the table, or `cursor` of the last answer.")],
    columns: Columns = None,
    sort: Sort = "-created",
) -> TableChanges:
    """What has changed in the table since a cursor: rows that are new or different, and runs that are gone."""
    fields = chosen_fields(names_of(columns or []))
    with reading(engine) as session:
        found = changes.read_changes(session, since, filter, sort=sort, now=now)
        return TableChanges.model_construct(
            cursor=found.cursor,
            rows=table_rows(session, found.runs, found.keys, fields, now=now),
            gone=found.gone,
            total=None if found.total < 0 else found.total,
            queue=_queue(session),
            reset=found.is_reset,
        )


@router.get("/groups")
@needs("read")
def read_groups(
    engine: EngineDep,
    now: NowDep,
    filter: FilterDep,
    by: Annotated[
        list[str] | None,
        Query(
            max_length=20,
            description="Fields whose values runs of a group share. Default: all of the setup but the seed.",
        ),
    ] = None,
    of: Annotated[
        list[str] | None,
        Query(max_length=20, description="Numeric fields: mean, sd and range of each. Default: the headline metric."),
    ] = None,
    reverse: Annotated[bool, Query(description="The largest mean of the first of `of` comes first.")] = True,
) -> RunGroups:
    """Runs in groups with equal values of some fields, for example of the same configuration with different seeds."""
    keys, numbers = chosen_fields(names_of(by or ["setup"])), chosen_fields(names_of(of or ["headline"]))
    for name, fields in (("by", keys), ("of", numbers)):
        if not 1 <= len(fields) <= _MOST_GROUPED:
            message = f"has {len(fields)} fields"
            raise BadInput([FieldProblem(name, len(fields), message, f"Name between 1 and {_MOST_GROUPED} fields.")])
    for field in numbers:
        if field.kind not in ("number", "integer"):
            message = f"contains {field.name}, which is not a number"
            raise BadInput([FieldProblem("of", field.name, message, "Name fields with numbers.")])
    with reading(engine) as session:
        cursor = changes.current_cursor(session, now=now)
        found, total = groups.read_groups(session, filter, by=keys, of=numbers, falling=reverse)
        oldest = run_list.read_runs(session, [group.run_ids[0] for group in found], with_metrics=False)
    return RunGroups(
        by=[field_shape(field) for field in keys],
        of=[field_shape(field) for field in numbers],
        items=[_group(group, oldest[group.run_ids[0]]) for group in found],
        total=total,
        changes=cursor,
    )


def _group(group: groups.Group, oldest: Run) -> RunGroup:
    return RunGroup(
        keys=group.keys,
        name=oldest.name if len(group.run_ids) == 1 else without_seed(oldest.name),
        method=oldest.method,
        model_id=oldest.model_id,
        data_id=oldest.data_id,
        headline=TASKS[oldest.task].headline_of(oldest.headline_metric).short_title,
        run_ids=group.run_ids[:_MOST_IDS],
        size=len(group.run_ids),
        spreads=[SpreadShape(**asdict(spread)) for spread in group.spreads],
    )


def _queue(session: Session) -> list[str]:
    return next_in_queue(session, limit=_QUEUE)
