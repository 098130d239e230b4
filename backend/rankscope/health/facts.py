"""What the health rules look at, and what they return. Plain values, so that a rule needs no database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dynamic_rank.schedule.window import PruningWindow
from rankscope.contract.methods import Method
from rankscope.contract.status import RunStatus

Code = Literal[
    "ranks_never_move",
    "budget_out_of_reach",
    "module_at_rank_0",
    "scores_equal",
    "scores_nan",
    "loss_nan",
    "loss_diverging",
    "throughput_collapse",
    "heartbeat_late",
]
Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    code: Code
    severity: Severity
    message: str
    next_step: str
    step: int | None = None


@dataclass(frozen=True)
class Warned:
    """A warning that the training has stored."""

    code: str
    message: str
    next_step: str
    step: int | None


@dataclass(frozen=True)
class NewestRanks:
    """The newest snapshot. `scores`: of live components, all modules together; NaN and inf as they are."""

    step: int
    is_final: bool
    names: Sequence[str]
    ranks: Sequence[int]
    scores: Sequence[float]
    width: int


@dataclass(frozen=True)
class Pruning:
    """A pruning, planned or done, and the components that it was to leave."""

    step: int
    budget: int


@dataclass(frozen=True)
class NewestCut:
    """The newest pruning that took components away: their scores, and the lowest score that stayed; exact, unlike a snapshot's."""

    step: int
    threshold: float
    scores: Sequence[float]


@dataclass(frozen=True)
class Facts:
    """All that the rules look at. Steps are optimizer steps; `losses` and `speeds` (steps a second) are in order."""

    status: RunStatus
    method: Method
    step: int = 0
    total_steps: int | None = None
    window: PruningWindow | None = None
    """Of methods with a budget that falls."""
    settled_step: int | None = None
    held_since: int | None = None
    """The step from which on a person holds pruning."""
    frozen_at: int | None = None
    target_rank: int | None = None
    """The one that holds, after all steering."""
    pruning_due: Pruning | None = None
    """The newest planned pruning up to the newest snapshot, with all steering."""
    pruned_to: Pruning | None = None
    """The newest pruning that was done."""
    cut: NewestCut | None = None
    ranks: NewestRanks | None = None
    losses: Sequence[tuple[int, float]] = ()
    speeds: Sequence[float] = ()
    """Of the newest attempt."""
    loss_age_s: float | None = None
    """For how long no training loss came in while steps were made; None unless the run trains right now."""
    worker: str | None = None
    lease_s: float = 30.0
    lease_age_s: float | None = None
    """Since the worker last renewed its lease; None unless one is held."""
    warnings: Sequence[Warned] = ()

    def warned(self, *codes: str) -> Warned | None:
        """The newest stored warning of one of these kinds."""
        return next((warning for warning in reversed(self.warnings) if warning.code in codes), None)
