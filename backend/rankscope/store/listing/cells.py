"""The chosen columns of a page of runs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.tables import ConfigValue, EvaluationPoint, Run, RunMetric
from rankscope.store.listing.cursors import is_storable
from rankscope.store.listing.fields import Field, find_field, hint_for
from rankscope.store.listing.run_list import joined
from rankscope.store.listing.values import config_column, metric_column, value_of

Cell = str | float | int | bool | None

MOST_COLUMNS = 60


def chosen_fields(names: Sequence[str]) -> list[Field]:
    """The fields with these names. Raises BadInput for an unknown one, and for tags and notes, which every row has."""
    fields, problems = [], []
    for name in dict.fromkeys(names):
        field = find_field(name) if is_storable(name) else None
        if field is None or not field.is_sortable:
            hint = hint_for(name) or "GET /runs/fields lists them."
            problems.append(FieldProblem("columns", name, f"contains {name!r}, which is not a column", hint))
        else:
            fields.append(field)
    if len(fields) > MOST_COLUMNS:
        message = f"has {len(fields)} columns"
        problems.append(FieldProblem("columns", len(fields), message, f"Use at most {MOST_COLUMNS}."))
    if problems:
        raise BadInput(problems)
    return fields


def read_cells(session: Session, run_ids: Sequence[str], fields: Sequence[Field]) -> dict[str, list[Cell]]:
    """By run, its value of each field."""
    metrics = {field.metric: None for field in fields if field.metric is not None and field.at_step is None}
    points = {(field.metric, field.at_step): None for field in fields if field.at_step is not None}
    paths = {field.config_path: None for field in fields if field.config_path is not None}
    recorded: dict[tuple[str, str], Any] = {}
    if metrics:
        # Columns, not objects: building those takes most of the time.
        columns = RunMetric.__table__.c  # type: ignore[attr-defined]
        query = select(*columns).where(columns.run_id.in_(run_ids), columns.name.in_(list(metrics)))
        recorded = {(row.run_id, row.name): row for row in session.execute(query)}
    evaluated: dict[tuple[str, str, int], float | None] = {}
    if points:
        columns = EvaluationPoint.__table__.c  # type: ignore[attr-defined]
        names, steps = ({point[place] for point in points} for place in (0, 1))
        query = select(*columns).where(columns.run_id.in_(run_ids), columns.name.in_(names), columns.step.in_(steps))
        evaluated = {(row.run_id, row.name, row.step): row.value for row in session.execute(query)}
    configured: dict[tuple[str, str], Any] = {}
    if paths:
        columns = ConfigValue.__table__.c  # type: ignore[attr-defined]
        query = select(*columns).where(columns.run_id.in_(run_ids), columns.path.in_(list(paths)))
        configured = {(row.run_id, row.path): row for row in session.execute(query)}
    own = [field for field in fields if field.metric is None and field.config_path is None]
    of_run: dict[str, Sequence[Any]] = {}
    if own:
        values = [value_of(field) for field in own]
        labelled = [value.column.label(f"v{place}") for place, value in enumerate(values)]
        of_own = joined(select(col(Run.id), *labelled).where(col(Run.id).in_(run_ids)), *values)
        of_run = {row[0]: row[1:] for row in session.execute(of_own)}

    def cell(run_id: str, field: Field) -> Cell:
        if field.metric is not None and field.at_step is not None:
            value = evaluated.get((run_id, field.metric, field.at_step))
        elif field.metric is not None:
            row = recorded.get((run_id, field.metric))
            value = None if row is None else getattr(row, metric_column(field, RunMetric).key)
        elif field.config_path is not None:
            row = configured.get((run_id, field.config_path))
            value = None if row is None else getattr(row, config_column(field, ConfigValue).key)
        else:
            values = of_run.get(run_id)
            value = None if values is None else values[own.index(field)]
        return as_kind(field, value)

    return {run_id: [cell(run_id, field) for field in fields] for run_id in run_ids}


def as_kind(field: Field, value: Any) -> Cell:
    """The value as the API returns it: the database has booleans and whole numbers as floats."""
    if value is None:
        return None
    if field.kind == "integer":
        return int(value)
    return bool(value) if field.kind == "boolean" else value
