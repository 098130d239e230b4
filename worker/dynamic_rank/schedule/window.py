"""The pruning window of a run in optimizer steps. Imports no torch."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple


class PruningWindow(NamedTuple):
    """The optimizer steps t_i (`start`) and t_f (`end`): no pruning before `start`, and the mask is final at `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def pruning_window(total_steps: int, warmup_ratio: float, prune_end_ratio: float) -> PruningWindow:
    """t_i and t_f (Mao et al. 2024, Eq. 9), rounded down to whole steps."""
    return PruningWindow(
        math.floor(_exact(warmup_ratio) * total_steps), math.floor(_exact(prune_end_ratio) * total_steps)
    )


def least_steps(warmup_ratio: float, prune_end_ratio: float, prune_interval: int) -> int:
    """A number of total steps that is enough for a window of at least one interval."""
    return math.ceil((prune_interval + 1) / (_exact(prune_end_ratio) - _exact(warmup_ratio)))


def _exact(ratio: float) -> Fraction:
    # Fraction(str(x)) reads 0.29 as 29/100; floor(0.29 * 100) in floating point would be 28.
    return Fraction(str(ratio))
