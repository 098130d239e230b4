"""Rules about ranks, pruning and scores."""

import math

from rankscope.contract.status import RunStatus
from rankscope.health.facts import Facts, Finding
from rankscope.health.loss_rules import LOWER_RATE

_SHOWN_NAMES = 5


def ranks_never_move(facts: Facts) -> Finding | None:
    """Components should have been pruned by now, and every module still has all of them."""
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
    """More components are live than the newest pruning allows, or than the target allows after pruning has ended."""
    ranks = facts.ranks
    if ranks is None or facts.target_rank is None:
        return None
    live, final_budget = ranks.live, len(ranks.ranks) * facts.target_rank
    if live <= final_budget:
        return None
    components = "components" if ranks.costs is None else "components of mean size"
    sizes = f"{live} {components} are live, and the target rank {facts.target_rank} allows {final_budget}"
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
            f"{live} {components} are live at step {ranks.step}, and the budget of {of} is {done.budget}.",
            "Wait for the next pruning. If the number stays above the budget, check the log.",
            ranks.step,
        )
    return None


def _held(facts: Facts, since: int, sizes: str, *, is_over: bool) -> Finding:
    """Held pruning within the window is harmless: after the release, pruning catches up."""
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
            f"Release pruning by step {end}, at which the ranks become final.",
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
            f"{saw} The adapter no longer has any effect.",
            facts.method.no_components_step,
            ranks.step,
        )
    keeps_ranks = facts.method.rank_changes in ("never", "before_training")
    later = (
        "The export leaves them out, and they compute what the base model computes."
        if ranks.is_final or keeps_ranks
        else "They may come back until the ranks are final."
    )
    # At a mean rank of 1, every module with two components leaves another with none.
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
    """All live components have the same score, and a pruning had to choose between them.

    A snapshot's scores are float16: shares below 6e-8 are no signal, but scores that are not shares may be small
    and differ. For those, the exact scores of the pruning are used.
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
        "them by position only.",
        method.equal_scores_step,
        ranks.step,
    )


def scores_nan(facts: Facts) -> Finding | None:
    """Scores of live components that are NaN. Infinity is allowed: snapshots use float16, which overflows above 65,504."""
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
    return Finding("scores_nan", "error" if bad else "info", message, warning.next_step or LOWER_RATE, warning.step)
