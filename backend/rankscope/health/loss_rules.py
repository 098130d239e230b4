"""Rules about the training loss."""

import math

from rankscope.health.facts import Facts, Finding
from rankscope.health.trends import loss_trend

LOWER_RATE = "Fork the run from a checkpoint before that step at a lower learning_rate, or lower max_grad_norm."


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
    return Finding("loss_nan", "error", message, (warning and warning.next_step) or LOWER_RATE, first)


def loss_diverging(facts: Facts) -> Finding | None:
    """The loss has risen well above its best, and is not falling."""
    trend = loss_trend(facts.losses, facts.cut.step if facts.cut is not None else None)
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
