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
    """A warning stored by the training."""

    code: str
    message: str
    next_step: str
    step: int | None


@dataclass(frozen=True)
class NewestRanks:
    """The newest snapshot. `scores`: of the live components of all modules; may be NaN or infinite."""

    step: int
    is_final: bool
    names: Sequence[str]
    ranks: Sequence[int]
    scores: Sequence[float]
    width: int
    costs: Sequence[int] | None = None
    """Parameters of a component of each module, if the budget counts parameters."""

    @property
    def live(self) -> int:
        """Live components; if the budget counts parameters, in components of mean cost, rounded down."""
        if self.costs is None:
            return sum(self.ranks)
        size = sum(rank * cost for rank, cost in zip(self.ranks, self.costs, strict=True))
        return size * len(self.costs) // sum(self.costs)


@dataclass(frozen=True)
class Pruning:
    """A planned or completed pruning, and the number of components it should leave."""

    step: int
    budget: int


@dataclass(frozen=True)
class NewestCut:
    """The newest pruning that removed components: their scores, and the lowest remaining score. Exact, unlike a snapshot's."""

    step: int
    threshold: float
    scores: Sequence[float]


@dataclass(frozen=True)
class Facts:
    """Everything the rules look at. Steps are optimizer steps; `losses` and `speeds` (steps per second) are in order."""

    status: RunStatus
    method: Method
    step: int = 0
    total_steps: int | None = None
    window: PruningWindow | None = None
    """For methods with a pruning schedule."""
    settled_step: int | None = None
    held_since: int | None = None
    """The step at which pruning was held."""
    frozen_at: int | None = None
    target_rank: int | None = None
    """After all steering."""
    pruning_due: Pruning | None = None
    """The newest planned pruning up to the newest snapshot, with all steering."""
    pruned_to: Pruning | None = None
    """The newest completed pruning."""
    cut: NewestCut | None = None
    ranks: NewestRanks | None = None
    losses: Sequence[tuple[int, float]] = ()
    speeds: Sequence[float] = ()
    """Of the newest attempt."""
    loss_age_s: float | None = None
    """How long the run has reported no training loss; None unless it is training right now."""
    worker: str | None = None
    lease_s: float = 30.0
    lease_age_s: float | None = None
    """Time since the worker last renewed its lease; None if the run is not on a worker."""
    warnings: Sequence[Warned] = ()

    def warned(self, *codes: str) -> Warned | None:
        """The newest stored warning of one of these kinds."""
        return next((warning for warning in reversed(self.warnings) if warning.code in codes), None)
