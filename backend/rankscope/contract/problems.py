"""Converts pydantic's errors to sentences with field, value, problem and next step."""

from collections.abc import Iterable, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.methods import METHODS
from rankscope.contract.tasks import TASKS

# Names that pydantic adds to a location for the chosen member of a union. They are not in the input.
_UNION_TAGS = METHODS.keys() | TASKS.keys() | {"float", "int", "str", "none", "list[str]"}

_NEXT_STEP = {
    "int_type": "Send an integer.",
    "int_parsing": "Send an integer.",
    "int_from_float": "Send an integer.",
    "float_type": "Send a number.",
    "float_parsing": "Send a number.",
    "finite_number": "Send a finite number.",
    "bool_type": "Send true or false.",
    "bool_parsing": "Send true or false.",
    "string_type": "Send text.",
    "string_unicode": "Send valid UTF-8.",
    "string_too_short": "Send a longer text.",
    "string_too_long": "Send a shorter text.",
    "list_type": "Send a list.",
    "too_short": "Send more entries.",
    "too_long": "Send fewer entries.",
    "missing": "Add the field.",
    "extra_forbidden": "Remove it, or fix its name.",
    "json_invalid": "Send a JSON object with the header Content-Type: application/json.",
    "model_type": "Send a JSON object.",
    "model_attributes_type": "Send a JSON object.",
    "dict_type": "Send a JSON object.",
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
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"is {value!r}; it must be an object"
        case "extra_forbidden":
            return "is not a field of this object"
        case "greater_than_equal":
            return f"is {value}; it must be at least {context['ge']}"
        case "greater_than":
            return f"is {value}; it must be above {context['gt']}"
        case "less_than_equal":
            return f"is {value}; it must be at most {context['le']}"
        case "less_than":
            return f"is {value}; it must be below {context['lt']}"
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
            return sentence.format(context[key])
    return ""


def _short(value: object) -> object:
    """Returns the value as it was sent, truncated to fit into a sentence."""
    if isinstance(value, str) and len(value) > 200:
        return value[:200] + "…"
    if isinstance(value, (dict, list)) and len(repr(value)) > 200:
        return repr(value)[:200] + "…"
    return value
