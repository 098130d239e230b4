"""Converts runs to rows of the runs table."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session

from rankscope.api.shapes.run_table import FieldShape, RowHeadline, TableRow
from rankscope.api.shapes.views import eta_s
from rankscope.contract.reasons import reason_title
from rankscope.contract.status import Phase, RunStatus
from rankscope.contract.tables import Run
from rankscope.contract.tasks import TASKS
from rankscope.store.listing.cells import read_cells
from rankscope.store.listing.cursors import Key
from rankscope.store.listing.fields import Field
from rankscope.store.listing.run_list import read_headlines
from rankscope.store.tags import tags_of

_LONGEST_MESSAGE = 200


def field_shape(field: Field) -> FieldShape:
    return FieldShape(
        name=field.name,
        kind=field.kind,
        title=field.title,
        description=field.description,
        choices=list(field.choices),
        is_sortable=field.is_sortable,
        lower_is_better=field.lower_is_better if field.metric is not None else None,
    )


def table_rows(
    session: Session, runs: Sequence[Run], keys: Sequence[Key], fields: Sequence[Field], *, now: float
) -> list[TableRow]:
    run_ids = [run.id for run in runs]
    tags, cells, headlines = (
        tags_of(session, run_ids),
        read_cells(session, run_ids, fields),
        read_headlines(session, runs),
    )
    return [
        TableRow.model_construct(
            **_row(run, now),
            tags=tags.get(run.id, []),
            key=key,
            cells=cells[run.id],
            headline=headlines_of(run, headlines),
        )
        for run, key in zip(runs, keys, strict=True)
    ]


def headlines_of(run: Run, found: Mapping[str, Any]) -> RowHeadline:
    metric = TASKS[run.task].headline_of(run.headline_metric)
    row = found.get(run.id)
    part = "min" if metric.lower_is_better else "max"
    return RowHeadline.model_construct(
        title=metric.short_title,
        lower_is_better=metric.lower_is_better,
        best=None if row is None else getattr(row, part),
        best_step=None if row is None else getattr(row, f"{part}_step"),
    )


def _row(run: Run, now: float) -> dict[str, Any]:
    has_trouble = run.status in (RunStatus.failed, RunStatus.interrupted) and run.message
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "phase": None if run.phase is None else Phase(run.phase),
        "attempt": run.attempt,
        "reason": reason_title(run.reason),
        "trouble": run.message[:_LONGEST_MESSAGE] if has_trouble and run.message else None,
        "step": run.step,
        "total_steps": run.total_steps,
        "eta_s": eta_s(run, now),
        "method": run.method,
        "model_id": run.model_id,
        "data_id": run.data_id,
        "project": run.project,
        "archived": run.archived_at is not None,
        "parent_id": run.parent_id,
        "created_at": run.created_at,
    }
