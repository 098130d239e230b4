"""Which cases of a parametrised test run in `make test`, and which only in `make test-all`.

Every test keeps some cases in `make test`: a wide case only adds to what a narrow one checks.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import pytest


def wide(*cases: Any) -> list[Any]:
    """Cases only for `make test-all`: `parametrize("step", [3, 8, *wide(1, 4, 5)])`; several values are a tuple."""
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.wide) for case in cases]


def narrowed(cases: Iterable[str], *narrow: str) -> list[Any]:
    """All cases, wide except those in `narrow`: `parametrize("kind", narrowed(KINDS, "bert", "t5"))`."""
    listed = list(cases)
    unknown = set(narrow) - set(listed)
    assert not unknown, f"not among the cases: {sorted(unknown)}"
    return [case if case in narrow else pytest.param(case, marks=pytest.mark.wide) for case in listed]


def each_once(cases: Iterable[Any], *others: Sequence[Any]) -> list[Any]:
    """All combinations, wide except one for each case; the narrow ones cycle through the other values.

    `parametrize(("kind", "form"), each_once(KINDS, FORMS))` runs the first kind in the first form, the second in the second.
    """
    made = []
    for number, case in enumerate(cases):
        narrow = []
        for values in others:
            number, at = divmod(number, len(values))
            narrow.append(at)
        for indices in product(*(range(len(values)) for values in others)):
            combination = (case, *(values[at] for values, at in zip(others, indices, strict=True)))
            made.append(pytest.param(*combination, marks=() if list(indices) == narrow else pytest.mark.wide))
    return made
