"""The health rules: one per problem. Each says what it found, with numbers, and what to do.

A rule returns a Finding, or None if it finds nothing or does not apply. If the training has stored a warning about the same
problem, the rule returns the warning's text, so that a problem is described only once.
"""

from collections.abc import Callable

from rankscope.contract.methods import RankRule
from rankscope.health.facts import Facts, Finding
from rankscope.health.loss_rules import loss_diverging, loss_nan
from rankscope.health.machine_rules import heartbeat_late, throughput_collapse
from rankscope.health.rank_rules import (
    budget_out_of_reach,
    module_at_rank_0,
    ranks_never_move,
    scores_equal,
    scores_nan,
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


def check(facts: Facts) -> list[Finding]:
    """Everything found, errors first. Of the rules about ranks, those that apply to the method."""
    rules = [*(rule for code, rule in RANK_RULES.items() if code in facts.method.health_rules), *RULES]
    found = [finding for rule in rules if (finding := rule(facts)) is not None]
    return sorted(found, key=lambda finding: ("error", "warning", "info").index(finding.severity))
