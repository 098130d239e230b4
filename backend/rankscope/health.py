"""What is wrong with a run, or may be: one rule a condition, over plain facts. Each says what it saw and what to do.

A rule returns a Finding, or None where it sees nothing or does not apply. Where the training has stored a warning about
the same condition, the warning's own words are taken, so that nothing is said twice in two ways.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from rankscope.contract.budget import PruningWindow, planned_budget, regular_prunings
from rankscope.contract.methods import AnyMethod, BudgetedMethod, SoraMethod
from rankscope.contract.status import RunStatus
from rankscope.trends import LossTrend, loss_trend

Code = Literal[
    "ranks_never_move", "budget_out_of_reach", "module_at_rank_0", "scores_equal", "scores_nan", "loss_nan",
    "loss_diverging", "throughput_collapse", "heartbeat_late",
]  # fmt: skip
Severity = Literal["error", "warning", "info"]

_FEWEST_SPEEDS = 12
_RECENT_SPEEDS = 5
_COLLAPSED_BELOW = 0.4
"""Of the attempt's median: a busy machine halves a speed, what is worse has a cause."""
_STALLED_S = 60.0
_STALLED_STEPS = 50
_SHOWN_NAMES = 5


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
class Facts:
    """All that the rules look at. Steps are optimizer steps; `losses` and `speeds` (steps a second) are in order."""

    status: RunStatus
    method: AnyMethod
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
    live: int | None = None
    budget: int | None = None
    has_pruned: bool = False
    ranks: NewestRanks | None = None
    losses: Sequence[tuple[int, float]] = ()
    speeds: Sequence[float] = ()
    """Of the newest attempt."""
    loss_age_s: float | None = None
    """Since the newest training loss came in; None unless the run trains right now."""
    worker: str | None = None
    lease_s: float = 30.0
    lease_age_s: float | None = None
    """Since the worker last renewed its lease; None unless one is held."""
    warnings: Sequence[Warned] = ()

    def warned(self, *codes: str) -> Warned | None:
        """The newest stored warning of one of these kinds."""
        return next((warning for warning in reversed(self.warnings) if warning.code in codes), None)


def check(facts: Facts) -> list[Finding]:
    """Everything found, errors first."""
    found = [finding for rule in RULES if (finding := rule(facts)) is not None]
    return sorted(found, key=lambda finding: ("error", "warning", "info").index(finding.severity))


# ---------------------------------------------------------------- ranks


def ranks_never_move(facts: Facts) -> Finding | None:
    """By plan components should be gone by now, and every module still has all of its own."""
    warning = facts.warned("budget_unmoved", "ranks_equal")
    if warning is not None:
        return Finding("ranks_never_move", "warning", warning.message, warning.next_step, warning.step)
    ranks = facts.ranks
    if ranks is None or facts.held_since is not None or any(rank != ranks.width for rank in ranks.ranks):
        return None
    if isinstance(facts.method, SoraMethod):
        if not facts.total_steps or 2 * ranks.step < facts.total_steps:
            return None
        return Finding(
            "ranks_never_move", "warning",
            f"No gate has closed by step {ranks.step} of {facts.total_steps}: every module still has rank {ranks.width}.",
            "Fork or launch again with a larger sparse_lambda or learning_rate.", ranks.step,
        )  # fmt: skip
    due = _first_pruning_due(facts, ranks)
    if due is None:
        return None
    is_over = facts.window is not None and ranks.step >= facts.window.end
    happened = "pruning has changed nothing" if facts.has_pruned else "nothing has been pruned"
    return Finding(
        "ranks_never_move", "error" if is_over else "warning",
        f"All {len(ranks.ranks)} modules still have rank {ranks.width} at step {ranks.step}: {happened}, though "
        f"components were to go from step {due} on.",
        "Look at the log for warnings of the method; resume the run from a checkpoint before that step.", ranks.step,
    )  # fmt: skip


def _first_pruning_due(facts: Facts, ranks: NewestRanks) -> int | None:
    """The first planned pruning step that takes something away by the budget, if the newest snapshot is past it."""
    method, window = facts.method, facts.window
    if not isinstance(method, BudgetedMethod) or window is None or facts.target_rank is None:
        return None
    b0, bT = len(ranks.ranks) * ranks.width, len(ranks.ranks) * facts.target_rank
    shape = method.budget_schedule
    regular = regular_prunings(window, method.prune_interval, method.phase)
    # The budget never rises, so the first step below b0 is found by halving, however many prunings there are.
    first = bisect_left(regular, True, key=lambda step: planned_budget(step, window, b0, bT, shape) < b0)
    due = regular[first] if first < len(regular) else window.end
    return due if due <= ranks.step and bT < b0 else None


def budget_out_of_reach(facts: Facts) -> Finding | None:
    """More is live than the budget allows, or will be at the end."""
    if not isinstance(facts.method, BudgetedMethod) or facts.ranks is None or facts.target_rank is None:
        return None
    live = facts.live if facts.live is not None else sum(facts.ranks.ranks)
    final_budget = len(facts.ranks.ranks) * facts.target_rank
    if live <= final_budget:
        return None
    sizes = f"{live} components are live, and the target rank {facts.target_rank} allows {final_budget}"
    if facts.frozen_at is not None and facts.settled_step is not None:
        return Finding(
            "budget_out_of_reach", "info", f"The mask was frozen at step {facts.frozen_at}: {sizes}.",
            "Nothing to do if that was meant; else fork the run from a checkpoint before that step.", facts.frozen_at,
        )  # fmt: skip
    if facts.held_since is not None:
        is_over = facts.status.is_terminal
        return Finding(
            "budget_out_of_reach", "error" if is_over else "warning",
            f"Pruning is held since step {facts.held_since}: {sizes}. "
            + ("The run has ended so." if is_over else f"So it stays up to the last step, {facts.total_steps}."),
            "Fork the run from a checkpoint and do not hold pruning." if is_over else "Release pruning before the last step.",
            facts.held_since,
        )  # fmt: skip
    if facts.window is not None and facts.ranks.step >= facts.window.end:
        return Finding(
            "budget_out_of_reach", "error",
            f"Pruning ended at step {facts.settled_step or facts.window.end}, and {sizes}.",
            "Do not compare this run at its budget; look at the log, and fork from a checkpoint before that step.",
            facts.ranks.step,
        )  # fmt: skip
    if facts.has_pruned and facts.budget is not None and live > facts.budget:
        return Finding(
            "budget_out_of_reach", "error" if facts.ranks.is_final else "warning",
            f"{live} components are live at step {facts.ranks.step}, and the budget of this step is {facts.budget}.",
            "Wait for the next pruning; if it stays so, look at the log.", facts.ranks.step,
        )  # fmt: skip
    return None


def module_at_rank_0(facts: Facts) -> Finding | None:
    """Modules that have lost every component."""
    ranks = facts.ranks
    if ranks is None or not ranks.ranks:
        return None
    empty = [name for name, rank in zip(ranks.names, ranks.ranks, strict=True) if rank == 0]
    if not empty:
        return None
    shown = ", ".join(empty[:_SHOWN_NAMES])
    more = f" and {len(empty) - _SHOWN_NAMES} more" if len(empty) > _SHOWN_NAMES else ""
    saw = f"{len(empty)} of {len(ranks.ranks)} modules have rank 0 at step {ranks.step}: {shown}{more}."
    if len(empty) == len(ranks.ranks):
        return Finding(
            "module_at_rank_0", "error", f"{saw} Nothing is adapted any more.",
            "Launch again with a larger target rank, or for sora a smaller sparse_lambda.", ranks.step,
        )  # fmt: skip
    later = (
        "An export leaves them out, and they compute as in the base model."
        if ranks.is_final
        else "They may come back until the ranks are final."
    )
    if 2 * len(empty) > len(ranks.ranks):
        return Finding(
            "module_at_rank_0", "warning", f"{saw} {later} So many are unusual.",
            "Compare with another score (method.score norm) or a larger target rank.", ranks.step,
        )  # fmt: skip
    return Finding(
        "module_at_rank_0", "info", f"{saw} That is fine: the budget went to other modules. {later}",
        "Nothing to do.", ranks.step,
    )  # fmt: skip


def scores_equal(facts: Facts) -> Finding | None:
    """Once pruning may begin, all live components have one and the same score, so that chance decides."""
    ranks = facts.ranks
    if not isinstance(facts.method, BudgetedMethod) or ranks is None or len(ranks.scores) < 2:
        return None
    first = ranks.scores[0]
    if ranks.step < 1 or not math.isfinite(first) or any(score != first for score in ranks.scores):
        return None
    if facts.window is not None and ranks.step < facts.window.start:
        return None
    why = (
        "nothing has been learned yet"
        if first == 0
        else "they say nothing about which component matters"
    )  # fmt: skip
    return Finding(
        "scores_equal", "warning",
        f"All {len(ranks.scores)} live components have the score {first:g} at step {ranks.step}: {why}, and pruning "
        "takes them by their place alone.",
        "Raise learning_rate (about 1e-2 with the paper's start) or warmup_ratio, or choose init zero_b or another score.",
        ranks.step,
    )  # fmt: skip


def scores_nan(facts: Facts) -> Finding | None:
    """Scores of live components that are no numbers."""
    ranks, warning = facts.ranks, facts.warned("nan_scores")
    bad = 0 if ranks is None else sum(not math.isfinite(score) for score in ranks.scores)
    if ranks is None or (not bad and warning is None):
        return None
    now = f"{bad} of {len(ranks.scores)} live components have no finite score at step {ranks.step}."
    if warning is None:
        return Finding(
            "scores_nan", "error", now, "The training has diverged: fork it from a checkpoint at a lower learning_rate.",
            ranks.step,
        )  # fmt: skip
    message = f"{warning.message} {now}" if bad else f"{warning.message} They are numbers again at step {ranks.step}."
    return Finding("scores_nan", "error" if bad else "info", message, warning.next_step or _LOWER, warning.step)


# ---------------------------------------------------------------- loss

_LOWER = "Fork the run from a checkpoint before that step at a lower learning_rate, or lower max_grad_norm."


def loss_nan(facts: Facts) -> Finding | None:
    """Training losses that are no numbers."""
    bad = [step for step, loss in facts.losses if not math.isfinite(loss)]
    warning = facts.warned("nan_loss")
    if not bad and warning is None:
        return None
    first = warning.step if warning is not None and warning.step is not None else bad[0] if bad else facts.step
    has_recovered = bool(facts.losses) and math.isfinite(facts.losses[-1][1])
    message = warning.message if warning is not None else f"The loss is {facts.losses[-1][1]} at step {bad[-1]}."
    if has_recovered:
        after = f"It is a number again at step {facts.losses[-1][0]}."
        return Finding("loss_nan", "info", f"{message} {after}", "Watch the loss; nothing to do if it stays so.", first)
    if len(bad) > 1:
        message += f" {len(bad)} losses since step {bad[0]} are no numbers."
    return Finding("loss_nan", "error", message, (warning and warning.next_step) or _LOWER, first)


def loss_diverging(facts: Facts) -> Finding | None:
    """The loss has lost much of what it had gained, and does not fall."""
    trend: LossTrend | None = loss_trend(facts.losses)
    if trend is None or not trend.is_diverging:
        return None
    return Finding(
        "loss_diverging", "warning",
        f"The training loss is about {trend.recent:.3g} up to step {trend.step}; its best stretch, around step "
        f"{trend.best_step}, was {trend.best:.3g}.",
        "Stop it and fork from a checkpoint near the best step at a lower learning_rate.", trend.step,
    )  # fmt: skip


# ---------------------------------------------------------------- machine


def throughput_collapse(facts: Facts) -> Finding | None:
    """The newest speeds are far below what this attempt had, or no step has ended for long."""
    if not facts.status.is_owned or not facts.speeds:
        return None
    usual = median(facts.speeds)
    look = "Look at the host's other programs, its memory (swapping) and the GPU's temperature; see Hardware."
    patience_s = max(_STALLED_S, _STALLED_STEPS / usual if usual else math.inf)
    if facts.loss_age_s is not None and facts.loss_age_s > patience_s:
        return Finding(
            "throughput_collapse", "error",
            f"No step has ended for {facts.loss_age_s:.0f} s, since step {facts.step}; usual are {usual:.3g} steps a second.",
            f"{look} If it hangs, stop the run and resume it.", facts.step,
        )  # fmt: skip
    if len(facts.speeds) < _FEWEST_SPEEDS:
        return None
    recent = median(facts.speeds[-_RECENT_SPEEDS:])
    if recent >= _COLLAPSED_BELOW * usual:
        return None
    return Finding(
        "throughput_collapse", "warning",
        f"{recent:.3g} steps a second at step {facts.step}; the median of this attempt is {usual:.3g}.", look, facts.step,
    )  # fmt: skip


def heartbeat_late(facts: Facts) -> Finding | None:
    """The worker has not renewed its lease; it does so every quarter of one."""
    age_s = facts.lease_age_s
    if not facts.status.is_owned or age_s is None or age_s <= facts.lease_s / 2:
        return None
    is_over = age_s > facts.lease_s
    return Finding(
        "heartbeat_late", "error" if is_over else "warning",
        f"Worker {facts.worker} last renewed its lease {age_s:.0f} s ago; it does so every {facts.lease_s / 4:.0f} s, and "
        f"loses the run after {facts.lease_s:.0f} s.",
        "Look whether the worker still runs and reaches the database; another worker resumes the run from its newest "
        "checkpoint." if is_over else "Wait; if it stays so, look at the worker's host.",
        facts.step,
    )  # fmt: skip


RULES: tuple[Callable[[Facts], Finding | None], ...] = (
    ranks_never_move,
    budget_out_of_reach,
    module_at_rank_0,
    scores_equal,
    scores_nan,
    loss_nan,
    loss_diverging,
    throughput_collapse,
    heartbeat_late,
)
