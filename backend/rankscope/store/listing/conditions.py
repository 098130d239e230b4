"""Conditions of the filter language as SQL. Every value is a bound parameter."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, literal, not_, or_, select
from sqlmodel import col

from rankscope.contract.tables import ConfigValue, EvaluationPoint, Run, RunMetric, RunTag
from rankscope.store.listing.fields import Field
from rankscope.store.listing.filter_text import Both, Compared, Condition, Missing, Negated
from rankscope.store.listing.values import config_column, is_point, metric_column, value_of

Test = Callable[[ColumnElement[Any]], ColumnElement[bool]]


def to_sql(condition: Condition) -> ColumnElement[bool]:
    """True or false for every run, never NULL: `not` and `!=` also find runs without a value."""
    match condition:
        case Both(parts, is_any):
            return (or_ if is_any else and_)(*(to_sql(part) for part in parts))
        case Negated(part):
            return not_(to_sql(part))
        case Missing(field):
            return not_(_some_value(field, lambda column: column.is_not(None)))
        case Compared(field, operator, values):
            if operator in ("!=", "!~"):
                return not_(_some_value(field, _test("=" if operator == "!=" else "~", values)))
            return _some_value(field, _test(operator, values))


def names_field(condition: Condition | None, name: str) -> bool:
    """Whether a field occurs anywhere in the condition."""
    match condition:
        case Both(parts, _):
            return any(names_field(part, name) for part in parts)
        case Negated(part):
            return names_field(part, name)
        case Missing(field) | Compared(field, _, _):
            return field.name == name
    return False


def _some_value(field: Field, test: Test) -> ColumnElement[bool]:
    """Whether the run has a value that passes the test."""
    if field.kind == "tags":
        return _exists(RunTag, col(RunTag.tag), test)
    if field.at_step is not None:
        return _exists(EvaluationPoint, col(EvaluationPoint.value), test, *is_point(field, EvaluationPoint))
    if field.metric is not None:
        return _exists(RunMetric, metric_column(field, RunMetric), test, col(RunMetric.name) == field.metric)
    if field.config_path is not None:
        on = col(ConfigValue.path) == field.config_path
        return _exists(ConfigValue, config_column(field, ConfigValue), test, on)
    value = value_of(field)
    if not value.joins:
        return and_(value.column.is_not(None), test(value.column))
    ((table, on),) = value.joins
    return exists(
        select(literal(1)).select_from(table).where(on, value.column.is_not(None), test(value.column)).correlate(Run)
    )


def _exists(
    table: type[RunTag] | type[RunMetric] | type[EvaluationPoint] | type[ConfigValue],
    column: Any,
    test: Test,
    *more: ColumnElement[bool],
) -> ColumnElement[bool]:
    return exists(
        select(literal(1))
        .select_from(table)
        .where(col(table.run_id) == col(Run.id), *more, column.is_not(None), test(column))
        .correlate(Run)
    )


def _test(operator: str, values: tuple[str | float, ...]) -> Test:
    (first, *_) = values
    match operator:
        case "=":
            return lambda column: column == first if len(values) == 1 else column.in_(values)
        case "<":
            return lambda column: column < first
        case "<=":
            return lambda column: column <= first
        case ">":
            return lambda column: column > first
        case ">=":
            return lambda column: column >= first
        case "~":
            return lambda column: column.icontains(str(first), autoescape=True)
    raise ValueError(f"{operator!r} is not an operator")
