"""The filter language: text to conditions.

config.method.target_rank <= 8 and metrics.eval_loss.min < 0.4 and tag = "a"
status in (running, queued) or not (created >= -7d)
project is null
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, v_args
from lark.exceptions import VisitError

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.store.listing.fields import METRIC_PARTS, Field, find_field, hint_for, split_name

GRAMMAR = r"""
start: _either
_either: either | _all
either: _all (_OR _all)+
_all: all | _one
all: _one (_AND _one)+
_one: negated | "(" _either ")" | compared | one_of | none_of | missing | present
negated: _NOT _one
compared: NAME OPERATOR value
one_of: NAME _IN "(" value ("," value)* ")"
none_of: NAME _NOT _IN "(" value ("," value)* ")"
missing: NAME _IS _NULL
present: NAME _IS _NOT _NULL
value: STRING | DATE | AGO | NUMBER | WORD

_OR.3: /or\b/i
_AND.3: /and\b/i
_NOT.3: /not\b/i
_IN.3: /in\b/i
_IS.3: /is\b/i
_NULL.3: /null\b/i
OPERATOR: /<=|>=|!=|==|!~|=|<|>|~/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/
DATE.2: /\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?Z?(?![^\s()=<>!~,"'])/
AGO.2: /-\d+(?:\.\d+)?[smhdw](?![^\s()=<>!~,"'])/
NUMBER.1: /[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![^\s()=<>!~,"'])/i
WORD: /[^\s"'(),=<>!~]+/
NAME: /[A-Za-z_][^\s"'(),=<>!~]*(?:"[^"]*"[^\s"'(),=<>!~]*)*/
%import common.WS
%ignore WS
"""
LONGEST = 4000
MOST_CONDITIONS = 100
_DEEPEST = 40
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~", "!~"]
_ORDERED = ("<", "<=", ">", ">=")
_OPERATORS = ("=", "!=", *_ORDERED, "~", "!~")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


@dataclass(frozen=True)
class Compared:
    """A field against values: `=` and `!=` accept several."""

    field: Field
    operator: Operator
    values: tuple[str | float, ...]


@dataclass(frozen=True)
class Missing:
    field: Field


@dataclass(frozen=True)
class Negated:
    part: "Condition"


@dataclass(frozen=True)
class Both:
    """All of the parts, or any of them."""

    parts: tuple["Condition", ...]
    is_any: bool = False


Condition = Compared | Missing | Negated | Both


@dataclass(frozen=True)
class FilterProblem(Exception):
    """What is wrong with a filter, and where: characters from `start` to `end`, counted from 0."""

    message: str
    next_step: str
    start: int
    end: int

    def bad_input(self, text: str) -> BadInput:
        where = f"{self.message} (at character {self.start + 1})"
        return BadInput([FieldProblem("filter", text[:200], where, self.next_step)])


def parse(text: str, *, now: float, metrics: Callable[[], Collection[str]]) -> Condition | None:
    """The condition of a filter; None if it is blank. Raises FilterProblem.

    `metrics`: returns the names of the metrics that exist. Called only if the filter has one.
    """
    if not text.strip():
        return None
    if len(text) > LONGEST:
        raise FilterProblem(f"has {len(text):,} characters", f"At most {LONGEST:,} are allowed.", LONGEST, len(text))
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise FilterProblem("has a character that can't be stored", "Remove it.", 0, len(text))
    try:
        tree = _parser().parse(text)
        return _Conditions(now, metrics).transform(tree)  # type: ignore[no-any-return]
    except UnexpectedToken as error:
        raise _unexpected(text, error.token, error.accepts or error.expected) from error
    except UnexpectedEOF as error:
        raise _expected_at_end(text, set(error.expected)) from error
    except UnexpectedCharacters as error:
        raise _unexpected_character(text, error) from error
    except RecursionError as error:
        raise FilterProblem("is nested too deeply", "Use fewer levels.", 0, len(text)) from error
    except VisitError as error:
        if isinstance(error.orig_exc, FilterProblem):
            raise error.orig_exc from None
        raise


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


def next_terminals(text: str) -> set[str]:
    """The terminals that may follow a complete beginning of a filter; empty if the beginning is invalid."""
    parser = _parser().parse_interactive(text)
    try:
        parser.exhaust_lexer()
    except (UnexpectedToken, UnexpectedCharacters):
        return set()
    return {str(name) for name in parser.accepts()}  # type: ignore[no-untyped-call]


@v_args(meta=False)
class _Conditions(Transformer[Token, Any]):
    def __init__(self, now: float, metrics: Callable[[], Collection[str]]) -> None:
        super().__init__()
        self._now, self._metrics = now, metrics
        self._count = 0

    def start(self, parts: list[Any]) -> Condition:
        condition: Condition = parts[0]
        if _depth(condition) > _DEEPEST:
            raise FilterProblem("is nested too deeply", f"Use at most {_DEEPEST} levels of parentheses.", 0, 1)
        return condition

    def either(self, parts: list[Any]) -> Condition:
        return Both(tuple(parts), is_any=True)

    def all(self, parts: list[Any]) -> Condition:
        return Both(tuple(parts))

    def negated(self, parts: list[Any]) -> Condition:
        return Negated(parts[0])

    def value(self, parts: list[Token]) -> Token:
        return parts[0]

    def compared(self, parts: list[Token]) -> Condition:
        name, operator, *values = parts
        return self._compared(name, operator, values)

    def one_of(self, parts: list[Token]) -> Condition:
        name, *values = parts
        return self._compared(name, Token("OPERATOR", "="), values)

    def none_of(self, parts: list[Token]) -> Condition:
        return Negated(self.one_of(parts))

    def missing(self, parts: list[Token]) -> Condition:
        return Missing(self._field(parts[0]))

    def present(self, parts: list[Token]) -> Condition:
        return Negated(Missing(self._field(parts[0])))

    def _compared(self, name: Token, sign: Token, values: list[Token]) -> Condition:
        self._count += len(values)
        if self._count > MOST_CONDITIONS:
            raise _problem(name, f"is value {self._count}", f"At most {MOST_CONDITIONS} values are allowed.")
        field = self._field(name)
        operator: Any = "=" if sign == "==" else str(sign)
        if operator in _ORDERED and not field.is_numeric:
            raise _problem(sign, f"{operator} needs a number or a time, and {field.name} is {_a(field)}", _use(field))
        if operator in ("~", "!~") and field.kind not in ("text", "choice", "tags"):
            raise _problem(sign, f"{operator} looks inside text, and {field.name} is {_a(field)}", _use(field))
        return Compared(field, operator, tuple(self._value(field, operator, token) for token in values))

    def _field(self, token: Token) -> Field:
        field = find_field(str(token))
        if field is None or (field.metric is not None and field.metric not in set(self._metrics())):
            raise self._unknown(token, field)
        return field

    def _unknown(self, token: Token, field: Field | None) -> FilterProblem:
        metrics = list(self._metrics())
        if field is not None and field.metric is not None:
            parts = split_name(str(token)) or [""]
            if parts[-1] not in METRIC_PARTS and ".".join(parts[1:-1]) in metrics:
                close = get_close_matches(parts[-1], METRIC_PARTS, 1)
                hint = f"Did you mean .{close[0]}? " if close else ""
                choice = ", ".join([*METRIC_PARTS, "at_STEP"])
                return _problem(token, f"a metric has no {parts[-1]!r}", f"{hint}Use one of {choice}.")
            names = get_close_matches(field.metric, metrics, 3, 0.5)
            if names:
                return _problem(token, f"no run has the metric {field.metric!r}", f"Did you mean {_or(names)}?")
        hint = hint_for(str(token), metrics) or "Fields are listed while you type."
        return _problem(token, f"there is no field {str(token)!r}", hint)

    def _value(self, field: Field, operator: str, token: Token) -> str | float:
        text = _unquoted(token) if token.type == "STRING" else str(token)
        if field.kind in ("number", "integer"):
            return _number(field, token, text)
        if field.kind == "time":
            return self._time(field, token, text)
        if field.kind == "boolean":
            if text.lower() not in ("true", "false"):
                raise _problem(token, f"{field.name} is true or false, not {text!r}", "Use true or false.")
            return float(text.lower() == "true")
        if field.kind == "choice" and operator in ("=", "!=") and field.choices and text not in field.choices:
            close = get_close_matches(text, field.choices, 1)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise _problem(token, f"{field.name} is never {text!r}", f"{hint}It is one of {', '.join(field.choices)}.")
        return text

    def _time(self, field: Field, token: Token, text: str) -> float:
        if token.type == "AGO":
            return self._now - float(text[1:-1]) * _UNIT_S[text[-1]]
        try:
            time = datetime.fromisoformat(text.replace("Z", "+00:00"))
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError) as error:
            hint = "Use a date such as 2026-01-31, a time such as 2026-01-31T12:00 (UTC), or an age such as -7d."
            raise _problem(token, f"{text!r} is not a time, and {field.name} is one", hint) from error


def _number(field: Field, token: Token, text: str) -> float:
    try:
        if token.type not in ("NUMBER", "STRING", "DATE"):
            raise ValueError
        value = float(text)
        if not abs(value) < 1e300:
            raise ValueError
    except ValueError:
        raise _problem(token, f"{field.name} is a number, not {text!r}", "Use a number such as 0.8 or 1e-4.") from None
    return value


def _unquoted(token: Token) -> str:
    return re.sub(r"\\(.)", r"\1", str(token)[1:-1], flags=re.DOTALL)


def _problem(token: Token, message: str, next_step: str) -> FilterProblem:
    start = token.start_pos or 0
    return FilterProblem(message, next_step, start, token.end_pos or start + len(token))


def _depth(condition: Condition) -> int:
    match condition:
        case Negated():
            return 1 + _depth(condition.part)
        case Both():
            return 1 + max(_depth(part) for part in condition.parts)
    return 1


def _a(field: Field) -> str:
    return {"choice": "a name", "boolean": "true or false", "tags": "a tag", "text": "text"}.get(
        field.kind, f"a {field.kind}"
    )


def _use(field: Field) -> str:
    if field.is_numeric:
        return f"Use {_or([*_OPERATORS[:6]])}."
    return f"Use {_or(['=', '!=', 'in'] if field.kind == 'boolean' else ['=', '!=', '~', '!~', 'in'])}."


def _or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


_TITLES = {
    "NAME": "a field",
    "OPERATOR": "=, !=, <, <=, >, >=, ~ or !~",
    "STRING": "a value",
    "DATE": "a value",
    "AGO": "a value",
    "NUMBER": "a value",
    "WORD": "a value",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "_AND": "and",
    "_OR": "or",
    "_NOT": "not",
    "_IN": "in",
    "_IS": "is",
    "_NULL": "null",
    "$END": "the end",
}


def _expected(terminals: Collection[str]) -> str:
    order = list(_TITLES)
    found = sorted((name for name in terminals if name in _TITLES), key=order.index)
    return _or(list(dict.fromkeys(_TITLES[name] for name in found))) if found else "the end"


def _unexpected(text: str, token: Token, accepts: Collection[str]) -> FilterProblem:
    if token.type == "$END":
        return _expected_at_end(text, accepts)
    return _problem(token, f"{str(token)!r} is not expected here", f"Expected {_expected(accepts)}.")


def _expected_at_end(text: str, accepts: Collection[str]) -> FilterProblem:
    at = len(text.rstrip())
    return FilterProblem("ends too early", f"Expected {_expected(accepts)}.", at, at + 1)


def _unexpected_character(text: str, error: UnexpectedCharacters) -> FilterProblem:
    at = error.pos_in_stream or 0
    letter = text[at]
    if letter in "\"'":
        return FilterProblem("has a quotation mark without its second one", f"Add {letter} at the end.", at, len(text))
    return FilterProblem(f"{letter!r} is not expected here", f"Expected {_expected(error.allowed or ())}.", at, at + 1)
