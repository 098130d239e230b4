"""The planned budget curve of a dynamic-rank run, for drawing it before anything is trained.

The training library has the same equation (`dynamic_rank.BudgetSchedule`); the server must not import it,
because that package loads torch. `tests/backend/contract/test_budget.py` holds both equal over generated configurations.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

ScheduleShape = Literal["slow_first", "fast_first", "linear"]
PruningPhase = Literal["window", "absolute"]
"""From where the intervals between prunings count: from the window's first step, or from step 0."""


@dataclass(frozen=True)
class PruningWindow:
    """Optimizer steps between which the budget falls: nothing is pruned up to `start`, the final mask is set at `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def pruning_window(total_steps: int, warmup_ratio: float, prune_end_ratio: float) -> PruningWindow:
    """t_i and t_f of Mao et al. 2024, Eq. 9, rounded down to steps."""
    # Fraction(str(x)) reads 0.29 as 29/100; floor(0.29 * 100) in floating point would be 28.
    return PruningWindow(
        start=math.floor(Fraction(str(warmup_ratio)) * total_steps),
        end=math.floor(Fraction(str(prune_end_ratio)) * total_steps),
    )


def planned_budget(step: int, window: PruningWindow, b0: int, bT: int, shape: ScheduleShape = "slow_first") -> int:
    """Components that may be live after optimizer step `step` (Mao et al. 2024, Eq. 9); a fraction is rounded up.

    slow_first: b0 - (b0 - bT) * x^3, the paper. fast_first: bT + (b0 - bT) * (1 - x)^3, AdaLoRA. linear: between.
    `x` is the share of the window that has passed. All in integers, so that no float decides a component.
    """
    # The end first: a mask that is frozen at the window's first step leaves a window without length.
    if step >= window.end:
        return bT
    if step <= window.start:
        return b0
    gap, done, length = b0 - bT, step - window.start, window.length
    if shape == "fast_first":
        return bT - (-gap * (length - done) ** 3) // length**3  # ceil(bT + y) = bT - floor(-y)
    power = 3 if shape == "slow_first" else 1
    gone: int = gap * done**power // length**power
    return b0 - gone  # ceil(b0 - y) = b0 - floor(y)


def regular_prunings(window: PruningWindow, interval: int, phase: PruningPhase) -> range:
    """The steps at which components are pruned before the window's last one.

    window: its first step, where the budget still holds all components, and every `interval` steps after it, as in the
    authors' program. absolute: the multiples of `interval` after the first step, as in PEFT's AdaLoRA.
    A range, however long the run is: ten million steps with an interval of one are no more work than ten.
    """
    if phase == "absolute":
        return range((window.start // interval + 1) * interval, window.end, interval)
    # Step 0 is before the first optimizer step.
    return range(window.start or interval, window.end, interval)
