"""What can follow at a place in a filter: fields, operators, values."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import String, cast, select
from sqlmodel import Session, col

from rankscope.contract.tables import ConfigValue, Run, RunTag
from rankscope.store.listing.fields import (
    METRIC_PARTS,
    Field,
    config_fields,
    find_field,
    metric_field,
    own_fields,
    split_name,
)
from rankscope.store.listing.filter_text import next_terminals
from rankscope.store.listing.metric_names import evaluation_steps, metric_names, recorded_metrics
from rankscope.store.listing.values import value_of

MOST = 40
_WORD = re.compile(r"""("[^"]*|'[^']*|[^\s"'(),=<>!~]*(?:"[^"]*"?[^\s"'(),=<>!~]*)*)$""")
_SIGNS = re.compile(r"[=<>!~]+$")
_VALUES = {"STRING", "DATE", "AGO", "NUMBER", "WORD"}


@dataclass(frozen=True)
class Suggestion:
    text: str
    """Replaces the characters from `start` to the place."""
    note: str
    kind: str
    """`field`, `operator`, `value` or `word`."""


@dataclass(frozen=True)
class Suggestions:
    start: int
    items: list[Suggestion]


def suggest(session: Session, text: str, at: int) -> Suggestions:
    """Up to 40 continuations of `text` at character `at`, the most likely first."""
    before = text[:at]
    word = _WORD.search(before)
    partial = word[0] if word else ""
    start = at - len(partial)
    follow = next_terminals(before[:start])
    if not follow and not partial:
        return Suggestions(at, [])
    found = [each for each in _all(session, before[:start], follow, partial) if each.text != partial]
    return Suggestions(start, _ranked(found, partial)[:MOST])


def _all(session: Session, before: str, follow: set[str], partial: str) -> Iterator[Suggestion]:
    if "NAME" in follow:
        yield from _fields(session)
        yield from _steps(session, partial)
        if "_NOT" in follow:
            yield Suggestion("not", "the opposite", "word")
    if "OPERATOR" in follow:
        yield from _operators(_last_field(before))
    if follow & _VALUES:
        yield from _values(session, _last_field(before), partial)
    for name in ("_AND", "_OR", "_IN", "_NULL"):
        if name in follow:
            yield Suggestion(name.strip("_").lower(), "", "word")
    if "_IS" in follow:
        yield Suggestion("is null", "has no value", "word")
        yield Suggestion("is not null", "has a value", "word")


def _ranked(found: list[Suggestion], partial: str) -> list[Suggestion]:
    """Those that contain what was typed; first those that begin with it, or have a part that does."""
    typed = partial.strip("\"'").lower()

    def rank(each: Suggestion) -> int:
        text = each.text.lower().strip("\"'")
        if text.startswith(typed):
            return 0
        return 1 if any(part.startswith(typed) for part in re.split(r"[._]", text)) else 2

    matching = [each for each in found if typed in each.text.lower() or typed in each.note.lower()]
    return sorted(matching, key=rank)


def _fields(session: Session) -> Iterator[Suggestion]:
    recorded = recorded_metrics(session)
    for field in own_fields().values():
        yield Suggestion(field.name, field.title, "field")
    for name in recorded or metric_names(session):
        for part in ("best", "last", "min", "max"):
            yield _of_metric(metric_field(name, part))
    for field in config_fields().values():
        yield Suggestion(field.name, field.title, "field")
    for name in recorded:
        for part in METRIC_PARTS:
            if part.endswith("_step"):
                yield _of_metric(metric_field(name, part))


def _steps(session: Session, partial: str) -> Iterator[Suggestion]:
    """Once the name of a metric is complete: its values at the steps of evaluations."""
    parts = split_name(partial.rstrip(".")) or []
    if parts[:1] == ["metrics"] and len(parts) > 1:
        for name in dict.fromkeys([".".join(parts[1:]), ".".join(parts[1:-1])]):
            for step in evaluation_steps(session, name):
                yield _of_metric(metric_field(name, f"at_{step}"))


def _of_metric(field: Field) -> Suggestion:
    return Suggestion(field.name, field.title, "field")


def _operators(field: Field | None) -> Iterator[Suggestion]:
    yield Suggestion("=", "equals", "operator")
    yield Suggestion("!=", "differs", "operator")
    if field is None or field.is_numeric:
        for sign, note in (("<", "below"), ("<=", "at most"), (">", "above"), (">=", "at least")):
            yield Suggestion(sign, note, "operator")
    if field is None or field.kind in ("text", "choice", "tags"):
        yield Suggestion("~", "contains", "operator")
        yield Suggestion("!~", "does not contain", "operator")
    yield Suggestion("in", "one of several", "operator")
    yield Suggestion("not in", "none of several", "operator")


def _last_field(before: str) -> Field | None:
    """The field that the next operator or value belongs to: the last name before it."""
    names = re.findall(r"""[A-Za-z_][^\s"'(),=<>!~]*(?:"[^"]*"[^\s"'(),=<>!~]*)*""", _without_list(before))
    for name in reversed(names):
        if name.lower() not in ("in", "not", "is"):
            return find_field(name)
    return None


def _without_list(before: str) -> str:
    """Without the values of an unfinished `in (a, b,`."""
    return re.sub(r"\(\s*(?:[^()]*,)?\s*$", "", before)


def _values(session: Session, field: Field | None, partial: str) -> Iterator[Suggestion]:
    if field is None:
        return
    if field.kind == "boolean":
        choices: Sequence[object] = ("true", "false")
    elif field.choices:
        choices = field.choices
    elif field.kind == "time":
        for text, note in (
            ("-1h", "an hour ago"),
            ("-1d", "a day ago"),
            ("-7d", "a week ago"),
            ("-30d", "a month ago"),
        ):
            yield Suggestion(text, note, "value")
        return
    else:
        choices = _stored(session, field, partial.strip("\"'"))
    for choice in choices:
        yield Suggestion(_quoted(str(choice), field), "", "value")


def _stored(session: Session, field: Field, typed: str) -> list[str]:
    """Values that runs have."""
    if field.kind == "tags":
        query = select(col(RunTag.tag)).where(col(RunTag.tag).icontains(typed, autoescape=True))
    elif field.config_path is not None:
        query = select(col(ConfigValue.text)).where(
            col(ConfigValue.path) == field.config_path, col(ConfigValue.text).icontains(typed, autoescape=True)
        )
    elif field.metric is None and field.kind == "text" and field.name not in ("id", "notes"):
        value = value_of(field)
        column = cast(value.column, String)
        query = select(column).select_from(Run).where(column.icontains(typed, autoescape=True))
        for table, on in value.joins:
            query = query.join(table, on)
    else:
        return []
    found = session.scalars(query.distinct().limit(MOST)).all()
    return sorted(found, key=lambda text: (not field.is_numeric, _number(text), text))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _quoted(text: str, field: Field) -> str:
    if field.is_numeric or field.kind == "boolean" or re.fullmatch(r"[^\s\"'(),=<>!~]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
