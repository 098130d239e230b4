"""The kinds of search: how the values of the next point are chosen."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

from pydantic import JsonValue

from rankscope.contract.sweeps.design import ParameterSpace, SearchKind, SweepDesign, Values
from rankscope.search.spaces import is_applicable, on_range, order_of, random_point
from rankscope.search.tpe import tpe_point
from rankscope.search.trials import KnownPoint

_DRAWS = 200
"""Attempts to find values that no point has yet."""


class SearchMethod(Protocol):
    @property
    def size(self) -> int:
        """Number of points."""

    def next_values(self, points: Sequence[KnownPoint]) -> Values | None:
        """Returns the values of the next point after these; None if there is none."""


class Grid:
    """Every combination, the last parameter fastest."""

    def __init__(self, design: SweepDesign) -> None:
        self._design = design

    @cached_property
    def _points(self) -> list[Values]:
        return list(grid_points(self._design))

    @property
    def size(self) -> int:
        return len(self._points)

    def next_values(self, points: Sequence[KnownPoint]) -> Values | None:
        return self._points[len(points)] if len(points) < self.size else None


class RandomPoints:
    """Points that depend only on the search's seed and their number. Halving draws its points in the same way."""

    def __init__(self, design: SweepDesign) -> None:
        self._design = design

    @property
    def size(self) -> int:
        return self._design.search.resolved().points or 0

    def next_values(self, points: Sequence[KnownPoint]) -> Values | None:
        if len(points) >= self.size:
            return None
        return unseen(self._design, points)


class Tpe(RandomPoints):
    """Tree-structured Parzen estimator: values like those of the best points so far, unlike those of the others."""

    def next_values(self, points: Sequence[KnownPoint]) -> Values | None:
        if len(points) >= self.size:
            return None
        startup = self._design.search.resolved().startup or 1
        if sum(point.mean is not None or point.is_diverged for point in points) < startup:
            return unseen(self._design, points)
        values = tpe_point(self._design, points)
        return unseen(self._design, points) if any(values == one.values for one in points) else values


def unseen(design: SweepDesign, points: Sequence[KnownPoint]) -> Values | None:
    """Returns random values that no point has; None if none were found, as every combination has been tried."""
    dice = random.Random(f"{design.search.seed}/{len(points) + 1}")
    for _ in range(_DRAWS):
        values = random_point(design, dice)
        if all(values != one.values for one in points):
            return values
    return None


def grid_points(design: SweepDesign) -> Iterator[Values]:
    """Yields the combinations once each, without parameters that a point's method lacks."""
    names = order_of(design)

    def completed(values: Values, at: int) -> Iterator[Values]:
        if at == len(names):
            yield values
        elif not is_applicable(design, names[at], values):
            yield from completed(values, at + 1)
        else:
            for value in _on_grid(design, names[at]):
                yield from completed({**values, names[at]: value}, at + 1)

    return completed({}, 0)


def _on_grid(design: SweepDesign, name: str) -> list[JsonValue]:
    space: ParameterSpace = design.parameters[name]
    if space.values is not None:
        return space.values
    count = space.count or 2
    numbers = [on_range(space, at / (count - 1), is_integer=name in design.integers) for at in range(count)]
    return list(dict.fromkeys(numbers))


KINDS: dict[SearchKind, Callable[[SweepDesign], SearchMethod]] = {
    "grid": Grid,
    "random": RandomPoints,
    "tpe": Tpe,
    "halving": RandomPoints,
}
