"""Fields as SQL: the value of each run, with the joins that it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Float, String, and_, case, cast, func, type_coerce
from sqlalchemy.orm import aliased
from sqlmodel import col

from rankscope.contract.sweeps.tables import SweepTrial
from rankscope.contract.tables import ConfigValue, EvaluationPoint, Run, RunMetric
from rankscope.contract.tasks import TASKS
from rankscope.store.listing.fields import Field

Join = tuple[Any, ColumnElement[bool]]
"""A table that is joined from the left, and its condition."""


@dataclass(frozen=True)
class Value:
    column: ColumnElement[Any]
    joins: list[Join] = field(default_factory=list)


def value_of(wanted: Field) -> Value:
    """The field's value, NULL for a run without one. Not for tags, of which a run can have several."""
    if wanted.at_step is not None:
        point = aliased(EvaluationPoint)
        return Value(point_column(point), [(point, and_(col(point.run_id) == col(Run.id), *is_point(wanted, point)))])
    if wanted.metric is not None:
        metric = aliased(RunMetric)
        on = and_(col(metric.run_id) == col(Run.id), col(metric.name) == wanted.metric)
        return Value(metric_column(wanted, metric), [(metric, on)])
    if wanted.config_path is not None:
        value = aliased(ConfigValue)
        on = and_(col(value.run_id) == col(Run.id), col(value.path) == wanted.config_path)
        return Value(config_column(wanted, value), [(value, on)])
    if wanted.name == "headline":
        return _headline()
    if wanted.name == "sweep":
        trial = aliased(SweepTrial)
        return Value(type_coerce(col(trial.sweep_id), String), [(trial, col(trial.run_id) == col(Run.id))])
    return Value(_OWN[wanted.name]())


def is_point(wanted: Field, point: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Whether a row of evaluation_point is of this metric and step."""
    return col(point.name) == wanted.metric, col(point.step) == wanted.at_step


def point_column(point: Any) -> Any:
    return col(point.value)


def metric_column(wanted: Field, metric: Any) -> Any:
    """The column of a row of run_metric that has this part."""
    part = wanted.part.replace("best", "min" if wanted.lower_is_better else "max")
    return col(getattr(metric, part))


def config_column(wanted: Field, value: Any) -> Any:
    return col(value.number) if wanted.is_numeric or wanted.kind == "boolean" else col(value.text)


def _headline() -> Value:
    """The best value of the metric that each run is judged by."""
    usual = case(*((col(Run.task) == name, kind.usual_headline().name) for name, kind in TASKS.items()))
    metric = aliased(RunMetric)
    on = and_(col(metric.run_id) == col(Run.id), col(metric.name) == func.coalesce(col(Run.headline_metric), usual))
    described = {each.name: each for kind in TASKS.values() for each in kind.described()}
    names = dict.fromkeys(name for kind in TASKS.values() for name in kind.best_by())
    lower = [name for name in names if described[name].lower_is_better]
    return Value(case((col(metric.name).in_(lower), col(metric.min)), else_=col(metric.max)), [(metric, on)])


def _plain(name: str) -> Callable[[], ColumnElement[Any]]:
    return lambda: type_coerce(col(getattr(Run, name)), getattr(Run, name).type)


def _as_float(name: str) -> Callable[[], ColumnElement[Any]]:
    return lambda: cast(col(getattr(Run, name)), Float)


def _or_null(name: str) -> Callable[[], ColumnElement[Any]]:
    return lambda: func.nullif(col(getattr(Run, name)), "")


_OWN: dict[str, Callable[[], ColumnElement[Any]]] = {
    # As text, because a cursor may contain any value.
    "status": lambda: type_coerce(col(Run.status), String),
    "model": _plain("model_id"),
    "data": _plain("data_id"),
    "created": _plain("created_at"),
    "started": _plain("started_at"),
    "ended": _plain("ended_at"),
    "updated": _plain("updated_at"),
    "modules": _plain("n_modules"),
    "parent": _plain("parent_id"),
    "project": _or_null("project"),
    "notes": _or_null("notes"),
    "archived": lambda: case((col(Run.archived_at).is_(None), 0.0), else_=1.0),
    "duration": lambda: col(Run.ended_at) - col(Run.started_at),
    "progress": lambda: cast(Run.step, Float) / func.nullif(Run.total_steps, 0),
    "mean_rank": lambda: cast(Run.live, Float) / func.nullif(Run.n_modules, 0),
    "trained_parameters": _as_float("trained_parameters"),
    "kept_parameters": _as_float("kept_parameters"),
    **{
        name: _plain(name)
        for name in ("name", "id", "method", "task", "step", "total_steps", "priority", "attempt", "live", "budget")
    },
    **{name: _plain(name) for name in ("worker", "reason")},
}
