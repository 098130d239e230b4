"""The values of parameters: what a method has, what is on a range, and random choices."""

import math
import random
from collections.abc import Mapping

from pydantic import JsonValue

from rankscope.contract.methods import METHODS
from rankscope.contract.sweeps.design import BUDGET, ParameterSpace, SweepDesign, Values

METHOD = "method.name"
_DIGITS = 4
"""Of chosen numbers: exact enough, short to read, and equal after being stored."""


def order_of(design: SweepDesign) -> list[str]:
    """The parameters; the method first, because it determines which others there are."""
    return sorted(design.parameters, key=lambda name: name != METHOD)


def is_applicable(design: SweepDesign, name: str, values: Mapping[str, JsonValue]) -> bool:
    """Whether the method of a point has a parameter. `values` has the method if that is a parameter."""
    base = design.config.get("method")
    kind = METHODS.get(str(values.get(METHOD, base.get("name") if isinstance(base, Mapping) else None)))
    if kind is None:
        return True
    if name == BUDGET:
        return bool(kind.options_at_budget(1))
    top, _, option = name.partition(".")
    return top != "method" or option == "name" or option.split(".")[0] in kind.model_fields


def on_range(space: ParameterSpace, share: float, *, is_integer: bool) -> int | float:
    """Returns the number at a share from 0 to 1 of a range."""
    assert space.low is not None
    assert space.high is not None
    low, high = float(space.low), float(space.high)
    number = (
        math.exp(math.log(low) + share * math.log(high / low)) if space.scale == "log" else low + share * (high - low)
    )
    return rounded(space, number, is_integer=is_integer)


def rounded(space: ParameterSpace, number: float, *, is_integer: bool) -> int | float:
    """Rounds a chosen number, and keeps it within its range."""
    assert space.low is not None
    assert space.high is not None
    if is_integer:
        return min(max(round(number), math.ceil(space.low)), math.floor(space.high))
    return min(max(float(f"{number:.{_DIGITS}g}"), float(space.low)), float(space.high))


def random_value(design: SweepDesign, name: str, dice: random.Random) -> JsonValue:
    space = design.parameters[name]
    if space.values is not None:
        return dice.choice(space.values)
    if name in design.integers:
        return _random_integer(space, dice)
    return on_range(space, dice.random(), is_integer=False)


def _random_integer(space: ParameterSpace, dice: random.Random) -> int:
    """Every integer of a linear range is equally likely, the first and the last included."""
    assert space.low is not None
    assert space.high is not None
    first, last = math.ceil(space.low), math.floor(space.high)
    if space.scale == "linear":
        return dice.randint(first, last)
    return min(max(round(math.exp(dice.uniform(math.log(first - 0.5), math.log(last + 0.5)))), first), last)


def random_point(design: SweepDesign, dice: random.Random) -> Values:
    values: Values = {}
    for name in order_of(design):
        if is_applicable(design, name, values):
            values[name] = random_value(design, name, dice)
    return values
