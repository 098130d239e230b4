"""Validation of options; every error names the option, its value and the fix. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable


def check_whole(name: str, value: object, least: int) -> None:
    """ValueError unless `value` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}; set {name} to {least} or more.")


def check_number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> None:
    """ValueError unless `value` is a finite number within the given limits."""
    limits = {"at least": least, "above": above, "at most": most, "below": below}
    wanted = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if fits and isinstance(value, int | float):
        fits = (
            (least is None or value >= least)
            and (above is None or value > above)
            and (most is None or value <= most)
            and (below is None or value < below)
        )
    if not fits:
        raise ValueError(f"{name}={value!r} must be a number {wanted}; change {name}.")


def check_choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """ValueError unless `value` is one of `allowed`."""
    if value not in (known := tuple(allowed)):
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(known)}.")


def check_truth(name: str, value: object) -> None:
    """ValueError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} is not a boolean; set it to true or false.")


def target_tuple(value: Iterable[str] | str) -> tuple[str, ...]:
    """The target module names as a tuple. ValueError if there are none, or if one is empty or not a string."""
    names = (value,) if isinstance(value, str) else tuple(value)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"target_modules={value!r} has no module names; use names such as ['query', 'value'], or omit it to adapt "
            "every linear module in a numbered block."
        )
    return names
