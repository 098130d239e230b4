"""Rules about the speed of training and its worker."""

import math
from statistics import median

from rankscope.health.facts import Facts, Finding

_FEWEST_SPEEDS = 12
_RECENT_SPEEDS = 5
_COLLAPSED_BELOW = 0.4
"""Share of the attempt's median. A busy machine may halve the speed; a larger drop has another cause."""
_STALLED_S = 60.0
_STALLED_STEPS = 50


def throughput_collapse(facts: Facts) -> Finding | None:
    """The newest speeds are far below the attempt's median, or no step has ended for a long time."""
    if not facts.status.is_owned or not facts.speeds:
        return None
    usual = median(facts.speeds)
    look = "Check the host for other programs, swapping and a hot GPU (see Hardware)."
    stalled_s = max(_STALLED_S, _STALLED_STEPS / usual if usual else math.inf)
    if facts.loss_age_s is not None and facts.loss_age_s > stalled_s:
        return Finding(
            "throughput_collapse",
            "error",
            f"No step has ended for {facts.loss_age_s:.0f} s, since step {facts.step}; the median of this attempt is "
            f"{usual:.3g} steps per second.",
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
        f"{recent:.3g} steps per second at step {facts.step}; the median of this attempt is {usual:.3g}.",
        look,
        facts.step,
    )


def heartbeat_late(facts: Facts) -> Finding | None:
    """The worker has not renewed its lease for half a lease period; it should do so every quarter."""
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
