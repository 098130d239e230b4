"""What is wrong with a run, or may be: one rule a condition, over plain facts. Each says what it saw and what to do.

A rule returns a Finding, or None where it sees nothing or does not apply. Where the training has stored a warning about
the same condition, the warning's own words are taken, so that nothing is said twice in two ways.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from dynamic_rank.schedule.window import PruningWindow
from rankscope.contract.methods import Method, RankRule
from rankscope.contract.status import RunStatus
from rankscope.health.trends import LossTrend, loss_trend

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


def check(facts: Facts) -> list[Finding]:
    """Everything found, errors first. Of the rules about ranks, those that apply to the method."""
    rules = [*(rule for code, rule in RANK_RULES.items() if code in facts.method.health_rules), *RULES]
    found = [finding for rule in rules if (finding := rule(facts)) is not None]
    return sorted(found, key=lambda finding: ("error", "warning", "info").index(finding.severity))


# ---------------------------------------------------------------- ranks


def ranks_never_move(facts: Facts) -> Finding | None:
    """By plan components should be gone by now, and every module still has all of its own."""
    warning = facts.warned("budget_unmoved", "ranks_equal")
    if warning is not None:
        return Finding("ranks_never_move", "warning", warning.message, warning.next_step, warning.step)
    ranks = facts.ranks
    if ranks is None or not ranks.ranks or any(rank != ranks.width for rank in ranks.ranks):
        return None
    unmoved = facts.method.unmoved(ranks.step, facts.total_steps, ranks.width) if facts.total_steps else None
    if unmoved is not None:
        return Finding("ranks_never_move", "warning", *unmoved, ranks.step)
    due, total = facts.pruning_due, len(ranks.ranks) * ranks.width
    if due is None or due.budget >= total:
        return None
    if facts.held_since is not None or facts.frozen_at is not None:
        return None
    is_over = facts.window is not None and ranks.step >= facts.window.end
    happened = "nothing has been pruned" if facts.pruned_to is None else "pruning has changed nothing"
    return Finding(
        "ranks_never_move",
        "error" if is_over else "warning",
        f"All {len(ranks.ranks)} modules still have rank {ranks.width} at step {ranks.step}: {happened}, but the pruning of "
        f"step {due.step} should have left {due.budget} of {total} components.",
        "Check the log for warnings from the method, then resume the run from a checkpoint before that step.",
        ranks.step,
    )


def budget_out_of_reach(facts: Facts) -> Finding | None:
    """More is live than the newest pruning allowed, or than the target allows once pruning is over."""
    ranks = facts.ranks
    if ranks is None or facts.target_rank is None:
        return None
    live, final_budget = sum(ranks.ranks), len(ranks.ranks) * facts.target_rank
    if live <= final_budget:
        return None
    sizes = f"{live} components are live, and the target rank {facts.target_rank} allows {final_budget}"
    if facts.frozen_at is not None:
        return Finding(
            "budget_out_of_reach",
            "info",
            f"The mask was frozen at step {facts.frozen_at}: {sizes}.",
            "If you did not intend this, fork the run from a checkpoint before that step.",
            facts.frozen_at,
        )
    is_over = facts.window is not None and ranks.step >= facts.window.end
    if facts.held_since is not None:
        return _held(facts, facts.held_since, sizes, is_over=is_over)
    if is_over or ranks.is_final:
        return Finding(
            "budget_out_of_reach",
            "error",
            f"Pruning ended at step {_last_pruning_step(facts)}, and {sizes}.",
            "Do not compare this run at its budget. Check the log, and fork the run from a checkpoint before that step.",
            ranks.step,
        )
    done = facts.pruned_to
    if done is not None and live > done.budget:
        of = "this step" if done.step == ranks.step else f"the last pruning, at step {done.step},"
        return Finding(
            "budget_out_of_reach",
            "warning",
            f"{live} components are live at step {ranks.step}, and the budget of {of} is {done.budget}.",
            "Wait for the next pruning. If the number stays above the budget, check the log.",
            ranks.step,
        )
    return None


def _held(facts: Facts, since: int, sizes: str, *, is_over: bool) -> Finding:
    """Held pruning costs nothing within the window: the release makes up for it."""
    held = f"Pruning has been held since step {since}: {sizes}."
    if facts.status == RunStatus.done:
        return Finding(
            "budget_out_of_reach",
            "error",
            f"{held} The run is done, so the budget will not be met.",
            "Fork the run from a checkpoint, and release pruning.",
            since,
        )
    if not is_over:
        end = facts.window.end if facts.window is not None else facts.total_steps
        return Finding(
            "budget_out_of_reach",
            "info",
            held,
            f"Release pruning by step {end}, where the ranks are to be final.",
            since,
        )
    return Finding(
        "budget_out_of_reach",
        "warning",
        f"{held} The ranks should have been final by now.",
        f"Release pruning before the last step, {facts.total_steps}.",
        since,
    )


def _last_pruning_step(facts: Facts) -> int | None:
    if facts.settled_step is not None:
        return facts.settled_step
    return facts.window.end if facts.window is not None else facts.step


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
            "module_at_rank_0",
            "error",
            f"{saw} The adapter does nothing any more.",
            facts.method.keep_more,
            ranks.step,
        )
    keeps_ranks = facts.method.rank_changes in ("never", "before_training")
    later = (
        "The export leaves them out, and they compute what the base model computes."
        if ranks.is_final or keeps_ranks
        else "They may come back until the ranks are final."
    )
    # At a mean rank of one, a module with two components leaves another one without any.
    is_common = facts.target_rank == 1 or keeps_ranks or not ranks.is_final
    if 2 * len(empty) > len(ranks.ranks) and not is_common:
        return Finding(
            "module_at_rank_0",
            "warning",
            f"{saw} {later} It is unusual for more than half of the modules.",
            "Compare with another score (method.score: norm) or a larger target rank.",
            ranks.step,
        )
    return Finding(
        "module_at_rank_0",
        "info",
        f"{saw} That is fine: the budget went to other modules. {later}",
        "Nothing to do.",
        ranks.step,
    )


def scores_equal(facts: Facts) -> Finding | None:
    """All live components have one and the same score, and a pruning had to choose between them.

    A snapshot's scores are float16: shares below 6e-8 are no signal, but scores without a scale of their own may be small
    and differ. Of those the exact scores of the pruning decide.
    """
    ranks, cut, due, method = facts.ranks, facts.cut, facts.pruning_due, facts.method
    if ranks is None or len(ranks.scores) < 2:
        return None
    if cut is None and (due is None or due.budget >= len(ranks.ranks) * ranks.width):
        return None
    first = ranks.scores[0]
    if not math.isfinite(first) or any(score != first for score in ranks.scores):
        return None
    if not method.scores_are_shares and (cut is None or any(score != cut.threshold for score in cut.scores)):
        return None
    why = "nothing has been learned yet" if first == 0 else "they do not say which component matters"
    return Finding(
        "scores_equal",
        "warning",
        f"All {len(ranks.scores)} live components have the score {first:g} at step {ranks.step}: {why}, so pruning chooses "
        "them by their position alone.",
        method.tell_scores_apart,
        ranks.step,
    )


def scores_nan(facts: Facts) -> Finding | None:
    """Scores of live components that are NaN. Infinity is not: a snapshot's float16 shows it above 65,504."""
    ranks, warning = facts.ranks, facts.warned("nan_scores")
    bad = 0 if ranks is None else sum(math.isnan(score) for score in ranks.scores)
    if ranks is None or (not bad and warning is None):
        return None
    now = f"{bad} of {len(ranks.scores)} live components have the score NaN at step {ranks.step}."
    if warning is None:
        return Finding(
            "scores_nan",
            "error",
            now,
            "The training has diverged. Fork it from a checkpoint at a lower learning_rate.",
            ranks.step,
        )
    message = f"{warning.message} {now}" if bad else f"{warning.message} No score is NaN at step {ranks.step}."
    return Finding("scores_nan", "error" if bad else "info", message, warning.next_step or _LOWER, warning.step)


# ---------------------------------------------------------------- loss

_LOWER = "Fork the run from a checkpoint before that step at a lower learning_rate, or lower max_grad_norm."


def loss_nan(facts: Facts) -> Finding | None:
    """Training losses that are NaN or infinite."""
    bad = [step for step, loss in facts.losses if not math.isfinite(loss)]
    warning = facts.warned("nan_loss")
    if not bad and warning is None:
        return None
    first = warning.step if warning is not None and warning.step is not None else bad[0] if bad else facts.step
    has_recovered = bool(facts.losses) and math.isfinite(facts.losses[-1][1])
    message = warning.message if warning is not None else f"The loss is {facts.losses[-1][1]} at step {bad[-1]}."
    if has_recovered:
        after = f"It is finite again at step {facts.losses[-1][0]}."
        return Finding("loss_nan", "info", f"{message} {after}", "Nothing to do while the loss stays finite.", first)
    if len(bad) > 1:
        message += f" {len(bad)} losses since step {bad[0]} are NaN or infinite."
    return Finding("loss_nan", "error", message, (warning and warning.next_step) or _LOWER, first)


def loss_diverging(facts: Facts) -> Finding | None:
    """The loss has lost much of what it had gained, and does not fall."""
    trend: LossTrend | None = loss_trend(facts.losses, facts.cut.step if facts.cut is not None else None)
    if trend is None or not trend.is_diverging:
        return None
    return Finding(
        "loss_diverging",
        "warning",
        f"The training loss has risen to about {trend.recent:.3g} by step {trend.step}. At its best, around step "
        f"{trend.best_step}, it was {trend.best:.3g}.",
        "Stop the run, and fork it from a checkpoint near that step at a lower learning_rate.",
        trend.step,
    )


# ---------------------------------------------------------------- machine


def throughput_collapse(facts: Facts) -> Finding | None:
    """The newest speeds are far below what this attempt had, or no step has ended for long."""
    if not facts.status.is_owned or not facts.speeds:
        return None
    usual = median(facts.speeds)
    look = "Check the host for other programs, swapping and a hot GPU (see Hardware)."
    patience_s = max(_STALLED_S, _STALLED_STEPS / usual if usual else math.inf)
    if facts.loss_age_s is not None and facts.loss_age_s > patience_s:
        return Finding(
            "throughput_collapse",
            "error",
            f"No step has ended for {facts.loss_age_s:.0f} s, since step {facts.step}; the median of this attempt is "
            f"{usual:.3g} steps a second.",
            f"{look} If the training hangs, stop the run and resume it.",
            facts.step,
        )
    if len(facts.speeds) < _FEWEST_SPEEDS:
        return None
    recent = median(facts.speeds[-_RECENT_SPEEDS:])
    if recent >= _COLLAPSED_BELOW * usual:
        return None
    return Finding(
        "throughput_collapse",
        "warning",
        f"{recent:.3g} steps a second at step {facts.step}; the median of this attempt is {usual:.3g}.",
        look,
        facts.step,
    )


def heartbeat_late(facts: Facts) -> Finding | None:
    """The worker has not renewed its lease; it does so every quarter of one."""
    age_s = facts.lease_age_s
    if not facts.status.is_owned or age_s is None or age_s <= facts.lease_s / 2:
        return None
    is_over = age_s > facts.lease_s
    return Finding(
        "heartbeat_late",
        "error" if is_over else "warning",
        f"Worker {facts.worker} last renewed its lease {age_s:.0f} s ago. It should do so every {facts.lease_s / 4:.0f} s, and "
        f"loses the run after {facts.lease_s:.0f} s.",
        "Check that the worker is running and reaches the database. Another worker resumes the run from its newest "
        "checkpoint."
        if is_over
        else "Wait. If this does not go away, check the worker's host.",
        facts.step,
    )


Rule = Callable[[Facts], Finding | None]
RANK_RULES: dict[RankRule, Rule] = {
    "ranks_never_move": ranks_never_move,
    "budget_out_of_reach": budget_out_of_reach,
    "module_at_rank_0": module_at_rank_0,
    "scores_equal": scores_equal,
    "scores_nan": scores_nan,
}
"""A method names those that apply to it."""
RULES: tuple[Rule, ...] = (
    loss_nan,
    loss_diverging,
    throughput_collapse,
    heartbeat_late,
)
