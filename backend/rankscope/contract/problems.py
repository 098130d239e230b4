"""Converts pydantic's errors to sentences with field, value, problem and next step."""

from collections.abc import Iterable, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.methods import METHODS
from rankscope.contract.tasks import TASKS

# Names that pydantic adds to a location for the chosen member of a union. They are not in the input.
_UNION_TAGS = METHODS.keys() | TASKS.keys() | {"float", "int", "str", "none", "list[str]"}

_WANTED = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "model_type": "a JSON object",
    "model_attributes_type": "a JSON object",
    "dict_type": "a JSON object",
}
_NEXT_STEP = {
    **{kind: f"Use {wanted}." for kind, wanted in _WANTED.items()},
    "string_unicode": "Use valid UTF-8.",
    "string_too_short": "Use a longer text.",
    "string_too_long": "Use a shorter text.",
    "too_short": "Add an entry.",
    "too_long": "Remove entries.",
    "missing": "Set this field.",
    "extra_forbidden": "Remove it, or fix its name.",
    "json_invalid": "Send a JSON object with the header Content-Type: application/json.",
}


def field_problems(errors: Iterable[ErrorDetails], prefix: str = "") -> list[FieldProblem]:
    """Converts each error of `ValidationError.errors()` (or FastAPI's RequestValidationError) to a FieldProblem."""
    return [_field_problem(error, prefix) for error in errors]


def bad_input(error: ValidationError, prefix: str = "") -> BadInput:
    """Converts a ValidationError to BadInput. `prefix` is put before the path of each field."""
    """Converts a ValidationError to BadInput. `prefix` is put before the path of each field."""
    return BadInput(field_problems(error.errors(), prefix))


def _field_problem(error: ErrorDetails, prefix: str) -> FieldProblem:
    location = [str(part) for part in error["loc"]]
    context = error.get("ctx") or {}
    kind = error["type"]
    if location[:1] in (["body"], ["query"], ["path"]):
        location = location[1:]
    if kind == "json_invalid":
        location, value = ["body"], None
        message = f"is not valid JSON: {context.get('error', 'the parser failed')}"
    elif kind == "cannot_work":
        location += context["field"]
        value, message = context["value"], context["message"]
    else:
        value = None if kind == "missing" else error.get("input")
        message = _sentence(error)
    path = ".".join(part for index, part in enumerate(location) if not (part in _UNION_TAGS and index > 0))
    next_step = context.get("next_step") or _NEXT_STEP.get(kind, "") or _step_from(context)
    return FieldProblem(".".join(filter(None, [prefix, path])) or "body", _short(value), message, next_step)


def _sentence(error: ErrorDetails) -> str:
    context, kind = error.get("ctx") or {}, error["type"]
    value = _short(error.get("input"))
    match kind:
        case "missing":
            return "is missing"
        case _ if kind in _WANTED:
            return f"is {'empty' if value is None else repr(value)}; it must be {_WANTED[kind]}"
        case "string_too_short" | "string_too_long" | "too_short" | "too_long":
            return _size_sentence(kind, error.get("input"), context)
        case "extra_forbidden":
            return "is not a field of this object"
        case "greater_than_equal":
            return f"is {value}; it must be at least {_plain(context['ge'])}"
        case "greater_than":
            return f"is {value}; it must be above {_plain(context['gt'])}"
        case "less_than_equal":
            return f"is {value}; it must be at most {_plain(context['le'])}"
        case "less_than":
            return f"is {value}; it must be below {_plain(context['lt'])}"
        case "literal_error" | "enum":
            return f"is {value!r}; it must be one of {context['expected']}"
        case "union_tag_invalid":
            return f"is {_short(context.get('tag'))!r}; name must be one of {context['expected_tags']}"
        case "control_character" | "line_break":
            return str(error["msg"])
        case "union_tag_not_found":
            return "has no name, which selects the type"
        case _:
            text = str(error["msg"])
            return f"is {value!r}: {text[0].lower()}{text[1:]}" if text else f"is {value!r}"


def _size_sentence(kind: str, value: object, context: Mapping[str, object]) -> str:
    """Returns how long a text or list is, and how long it may be."""
    found = len(value) if isinstance(value, (str, list, dict)) else context.get("actual_length")
    unit = "character" if kind.startswith("string") else "entry"
    if kind.endswith("short"):
        least = context["min_length"]
        return (
            f"is empty; it needs at least {_counted(least, unit)}"
            if found == 0
            else (f"has {_counted(found, unit)}; it needs at least {least}")
        )
    return f"has {_counted(found, unit)}; at most {context['max_length']} are possible"


def _counted(number: object, unit: str) -> str:
    return f"{number} {unit if number == 1 else {'entry': 'entries'}.get(unit, unit + 's')}"


def _plain(limit: object) -> object:
    """Returns 0.0 as 0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _step_from(context: Mapping[str, object]) -> str:
    sentences = {
        "ge": "Use {} or more.",
        "gt": "Use a number above {}.",
        "le": "Use {} or less.",
        "lt": "Use a number below {}.",
        "expected": "Use one of {}.",
        "expected_tags": "Use one of {}.",
    }
    for key, sentence in sentences.items():
        if key in context:
            return sentence.format(_plain(context[key]))
    return ""


def _short(value: object) -> object:
    """Returns the value as it was sent, truncated to fit into a sentence."""
    if isinstance(value, str) and len(value) > 200:
        return value[:200] + "…"
    if isinstance(value, (dict, list)) and len(repr(value)) > 200:
        return repr(value)[:200] + "…"
    return value
