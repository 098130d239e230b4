"""Checks the parameters of a sweep: their names, their ranges, and every value that can be checked."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from pydantic import JsonValue, ValidationError

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.methods import METHODS
from rankscope.contract.problems import bad_input
from rankscope.contract.sweeps.design import BUDGET, ParameterSpace, SearchKind, SweepDesign, Values
from rankscope.launch.sweeps.trial_config import trial_config
from rankscope.search.spaces import METHOD, is_applicable
from rankscope.store.listing.fields import Field, config_fields

_EXCLUDED = {
    "training.seed": "Set seeds.",
    "task.name": "Launch a sweep for each task.",
}
_STEP_FIELDS = frozenset({"training.max_steps", "training.epochs", "training.eval_every"})


def check_parameters(parameters: Mapping[str, ParameterSpace], kind: SearchKind, config: RunConfig) -> list[str]:
    """Returns the parameters whose range consists of integers. Raises BadInput."""
    problems = [one for name, space in parameters.items() for one in _problems(name, space, kind)]
    if not problems:
        problems = [*_of_methods(parameters, config), *_of_halving(parameters, kind)]
    if problems:
        raise BadInput(problems)
    return [name for name, space in parameters.items() if space.values is None and _is_integer(name)]


def _problems(name: str, space: ParameterSpace, kind: SearchKind) -> Iterator[FieldProblem]:
    at = f"parameters.{name}"
    field = _field(name)
    if name in _EXCLUDED:
        yield FieldProblem(at, name, "can't be a parameter of a sweep", _EXCLUDED[name])
    elif field is None and name != BUDGET:
        names = [BUDGET, *(one.removeprefix("config.") for one in config_fields())]
        near = get_close_matches(name, names, 3, 0.6) or [one for one in names if one.rpartition(".")[2] == name][:3]
        step = (
            f"Use {' or '.join(near)}." if near else "Use a field of the configuration, such as training.learning_rate."
        )
        yield FieldProblem(at, name, f"is {name!r}, which is not a field of the configuration", step)
    elif space.values is None:
        yield from _range_problems(name, space, kind, at)
    else:
        yield from _value_problems(name, space.values, at)


def _value_problems(name: str, values: Sequence[JsonValue], at: str) -> Iterator[FieldProblem]:
    """Problems of the two parameters that are not fields of the configuration, whose validation checks all others."""
    for value in values:
        if name == BUDGET and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            yield FieldProblem(
                at, value, f"has {value!r}; a mean rank is an integer of at least 1", "Use integers of at least 1."
            )
        if name == METHOD and value not in METHODS:
            yield FieldProblem(at, value, f"has {value!r}, which is not a method", f"Use some of {', '.join(METHODS)}.")


def _range_problems(name: str, space: ParameterSpace, kind: SearchKind, at: str) -> Iterator[FieldProblem]:
    field = _field(name)
    if field is not None and field.kind not in ("number", "integer"):
        step = f"Give values, such as {', '.join(field.choices[:2])}." if field.choices else "Give values."
        yield FieldProblem(f"{at}.low", space.low, f"is {space.low}, but {name} is not a number", step)
        return
    if _is_integer(name):
        for end in ("low", "high"):
            number = getattr(space, end)
            if not isinstance(number, int):
                yield FieldProblem(f"{at}.{end}", number, f"is {number:g}; {name} is an integer", "Use an integer.")
    if kind == "grid" and space.count is None:
        step = "Set count, the number of values on the range, or list values."
        yield FieldProblem(f"{at}.count", None, "is missing; a grid needs it", step)
    if kind != "grid" and space.count is not None:
        message = f"is {space.count}, but only a grid has a number of values on a range"
        yield FieldProblem(f"{at}.count", space.count, message, "Remove it, or use kind grid.")


def _of_methods(parameters: Mapping[str, ParameterSpace], config: RunConfig) -> Iterator[FieldProblem]:
    kinds = [METHODS[one] for one in _methods(parameters, config) if one in METHODS]
    for name in parameters:
        option = name.removeprefix("method.")
        if name == BUDGET and not any(kind.options_at_budget(1) for kind in kinds):
            message = f"has no meaning for {', '.join(kind.label for kind in kinds)}, which has no ranks"
            yield FieldProblem(f"parameters.{name}", name, message, "Remove it, or use another method.")
        elif name.startswith("method.") and not any(option.split(".")[0] in kind.model_fields for kind in kinds):
            message = f"is not an option of {', '.join(kind.label for kind in kinds)}"
            yield FieldProblem(f"parameters.{name}", name, message, "Remove it, or use another method.")
        elif BUDGET in parameters and name != BUDGET and any(option in kind.options_at_budget(1) for kind in kinds):
            step = "Remove one of the two."
            yield FieldProblem(f"parameters.{name}", name, f"is also set by {BUDGET}", step)


def _of_halving(parameters: Mapping[str, ParameterSpace], kind: SearchKind) -> Iterator[FieldProblem]:
    for name in _STEP_FIELDS & parameters.keys() if kind == "halving" else ():
        message = "changes the steps at which points are compared"
        yield FieldProblem(f"parameters.{name}", name, message, "Remove it, or use another kind of search.")


def check_values(design: SweepDesign) -> list[tuple[str, JsonValue, RunConfig]]:
    """Returns the configuration with each value, or each end of a range, of each parameter alone. Raises BadInput."""
    problems: list[FieldProblem] = []
    configs = []
    for name, space in design.parameters.items():
        for value in space.values if space.values is not None else [space.low, space.high]:
            try:
                configs.append((name, value, trial_config(design.config, _alone(design, name, value), 0)))
            except ValidationError as error:
                problems.append(value_problem(name, value, bad_input(error, prefix="config")))
    if problems:
        raise BadInput(problems[:20])
    return configs


def value_problem(name: str, value: object, error: BadInput) -> FieldProblem:
    """The problem of a configuration, at the parameter whose value causes it."""
    first = error.problems[0]
    is_own = first.field == f"config.{name}" or name in (BUDGET, METHOD)
    message = first.message if is_own else f"has {value!r}, with which {first.field} {first.message}"
    return FieldProblem(f"parameters.{name}", value, message, first.next_step)


def _alone(design: SweepDesign, name: str, value: JsonValue) -> Values:
    """The value, with a method that has its parameter."""
    methods = design.parameters.get(METHOD)
    for method in (methods.values or []) if methods is not None and name != METHOD else []:
        if is_applicable(design, name, {METHOD: method}):
            return {METHOD: method, name: value}
    return {name: value}


def _methods(parameters: Mapping[str, ParameterSpace], config: RunConfig) -> Sequence[str]:
    methods = parameters.get(METHOD)
    return [str(one) for one in methods.values or []] if methods is not None else [config.method.name]


def _field(name: str) -> Field | None:
    return config_fields().get(f"config.{name}")


def _is_integer(name: str) -> bool:
    field = _field(name)
    return name == BUDGET or (field is not None and field.kind == "integer")
